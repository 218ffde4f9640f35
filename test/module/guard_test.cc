// SQL-callable functions that misbehave on purpose: test/sql/01_guard.sql proves with them what arrives.
// Built as pg_reconcile_test.so, which is never installed by `make install`.
#include <cstdint>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/error.h"
#include "extension/pg/cursor.h"
#include "extension/pg/spi.h"
#include "extension/pg/subtransaction.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/portal.h>

PG_MODULE_MAGIC;
}

namespace pg_reconcile {
namespace {

std::int64_t destroyed = 0;

// Proof that unwinding came by.
class Witness {
 public:
  Witness() = default;
  ~Witness() { destroyed++; }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

 private:
  std::string held_ = std::string(100, 'x');
};

std::string text_argument(FunctionCallInfo fcinfo, int number) {
  const Datum value = fcinfo->args[number].value;
  return pg::guarded([=] { return static_cast<const char*>(text_to_cstring(DatumGetTextPP(value))); });
}

Datum text_result(const std::string& value) {
  const char* data = value.c_str();
  return pg::guarded([=] { return PointerGetDatum(cstring_to_text(data)); });
}

std::string run_under_witnesses(const std::string& sql, int depth) {
  const Witness witness;
  if (depth > 1) return run_under_witnesses(sql, depth - 1);
  pg::Spi spi;
  spi.run(sql);
  return spi.rows() > 0 ? spi.text(0, 0) : std::string();
}

std::string described(const pg::PostgresError& e) {
  return std::string(e.state()) + "|" + e.what() + "|" + e.detail() + "|" + e.hint();
}

std::string first_value(pg::Spi& spi, const std::string& sql) {
  spi.run(sql);
  return spi.text(0, 0);
}

// The result is made by the caller, after the Spi has ended: what is allocated before dies with it.
std::string catch_and_go_on(const std::string& sql) {
  std::string answer = "no error";
  pg::Spi outer;
  try {
    pg::in_subtransaction([&] { run_under_witnesses(sql, 3); });
  } catch (const pg::PostgresError& e) {
    answer = described(e);
  } catch (const core::Error& e) {
    answer = std::string(e.state()) + "|" + e.what();
  }
  return answer + "|" + first_value(outer, "SELECT 'on with ' || (1 + 1)");
}

std::string lose_rows_three_times() {
  pg::Spi outer;
  std::string answer;
  for (int i = 0; i < 3; i++) {
    try {
      pg::in_subtransaction([&] {
        outer.run("SELECT generate_series(1, 1000)");
        throw core::Error("22023", "lost, ");
      });
    } catch (const core::Error& e) {
      answer += e.what();
    }
    try {
      pg::Spi inner;
      pg::in_subtransaction([&] {
        inner.run("SELECT generate_series(1, 1000)");
        throw core::Error("22023", "given up");
      });
    } catch (const core::Error& e) {
      answer += e.what();
    }
    answer += first_value(outer, "SELECT ' ' || 7 || ' '");
  }
  return answer;
}

constexpr const char* many_rows = "SELECT generate_series(1, 100000)";

// The name of the one cursor that is open.
std::string open_cursor(pg::Spi& spi) {
  return first_value(spi,
                     "SELECT max(name) FROM pg_cursors WHERE statement = '" + std::string(many_rows) + "'");
}

// How many rows a second read finds after `close` was executed.
std::string read_on_after(const std::string& close) {
  const pg::HeldSnapshot snapshot;
  pg::Spi spi;
  pg::Cursor cursor(snapshot, many_rows, {});
  cursor.next_batch();
  spi.run(close);
  cursor.next_batch();
  return std::to_string(cursor.rows());
}

}  // namespace
}  // namespace pg_reconcile

namespace core = pg_reconcile::core;
namespace pg = pg_reconcile::pg;

// (sqlstate, message, detail, hint)
PG_RECONCILE_FUNCTION(guard_test_throw_core) {
  const pg_reconcile::Witness witness;
  throw core::Error(pg_reconcile::text_argument(fcinfo, 0).c_str(), pg_reconcile::text_argument(fcinfo, 1),
                    pg_reconcile::text_argument(fcinfo, 2), pg_reconcile::text_argument(fcinfo, 3));
}

PG_RECONCILE_FUNCTION(guard_test_throw_standard) {
  throw std::runtime_error(pg_reconcile::text_argument(fcinfo, 0));
}

PG_RECONCILE_FUNCTION(guard_test_throw_unknown) {
  throw 42;
}

// More than an address space: operator new itself refuses.
PG_RECONCILE_FUNCTION(guard_test_throw_bad_alloc) {
  const pg_reconcile::Witness witness;
  volatile std::size_t bytes = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
  void* memory = ::operator new(bytes);
  ::operator delete(memory);
  PG_RETURN_VOID();
}

// Bytes that no message may carry, and more than the buffer holds: 'é' is two bytes, an odd prefix tears one.
PG_RECONCILE_FUNCTION(guard_test_throw_invalid_bytes) {
  std::string longest = "x";
  for (int i = 0; i < 2000; i++) longest += "\xc3\xa9";
  throw core::Error("22021", longest, "bad: \xff\xfe end");
}

// (sql, depth): the first value of the statement's first row, run under `depth` frames with destructors.
PG_RECONCILE_FUNCTION(guard_test_run) {
  return pg_reconcile::text_result(pg_reconcile::run_under_witnesses(pg_reconcile::text_argument(fcinfo, 0),
                                                                     DatumGetInt32(fcinfo->args[1].value)));
}

// How many witnesses were destroyed since the last call.
PG_RECONCILE_FUNCTION(guard_test_destroyed) {
  const std::int64_t count = pg_reconcile::destroyed;
  pg_reconcile::destroyed = 0;
  PG_RETURN_INT64(count);
}

// (sql): runs it in a subtransaction, catches what it raises, and goes on with the same outer Spi.
PG_RECONCILE_FUNCTION(guard_test_catch) {
  const std::string answer = pg_reconcile::catch_and_go_on(pg_reconcile::text_argument(fcinfo, 0));
  return pg_reconcile::text_result(answer);
}

// Rows of an outer Spi that are made in a subtransaction die with it: the next run must not free them again.
// And an Spi that is unwound past by an error already rolled back must disconnect.
PG_RECONCILE_FUNCTION(guard_test_rows_of_rolled_back) {
  const std::string answer = pg_reconcile::lose_rows_three_times();
  return pg_reconcile::text_result(answer);
}

// Catching outside a subtransaction is the mistake that the entry point must not let pass.
PG_RECONCILE_FUNCTION(guard_test_swallow) {
  try {
    pg_reconcile::run_under_witnesses("SELECT 1 / 0", 1);
  } catch (const pg::PostgresError&) {
  }
  PG_RETURN_VOID();
}

// (sql, times): as many errors caught in one transaction.
PG_RECONCILE_FUNCTION(guard_test_catch_many) {
  const std::string sql = pg_reconcile::text_argument(fcinfo, 0);
  const int times = DatumGetInt32(fcinfo->args[1].value);
  int caught = 0;
  for (int i = 0; i < times; i++) {
    try {
      pg::in_subtransaction([&] { pg_reconcile::run_under_witnesses(sql, 1); });
    } catch (const pg::PostgresError&) {
      caught++;
    }
  }
  PG_RETURN_INT32(caught);
}

// An outer Spi that runs while an inner one is open.
PG_RECONCILE_FUNCTION(guard_test_wrong_spi) {
  pg::Spi outer;
  const pg::Spi inner;
  outer.run("SELECT 1");
  PG_RETURN_VOID();
}

// (sql): destroys a cursor whose portal that statement has closed, and goes on.
PG_RECONCILE_FUNCTION(guard_test_cursor_closed) {
  const std::string sql = pg_reconcile::text_argument(fcinfo, 0);
  std::string answer;
  {
    const pg::HeldSnapshot snapshot;
    pg::Spi spi;
    {
      pg::Cursor cursor(snapshot, pg_reconcile::many_rows, {});
      cursor.next_batch();
      spi.run(sql);
    }
    answer = pg_reconcile::first_value(spi, "SELECT 'on'");
  }
  return pg_reconcile::text_result(answer);
}

PG_RECONCILE_FUNCTION(guard_test_cursor_read_on) {
  const std::string answer = pg_reconcile::read_on_after(pg_reconcile::text_argument(fcinfo, 0));
  return pg_reconcile::text_result(answer);
}

// A cursor that outlives the subtransaction that opened it and was rolled back.
PG_RECONCILE_FUNCTION(guard_test_cursor_rolled_back) {
  std::string answer;
  {
    const pg::HeldSnapshot snapshot;
    pg::Spi spi;
    {
      std::optional<pg::Cursor> cursor;
      try {
        pg::in_subtransaction([&] {
          cursor.emplace(snapshot, pg_reconcile::many_rows, std::vector<pg::Argument>());
          throw core::Error("22023", "given up");
        });
      } catch (const core::Error& e) {
        answer = e.what();
      }
    }
    answer += pg_reconcile::first_value(spi, "SELECT ', on'");
  }
  return pg_reconcile::text_result(answer);
}

// A cursor that cannot be closed: its portal is pinned.
PG_RECONCILE_FUNCTION(guard_test_cursor_pinned) {
  const pg_reconcile::Witness witness;
  const pg::HeldSnapshot snapshot;
  pg::Spi spi;
  const pg::Cursor cursor(snapshot, pg_reconcile::many_rows, {});
  const std::string name = pg_reconcile::open_cursor(spi);
  const char* portal = name.c_str();
  pg::guarded([=] { PinPortal(GetPortalByName(portal)); });
  PG_RETURN_VOID();
}

// A C++ exception that leaves a guarded call restores PostgreSQL's exception stack too.
PG_RECONCILE_FUNCTION(guard_test_throw_through_guard) {
  try {
    pg::guarded([] { throw core::Error("22023", "through the guard"); });
  } catch (const core::Error&) {
    return pg_reconcile::text_result(pg_reconcile::run_under_witnesses("SELECT 'still here'", 1));
  }
  PG_RETURN_NULL();
}

// Never ends by itself: what a long loop of core looks like to a cancel.
PG_RECONCILE_FUNCTION(guard_test_loop) {
  const pg_reconcile::Witness witness;
  pg::BackendInterrupts interrupts;
  core::Interrupts& injected = interrupts;
  volatile std::uint64_t work = 0;
  for (;;) {
    work = work + 1;
    if (work % 1024 == 0) injected.poll();
  }
  PG_RETURN_VOID();
}

// PostgreSQL's own allocator out of memory, under frames with destructors.
PG_RECONCILE_FUNCTION(guard_test_palloc) {
  const pg_reconcile::Witness witness;
  const Size bytes = Size{1} << 46;
  void* memory = pg::guarded([=] { return MemoryContextAllocHuge(CurrentMemoryContext, bytes); });
  pfree(memory);
  PG_RETURN_VOID();
}

// Text that the database's encoding doesn't know must not get in.
PG_RECONCILE_FUNCTION(guard_test_invalid_text) {
  pg::Spi spi;
  spi.run("SELECT $1", {pg::Argument::text(std::string_view("\xc3\x28"))});
  PG_RETURN_VOID();
}

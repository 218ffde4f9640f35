// reconcile.progress_slots(): the slots of this database; reconcile.progress_is_tracked(): whether there are
// any.
#include <cstring>

#include "extension/pg/progress.h"

extern "C" {
#include <funcapi.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile {
namespace {

constexpr int read_attempts_max = 1000;

const pg::ProgressMemory* raw_memory() {
  return static_cast<const pg::ProgressMemory*>(*find_rendezvous_variable(pg::progress_variable));
}

// A consistent copy. False when the slot is free, or its process writes on and on.
bool raw_read(const pg::ProgressSlot& slot, pg::ProgressSlot* copy) {
  for (int attempt = 0; attempt < read_attempts_max; attempt++) {
    auto* changes = const_cast<pg_atomic_uint32*>(&slot.changes);
    const std::uint32_t before = pg_atomic_read_u32(changes);
    pg_read_barrier();
    std::memcpy(static_cast<void*>(copy), &slot, sizeof(slot));
    pg_read_barrier();
    if ((before & 1) == 0 && pg_atomic_read_u32(changes) == before) return copy->command != pg::Command::none;
    CHECK_FOR_INTERRUPTS();
  }
  return false;
}

const char* command_word(pg::Command command) {
  switch (command) {
    case pg::Command::run:
      return "run";
    case pg::Command::compare:
      return "compare";
    case pg::Command::ingest:
      return "ingest";
    case pg::Command::none:
      break;
  }
  return "";
}

const char* phase_words(pg::Phase phase) {
  switch (phase) {
    case pg::Phase::waiting_for_lock:
      return "waiting for lock";
    case pg::Phase::hashing:
      return "hashing";
    case pg::Phase::reading:
      return "reading";
    case pg::Phase::replacing:
      return "replacing";
    case pg::Phase::reading_left:
      return "reading left";
    case pg::Phase::reading_right:
      return "reading right";
    case pg::Phase::matching:
      return "matching";
    case pg::Phase::writing:
      return "writing";
    case pg::Phase::classifying:
      return "classifying";
    case pg::Phase::proving:
      return "proving";
    case pg::Phase::done:
      return "done";
  }
  return "";
}

enum Column {
  pid,
  command,
  channel,
  account,
  leg,
  business_date,
  phase,
  rows_done,
  rows_expected,
  bytes_done,
  bytes_expected,
  bytes_spilled,
  workers,
  started_at,
  phase_started_at,
  columns
};

void raw_put_name(Datum* values, bool* nulls, Column column, const char* name) {
  nulls[column] = name[0] == '\0';
  if (!nulls[column]) values[column] = CStringGetTextDatum(name);
}

void raw_list(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const pg::ProgressMemory* memory = raw_memory();
  if (memory == nullptr) return;
  for (std::uint32_t i = 0; i < memory->slots_max; i++) {
    pg::ProgressSlot slot;
    if (!raw_read(memory->slots[i], &slot) || slot.database != MyDatabaseId) continue;
    Datum values[columns] = {};
    bool nulls[columns] = {};
    values[pid] = Int32GetDatum(slot.pid);
    values[command] = CStringGetTextDatum(command_word(slot.command));
    raw_put_name(values, nulls, channel, slot.channel);
    raw_put_name(values, nulls, account, slot.account);
    raw_put_name(values, nulls, leg, slot.leg);
    values[business_date] = DateADTGetDatum(slot.business_date);
    nulls[business_date] = !slot.has_business_date;
    values[phase] = CStringGetTextDatum(phase_words(slot.phase));
    values[rows_done] = Int64GetDatum(static_cast<std::int64_t>(pg_atomic_read_u64(&slot.rows_done)));
    values[rows_expected] = Int64GetDatum(slot.rows_expected);
    nulls[rows_expected] = slot.rows_expected < 0;
    values[bytes_done] = Int64GetDatum(static_cast<std::int64_t>(pg_atomic_read_u64(&slot.bytes_done)));
    values[bytes_expected] = Int64GetDatum(slot.bytes_expected);
    nulls[bytes_done] = nulls[bytes_expected] = slot.bytes_expected < 0;
    values[bytes_spilled] = Int64GetDatum(static_cast<std::int64_t>(pg_atomic_read_u64(&slot.bytes_spilled)));
    values[workers] = Int32GetDatum(static_cast<std::int32_t>(pg_atomic_read_u32(&slot.workers)));
    nulls[bytes_spilled] = nulls[workers] = slot.command == pg::Command::ingest;
    values[started_at] = TimestampTzGetDatum(slot.started_at);
    values[phase_started_at] = TimestampTzGetDatum(slot.phase_started_at);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_progress_slots) {
  const FunctionCallInfo call = fcinfo;
  pg::guarded([=] { raw_list(call); });
  return static_cast<Datum>(0);
}

PG_RECONCILE_FUNCTION(reconcile_progress_is_tracked) {
  PG_RETURN_BOOL(pg::guarded([] { return raw_memory() != nullptr; }));
}

}  // namespace pg_reconcile

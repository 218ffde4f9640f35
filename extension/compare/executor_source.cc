#include "extension/compare/executor_source.h"

#include <exception>
#include <utility>

#include "extension/pg/progress.h"
#include "extension/pg/spi.h"

extern "C" {
#include <executor/executor.h>
#include <executor/spi.h>
#include <funcapi.h>
#include <tcop/tcopprot.h>
#include <utils/builtins.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::pg {
namespace {

int raw_execute(const char* sql, DestReceiver* receiver) {
  // Run to its end in one go, so the planner may choose parallel workers.
  SPIPlanPtr plan = SPI_prepare_cursor(sql, 0, nullptr, CURSOR_OPT_PARALLEL_OK);
  if (plan == nullptr) return SPI_result;
  SPIExecuteOptions options = {};
  options.read_only = true;  // under the active snapshot: both sides see one moment
  options.dest = receiver;
  return SPI_execute_plan_extended(plan, &options);
}

double raw_estimated_cost(const char* sql) {
  RawStmt* parsed = linitial_node(RawStmt, pg_parse_query(sql));
  List* queries = pg_analyze_and_rewrite_fixedparams(parsed, sql, nullptr, 0, nullptr);
  return pg_plan_query(linitial_node(Query, queries), sql, CURSOR_OPT_PARALLEL_OK, nullptr)
      ->planTree->total_cost;
}

struct RawRow {
  Datum* values;
  const char* is_varlena;
  int count;
};

// What may longjmp, for a whole row under one guard.
void raw_load(TupleTableSlot* slot, RawRow row, Tuplestorestate* store, MemoryContext memory) {
  slot_getallattrs(slot);
  const MemoryContext before = MemoryContextSwitchTo(memory);
  for (int i = 0; i < row.count; i++) {
    row.values[i] = slot->tts_values[i];
    if (row.is_varlena[i] && !slot->tts_isnull[i]) row.values[i] = raw_detoast(row.values[i]);
  }
  MemoryContextSwitchTo(before);
  if (store != nullptr) tuplestore_puttupleslot(store, slot);
}

// PostgreSQL's own words name the relation and say no more.
void explain_denial(const PostgresError& error, const std::string& relation_name) {
  ErrorData* data = error.data();
  if (std::string_view(error.state()) != core::sqlstate::insufficient_privilege || data->hint != nullptr)
    return;
  const std::string detail =
      "The comparison of " + relation_name + " reads it, in a filter, a view or a policy.";
  const char* text = detail.c_str();
  guarded([=] {
    if (data->detail == nullptr) data->detail = MemoryContextStrdup(data->assoc_context, text);
    data->hint = MemoryContextStrdup(data->assoc_context,
                                     "GRANT SELECT on every column that is read, or leave it out.");
  });
}

}  // namespace

ExecutorSource::ExecutorSource(std::string sql, std::string relation_name, const ComparePlan& plan,
                               bool keep_rows)
    : sql_(std::move(sql)),
      relation_name_(std::move(relation_name)),
      memory_(CurrentMemoryContext),
      values_(plan.columns.size()) {
  row_memory_ = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare row", ALLOCSET_DEFAULT_SIZES);
  });
  if (keep_rows) store_ = guarded([] { return tuplestore_begin_heap(false, false, work_mem); });
  for (const ColumnPair& column : plan.columns) is_varlena_.push_back(column.encoder.is_varlena());
}

ExecutorSource::~ExecutorSource() {
  // An exception on its way means abort, which closes the temporary files itself.
  if (store_ != nullptr && std::uncaught_exceptions() == 0) tuplestore_end(store_);
}

std::string ExecutorSource::select_text(const ComparePlan& plan, core::Side side,
                                        const ComparedRelation& relation,
                                        const std::optional<std::string>& filter) {
  std::string columns;
  for (const ColumnPair& column : plan.columns) {
    const bool left = side == core::Side::left;
    columns += (columns.empty() ? "" : ", ") + (left ? column.left_expression : column.right_expression) +
               " AS " + quoted(left ? column.left_name : column.right_name);
  }
  // The filter ends with a line of its own: it may end in a comment.
  return "SELECT " + columns + " FROM " + relation.name() + (filter ? " WHERE (\n" + *filter + "\n)" : "");
}

double ExecutorSource::estimated_cost(const std::string& sql) {
  const char* text = sql.c_str();
  return guarded([=] { return raw_estimated_cost(text); });
}

void ExecutorSource::read(RowHasher& hasher, MatchParticipant& match) {
  hasher_ = &hasher;
  match_ = &match;
  try {
    execute();
  } catch (const PostgresError& error) {
    explain_denial(error, relation_name_);
    throw;
  }
}

void ExecutorSource::execute() {
  Spi spi;
  Receiver receiver = {};
  receiver.base.receiveSlot = raw_receive;
  receiver.base.rStartup = raw_startup;
  receiver.base.rShutdown = raw_ignore;
  receiver.base.rDestroy = raw_ignore;
  receiver.base.mydest = DestTuplestore;
  receiver.source = this;
  const char* text = sql_.c_str();
  DestReceiver* destination = &receiver.base;
  const int result = guarded([=] { return raw_execute(text, destination); });
  if (result < 0) {
    throw core::Error(
        core::sqlstate::internal_error,
        std::string("SPI refused to read ") + relation_name_ + ": " + SPI_result_code_string(result), sql_);
  }
}

void ExecutorSource::raw_startup(DestReceiver* receiver, int /*operation*/, TupleDesc description) {
  ExecutorSource* source = reinterpret_cast<Receiver*>(receiver)->source;
  const MemoryContext before = MemoryContextSwitchTo(source->memory_);
  source->description_ = BlessTupleDesc(CreateTupleDescCopy(description));
  MemoryContextSwitchTo(before);
}

void ExecutorSource::raw_ignore(DestReceiver* /*receiver*/) {}

// Called from the executor's C frames: no exception may leave it, and nothing here has a destructor when it
// raises.
bool ExecutorSource::raw_receive(TupleTableSlot* slot, DestReceiver* receiver) {
  ExecutorSource* source = reinterpret_cast<Receiver*>(receiver)->source;
  try {
    source->receive(slot);
    return true;
  } catch (...) {
    source->failure_ = std::current_exception();
  }
  enter_callback([](void* failed) { std::rethrow_exception(static_cast<ExecutorSource*>(failed)->failure_); },
                 source);
  return false;
}

void ExecutorSource::receive(TupleTableSlot* slot) {
  const RawRow row{values_.data(), is_varlena_.data(), static_cast<int>(values_.size())};
  Tuplestorestate* store = store_;
  const MemoryContext memory = row_memory_;
  guarded([=] { raw_load(slot, row, store, memory); });
  const MemoryContext before = MemoryContextSwitchTo(memory);
  match_->add(hasher_->hash(values_.data(), slot->tts_isnull).compact(rows_++));
  MemoryContextSwitchTo(before);
  if (rows_ % Progress::report_rows == 0) match_->publish_rows();
  if (!memory->isReset) MemoryContextReset(memory);
}

void ExecutorSource::fetch(std::span<const std::uint64_t> ordinals, RowVisitor& visitor) {
  if (ordinals.empty()) return;
  Tuplestorestate* store = store_;
  const TupleDesc description = description_;
  TupleTableSlot* slot = guarded([=] {
    tuplestore_rescan(store);
    return MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple);
  });
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < ordinals.size(); i++) {
    check_for_interrupts();
    const auto skip = static_cast<std::int64_t>(ordinals[i] - next);
    const bool found = guarded([=] {
      if (skip > 0 && !tuplestore_skiptuples(store, skip, true)) return false;
      if (!tuplestore_gettupleslot(store, true, false, slot)) return false;
      slot_getallattrs(slot);
      return true;
    });
    if (!found)
      throw core::Error(core::sqlstate::internal_error, "a kept row of " + relation_name_ + " is gone");
    next = ordinals[i] + 1;
    visitor.visit(i, slot);
  }
  guarded([=] { ExecDropSingleTupleTableSlot(slot); });
}

}  // namespace pg_reconcile::pg

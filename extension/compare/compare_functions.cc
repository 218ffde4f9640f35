// reconcile.compare and reconcile.compare_summary, as SQL calls them.
#include <exception>

#include "extension/compare/comparison.h"

extern "C" {
#include <access/htup_details.h>
#include <funcapi.h>
#include <utils/memutils.h>
}

namespace {

using pg_reconcile::pg::guarded;

// A context of its own that goes when the function returns, and with its parent when an error is raised.
class CallMemory {
 public:
  CallMemory() : caller_(CurrentMemoryContext) {
    memory_ = guarded([] {
      return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare", ALLOCSET_DEFAULT_SIZES);
    });
    MemoryContextSwitchTo(memory_);
  }
  ~CallMemory() {
    MemoryContextSwitchTo(caller_);
    // On an error nothing is freed here: abort does it, in its own order.
    if (std::uncaught_exceptions() == 0) MemoryContextDelete(memory_);
  }
  CallMemory(const CallMemory&) = delete;
  CallMemory& operator=(const CallMemory&) = delete;

 private:
  MemoryContext caller_;
  MemoryContext memory_ = nullptr;
};

Datum raw_summary(FunctionCallInfo fcinfo, const pg_reconcile::pg::CompareSummary& summary) {
  TupleDesc description = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &description) != TYPEFUNC_COMPOSITE) {
    elog(ERROR, "compare_summary must return a row");
  }
  const std::uint64_t counts[] = {summary.left_rows,      summary.right_rows,     summary.matched,
                                  summary.missing_left,   summary.missing_right,  summary.mismatched,
                                  summary.duplicate_left, summary.duplicate_right};
  constexpr int columns = static_cast<int>(std::size(counts));
  Datum values[columns];
  bool nulls[columns] = {};
  for (int i = 0; i < columns; i++) values[i] = Int64GetDatum(static_cast<std::int64_t>(counts[i]));
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), values, nulls));
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_compare) {
  const CallMemory memory;
  pg_reconcile::pg::run_comparison(pg_reconcile::pg::read_request(fcinfo), fcinfo);
  return static_cast<Datum>(0);
}

PG_RECONCILE_FUNCTION(reconcile_explain_compare) {
  const CallMemory memory;
  pg_reconcile::pg::explain_comparison(pg_reconcile::pg::read_request(fcinfo), fcinfo);
  return static_cast<Datum>(0);
}

PG_RECONCILE_FUNCTION(reconcile_compare_summary) {
  pg_reconcile::pg::CompareSummary summary;
  {
    const CallMemory memory;
    summary = pg_reconcile::pg::run_comparison(pg_reconcile::pg::read_request(fcinfo), nullptr);
  }
  return guarded([&] { return raw_summary(fcinfo, summary); });
}

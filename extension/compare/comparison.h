// A whole comparison: settle the plan, read both sides under one snapshot, match, report.
#pragma once

#include "extension/compare/contested_keys.h"
#include "extension/compare/request.h"

namespace pg_reconcile::pg {

// `fcinfo` of the set-returning function that the differences go to; nullptr: only count.
CompareSummary run_comparison(const CompareRequest& request, FunctionCallInfo result);

// Says how each side would be read, and why; reads no row.
void explain_comparison(const CompareRequest& request, FunctionCallInfo result);

}  // namespace pg_reconcile::pg

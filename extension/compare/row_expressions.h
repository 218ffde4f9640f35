// What a side computes of each row where it is read: its filter, and columns that are cast to the other
// side's type. Only what gives the same in every process and at every call; the rest is for the executor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "extension/compare/row_source.h"

extern "C" {
#include <executor/tuptable.h>
#include <nodes/execnodes.h>
}

namespace pg_reconcile::pg {

// Settled once, by the leader. A row's inputs are the plan's columns as they are stored, then `more_columns`.
struct RowExpressionPlan {
  std::string reason;                     // not empty: why the executor has to compute them
  std::vector<std::string> more_columns;  // that the filter alone reads
  std::string nodes;                      // for RowExpressions; empty: there is nothing to compute
};

// The filter has been checked by check_filter.
RowExpressionPlan plan_expressions(const ComparedRelation& relation, core::Side side, const ComparePlan& plan,
                                   const std::optional<std::string>& filter);

// One process's evaluation. Lives in the memory context that is current when it is made.
class RowExpressions {
 public:
  explicit RowExpressions(const char* nodes);

  // `values` and `nulls` of the inputs, detoasted; columns that are cast are replaced. False: the filter does
  // not let the row through. Allocates in the current memory context.
  bool compute(Datum* values, bool* nulls);

 private:
  TupleTableSlot* slot_;
  ExprContext* context_;
  ExprState* filter_;
  struct Cast {
    std::size_t column;
    ExprState* expression;
  };
  std::vector<Cast> casts_;
};

}  // namespace pg_reconcile::pg

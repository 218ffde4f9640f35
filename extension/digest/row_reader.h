// Hashes the rows that an aggregate is called with.
#pragma once

#include <vector>

#include "core/digest/row_hash.h"
#include "extension/values/published_value.h"

namespace pg_reconcile::pg {

// One for each place in a query where an aggregate is called: what its columns are is looked up once.
class RowReader {
 public:
  // The reader of this call site, made at its first row. The row's columns are the arguments from `first` on;
  // `function` names the aggregate in messages.
  static RowReader& of(FunctionCallInfo fcinfo, int first, const char* function);

  RowReader(FunctionCallInfo fcinfo, int first, const char* function);

  [[nodiscard]] std::size_t columns() const { return columns_.size(); }

  // The published row hash of this row.
  core::uint128 hash(FunctionCallInfo fcinfo) {
    hasher_.clear();
    const NullableDatum* argument = &fcinfo->args[first_];
    for (const PublishedValue& column : columns_) {
      if (argument->isnull) {
        hasher_.add_null();
      } else {
        column.add(argument->value, hasher_);
      }
      argument++;
    }
    return hasher_.finish();
  }

 private:
  int first_;
  std::vector<PublishedValue> columns_;
  core::RowHasher hasher_;
};

// Where a transition's state lives. Throws 55000 outside an aggregate.
MemoryContext aggregate_memory(FunctionCallInfo fcinfo);

}  // namespace pg_reconcile::pg

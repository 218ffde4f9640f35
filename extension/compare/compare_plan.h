// Which columns are compared, as what type, by which converter: settled once, before a row is read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "extension/compare/encoding.h"
#include "extension/compare/relation.h"
#include "extension/compare/request.h"
#include "extension/compare/tolerance.h"

namespace pg_reconcile::pg {

struct ColumnPair {
  std::string left_name;
  std::string right_name;
  // What the column's query reads: the column, cast where the two sides differ (int4 and int8, text and
  // varchar).
  std::string left_expression;
  std::string right_expression;
  // The column's stored bytes are those of the common type: no cast, or one that changes nothing.
  bool left_as_stored;
  bool right_as_stored;
  TypeOperations operations;
  ValueEncoder encoder;
  std::optional<ColumnTolerance> tolerance;
};

struct ComparePlan {
  std::vector<ColumnPair> columns;  // keys first
  std::size_t key_count = 0;
  [[nodiscard]] bool has_tolerance() const;
};

// Resolves names, types and tolerances. Throws core::Error that names the column.
ComparePlan make_plan(const ComparedRelation& left, const ComparedRelation& right,
                      const CompareRequest& request, std::uint64_t hash_seed);

}  // namespace pg_reconcile::pg

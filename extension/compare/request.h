// What the caller of compare and compare_summary asked for, as plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

struct ToleranceArgument {
  std::string column;
  std::string text;
};

struct CompareRequest {
  Oid left_relation = InvalidOid;
  Oid right_relation = InvalidOid;
  std::vector<std::string> key;
  std::optional<std::vector<std::string>> compare;
  std::optional<std::string> left_filter;
  std::optional<std::string> right_filter;
  std::vector<ToleranceArgument> tolerance;
};

// Reads the seven arguments. Throws core::Error for what can't be meant: NULL relations, no key, a NULL name,
// a tolerance that is no object of texts and numbers.
CompareRequest read_request(FunctionCallInfo fcinfo);

}  // namespace pg_reconcile::pg

// A relation that rows are read from: its columns, its name as SQL writes it, and what the caller may read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "extension/pg/guard.h"

extern "C" {
#include <access/attnum.h>
}

namespace pg_reconcile::pg {

struct RelationColumn {
  std::string name;
  AttrNumber number;
  Oid type;
  Oid collation;
};

class ComparedRelation {
 public:
  // Locks the relation (ACCESS SHARE, until the transaction ends, as any SELECT does) and reads its columns.
  // Throws core::Error when it does not exist or has no rows to read (an index, a sequence, ...).
  explicit ComparedRelation(Oid relation);

  [[nodiscard]] Oid oid() const { return oid_; }
  // Schema-qualified and quoted where needed; also how messages name the relation.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<RelationColumn>& columns() const { return columns_; }
  // What the planner's statistics say; disengaged when they say nothing.
  [[nodiscard]] std::optional<std::int64_t> estimated_rows() const { return estimated_rows_; }
  [[nodiscard]] const RelationColumn* find(std::string_view column) const;
  // Throws 42703 with the columns there are.
  [[nodiscard]] const RelationColumn& require(std::string_view column, const char* argument) const;
  [[nodiscard]] bool may_read(const RelationColumn& column) const;
  // Throws 42501 that names the column. The executor checks again, and is what decides.
  void check_may_read(const std::vector<const RelationColumn*>& wanted) const;

 private:
  Oid oid_;
  std::string name_;
  std::vector<RelationColumn> columns_;
  std::optional<std::int64_t> estimated_rows_;
};

// An identifier as SQL needs it, quoted where needed.
std::string quoted(const std::string& identifier);

}  // namespace pg_reconcile::pg

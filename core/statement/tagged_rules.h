// What a tagged format says of its records, one by one.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "core/json_document.h"
#include "core/statement/fixed_layout.h"
#include "core/statement/format_document.h"

namespace pg_reconcile::core {

struct TaggedRecord {
  enum class Role {
    row,           // becomes a row
    fact,          // is of the statement: "meta", "control" and later rows read it
    names,         // names the columns of other records
    continuation,  // adds fields to the row before it
    skip,          // says nothing that is needed
    end            // a fact that closes the file: without it the file is torn
  };
  Role role = Role::row;
  bool starts_statement = false;
  std::vector<std::string> names;      // separated values: in order, without the code; empty: the file says
  FixedLayout layout;                  // fixed widths
  std::vector<std::string> names_for;  // Role::names: the codes; empty: every one that follows
  std::string join = " ";              // Role::continuation: between values of one name
  bool shorter = false;                // values at the end may be missing
};

struct TaggedRules {
  bool fixed = false;
  std::size_t code_start = 0;  // fixed: bytes; separated: position of the code's column
  std::size_t code_width = 0;  // fixed
  char line_end = '\n';
  bool skip_unknown = false;
  std::map<std::string, TaggedRecord, std::less<>> records;

  // Throws core::Error 22023 that names the path.
  static TaggedRules read(const FormatDocument& format);

  // "code.name": a field of a fact or a continuation, as rows see it.
  static std::string foreign_name(std::string_view code, std::string_view name);
  [[nodiscard]] bool has(TaggedRecord::Role role) const;
};

}  // namespace pg_reconcile::core

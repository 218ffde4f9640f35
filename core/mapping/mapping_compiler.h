// Turns a mapping document into expressions: the words of DESIGN section 11, checked one by one.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json_document.h"
#include "core/mapping/expression.h"
#include "core/mapping/normaliser.h"

namespace pg_reconcile::core::mapping {

struct CompiledMapping {
  std::array<std::optional<Expression>, field_count> fields;
  std::vector<Field> order;  // every mapped field after the fields that it looks at
  bool keep_rest = false;    // attributes: every column that nothing else reads
  std::vector<std::pair<std::string, Expression>> attributes;
};

// One expression outside a mapping (a statement's fact, a total): no canonical field is known there, so that
// nothing can go "by" one.
Expression compile_expression(const JsonNode& node, FieldType type, TimeZones& zones);

CompiledMapping compile_mapping(const JsonNode& document, const MappingDefaults& defaults, TimeZones& zones);

}  // namespace pg_reconcile::core::mapping

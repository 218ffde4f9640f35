#include "core/mapping/vocabulary.h"

namespace pg_reconcile::core {
namespace {

struct FieldDescription {
  std::string_view name;
  FieldType type;
};

constexpr std::array<FieldDescription, field_count> fields = {{
    {"channel", FieldType::text},
    {"account", FieldType::text},
    {"book", FieldType::text},
    {"kind", FieldType::text},
    {"sub_kind", FieldType::text},
    {"order_key", FieldType::text},
    {"match_key", FieldType::text},
    {"channel_ref", FieldType::text},
    {"original_ref", FieldType::text},
    {"amount", FieldType::amount},
    {"currency", FieldType::text},
    {"settle_amount", FieldType::amount},
    {"settlement_currency", FieldType::text},
    {"fx_rate", FieldType::amount},
    {"fee", FieldType::amount},
    {"net", FieldType::amount},
    {"status", FieldType::text},
    {"source_status", FieldType::text},
    {"occurred_at", FieldType::timestamp},
    {"value_date", FieldType::date},
    {"business_date", FieldType::date},
    {"settlement_ref", FieldType::text},
}};

}  // namespace

std::string_view field_name(Field field) {
  return fields[static_cast<std::size_t>(field)].name;
}

std::optional<Field> field_by_name(std::string_view name) {
  for (std::size_t i = 0; i < fields.size(); i++) {
    if (fields[i].name == name) return static_cast<Field>(i);
  }
  return std::nullopt;
}

FieldType field_type(Field field) {
  return fields[static_cast<std::size_t>(field)].type;
}

}  // namespace pg_reconcile::core

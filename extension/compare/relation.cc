#include "extension/compare/relation.h"

extern "C" {
#include <access/relation.h>
#include <access/table.h>
#include <catalog/pg_attribute.h>
#include <catalog/pg_class.h>
#include <utils/acl.h>
#include <utils/builtins.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr const char* undefined_table = "42P01";
constexpr const char* wrong_object_type = "42809";

const char* raw_quoted(const char* identifier) {
  return quote_identifier(identifier);
}

const char* raw_qualified_name(Relation relation) {
  return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                    RelationGetRelationName(relation));
}

const char* kind_word(char kind) {
  switch (kind) {
    case RELKIND_INDEX:
    case RELKIND_PARTITIONED_INDEX:
      return "an index";
    case RELKIND_SEQUENCE:
      return "a sequence";
    case RELKIND_COMPOSITE_TYPE:
      return "a composite type";
    case RELKIND_TOASTVALUE:
      return "a TOAST table";
    default:
      return "no table";
  }
}

bool has_rows(char kind) {
  return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_VIEW ||
         kind == RELKIND_MATVIEW || kind == RELKIND_FOREIGN_TABLE;
}

}  // namespace

std::string quoted(const std::string& identifier) {
  const char* text = identifier.c_str();
  return guarded([=] { return raw_quoted(text); });
}

ComparedRelation::ComparedRelation(Oid oid) : oid_(oid) {
  Relation relation = guarded([=] { return try_relation_open(oid, AccessShareLock); });
  if (relation == nullptr) {
    throw core::Error(undefined_table, "relation with OID " + std::to_string(oid) + " does not exist",
                      "It may have been dropped since its name was looked up.",
                      "Name an existing relation, for example 'public.payments'.");
  }
  name_ = guarded([=] { return raw_qualified_name(relation); });
  const char kind = relation->rd_rel->relkind;
  if (relation->rd_rel->reltuples >= 0) {
    estimated_rows_ = static_cast<std::int64_t>(relation->rd_rel->reltuples);
  }
  const TupleDesc description = RelationGetDescr(relation);
  for (int i = 0; i < description->natts; i++) {
    const FormData_pg_attribute* column = TupleDescAttr(description, i);
    if (column->attisdropped) continue;
    columns_.push_back({NameStr(column->attname), column->attnum, column->atttypid, column->attcollation});
  }
  guarded([=] { relation_close(relation, NoLock); });
  if (!has_rows(kind)) {
    throw core::Error(wrong_object_type, name_ + " is " + kind_word(kind),
                      "It has no rows that a query could read.",
                      "Compare tables, partitioned tables, views, materialized views or foreign tables.");
  }
}

const RelationColumn* ComparedRelation::find(std::string_view column) const {
  for (const RelationColumn& candidate : columns_) {
    if (candidate.name == column) return &candidate;
  }
  return nullptr;
}

const RelationColumn& ComparedRelation::require(std::string_view column, const char* argument) const {
  if (const RelationColumn* found = find(column)) return *found;
  std::string names;
  for (const RelationColumn& candidate : columns_) names += (names.empty() ? "" : ", ") + candidate.name;
  throw core::Error(core::sqlstate::undefined_column,
                    "column \"" + std::string(column) + "\" of " + name_ + " does not exist",
                    std::string("The argument ") + argument + " names it.",
                    "Its columns are: " + names + ". Names that differ are written 'left_name=right_name'.");
}

bool ComparedRelation::may_read(const RelationColumn& column) const {
  const Oid relation = oid_;
  const Oid user = GetUserId();
  const AttrNumber number = column.number;
  return guarded([=] {
    return pg_class_aclcheck(relation, user, ACL_SELECT) == ACLCHECK_OK ||
           pg_attribute_aclcheck(relation, number, user, ACL_SELECT) == ACLCHECK_OK;
  });
}

void ComparedRelation::check_may_read(const std::vector<const RelationColumn*>& wanted) const {
  const Oid relation = oid_;
  const Oid user = GetUserId();
  if (guarded([=] { return pg_class_aclcheck(relation, user, ACL_SELECT); }) == ACLCHECK_OK) return;
  for (const RelationColumn* column : wanted) {
    if (may_read(*column)) continue;
    const char* role = guarded([=] { return raw_quoted(GetUserNameFromId(user, false)); });
    throw core::Error(core::sqlstate::insufficient_privilege, "permission denied for " + name_,
                      std::string("The role ") + role + " may not read column \"" + column->name + "\".",
                      "GRANT SELECT ON " + name_ + " TO " + role + ";");
  }
}

}  // namespace pg_reconcile::pg

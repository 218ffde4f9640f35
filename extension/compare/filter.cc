#include "extension/compare/filter.h"

extern "C" {
#include <access/relation.h>
#include <nodes/parsenodes.h>
#include <parser/parse_coerce.h>
#include <parser/parse_expr.h>
#include <parser/parse_node.h>
#include <parser/parse_relation.h>
#include <parser/parser.h>
#include <utils/rel.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr const char* syntax_error = "42601";

// Both raw functions run under a guard, which puts the error context back.

// The one expression of a SELECT that says nothing else; nullptr when there is more, or less.
Node* raw_only_expression(const char* filter) {
  error_context_stack = nullptr;  // a query around this one would take the error's position for its own
  List* statements = raw_parser(filter, RAW_PARSE_PLPGSQL_EXPR);
  if (list_length(statements) != 1) return nullptr;
  Node* statement = linitial_node(RawStmt, statements)->stmt;
  if (!IsA(statement, SelectStmt)) return nullptr;
  const SelectStmt* select = reinterpret_cast<SelectStmt*>(statement);
  if (select->op != SETOP_NONE || select->distinctClause != NIL || select->intoClause != nullptr ||
      select->fromClause != NIL || select->whereClause != nullptr || select->groupClause != NIL ||
      select->havingClause != nullptr || select->windowClause != NIL || select->valuesLists != NIL ||
      select->sortClause != NIL || select->limitOffset != nullptr || select->limitCount != nullptr ||
      select->lockingClause != NIL || select->withClause != nullptr || list_length(select->targetList) != 1) {
    return nullptr;
  }
  const ResTarget* target = linitial_node(ResTarget, select->targetList);
  return target->name == nullptr && target->indirection == NIL ? target->val : nullptr;
}

enum class Wanted { boolean, anything };

Node* raw_analyse(const char* text, Node* expression, Oid oid, Wanted wanted) {
  error_context_stack = nullptr;
  Relation relation = relation_open(oid, AccessShareLock);
  ParseState* state = make_parsestate(nullptr);
  state->p_sourcetext = text;
  ParseNamespaceItem* item =
      addRangeTableEntryForRelation(state, relation, AccessShareLock, nullptr, false, true);
  addNSItemToQuery(state, item, false, true, true);
  Node* analysed = transformExpr(state, expression, EXPR_KIND_WHERE);
  if (wanted == Wanted::boolean) analysed = coerce_to_boolean(state, analysed, "a filter");
  free_parsestate(state);
  relation_close(relation, NoLock);
  return analysed;
}

std::string hint_for(const ComparedRelation& relation) {
  return "Write one boolean expression over the columns of " + relation.name() +
         ", as after WHERE, for example: status = 'success'.";
}

// Classes 42 (syntax, names, access) and 22 (a literal that is no value of its type); a cancel is neither.
bool is_about_the_text(const PostgresError& error) {
  const std::string_view state = error.state();
  return state.substr(0, 2) == "42" || state.substr(0, 2) == "22";
}

}  // namespace

void check_filter(const ComparedRelation& relation, const std::string& filter, const char* argument) {
  const char* text = filter.c_str();
  const Oid oid = relation.oid();
  try {
    Node* expression = guarded([=] { return raw_only_expression(text); });
    if (expression == nullptr) {
      throw core::Error(syntax_error, std::string(argument) + " is not one boolean expression",
                        "It is \"" + filter + "\".", hint_for(relation));
    }
    guarded([=] { raw_analyse(text, expression, oid, Wanted::boolean); });
  } catch (const PostgresError& error) {
    if (!is_about_the_text(error)) throw;
    std::string detail = error.what();
    if (error.data()->cursorpos > 0) {
      detail += " (character " + std::to_string(error.data()->cursorpos) + " of the filter)";
    }
    detail += ".";
    if (error.detail()[0] != '\0') detail += std::string(" ") + error.detail();
    throw core::Error(error.state(), std::string(argument) + " is not a valid filter", detail,
                      hint_for(relation));
  }
}

Node* analysed_expression(const ComparedRelation& relation, const std::string& expression) {
  const char* text = expression.c_str();
  const Oid oid = relation.oid();
  return guarded([=] { return raw_analyse(text, raw_only_expression(text), oid, Wanted::anything); });
}

}  // namespace pg_reconcile::pg

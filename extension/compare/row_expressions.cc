#include "extension/compare/row_expressions.h"

#include "extension/compare/filter.h"

extern "C" {
#include <catalog/pg_proc.h>
#include <executor/executor.h>
#include <nodes/makefuncs.h>
#include <nodes/nodeFuncs.h>
#include <nodes/readfuncs.h>
#include <optimizer/optimizer.h>
#include <parser/parse_collate.h>
#include <parser/parse_node.h>
#include <rewrite/rewriteManip.h>
#include <utils/lsyscache.h>
}

namespace pg_reconcile::pg {
namespace {

// Until PostgreSQL 15 the walker's type says nothing of its arguments.
#if PG_VERSION_NUM >= 160000
using RawWalker = tree_walker_callback;
#else
using RawWalker = bool (*)();
#endif

bool raw_walk(Node* node, bool (*walker)(Node*, void*), void* context) {
  return expression_tree_walker(node, reinterpret_cast<RawWalker>(reinterpret_cast<void (*)()>(walker)),
                                context);
}

bool raw_is_unsafe_function(Oid function, void*) {
  return func_parallel(function) != PROPARALLEL_SAFE;
}

bool raw_is_unsafe(Node* node, void*) {
  if (node == nullptr) return false;
  if (IsA(node, Param) || IsA(node, CoerceToDomain) || IsA(node, NextValueExpr)) return true;
  if (check_functions_in_node(node, raw_is_unsafe_function, nullptr)) return true;
  return raw_walk(node, raw_is_unsafe, nullptr);
}

struct RawPrepared {
  Node* node;
  const char* reason;
};

RawPrepared raw_prepare(Node* node) {
  if (checkExprHasSubLink(node)) return {nullptr, "has a subquery"};
  ParseState* state = make_parsestate(nullptr);
  assign_expr_collations(state, node);
  free_parsestate(state);
  Node* planned = reinterpret_cast<Node*>(expression_planner(reinterpret_cast<Expr*>(node)));
  if (contain_volatile_functions(planned)) return {nullptr, "is volatile"};
  if (raw_is_unsafe(planned, nullptr)) return {nullptr, "calls what is not parallel safe"};
  return {planned, nullptr};
}

// Numbers the columns that an expression reads as its inputs, and adds those that are none yet.
struct RawInputs {
  List* columns;  // Vars, as they are in the relation
  bool reads_row;
};

bool raw_number_inputs(Node* node, void* context) {
  if (node == nullptr) return false;
  auto* inputs = static_cast<RawInputs*>(context);
  if (IsA(node, Var)) {
    auto* column = reinterpret_cast<Var*>(node);
    if (column->varattno <= 0) {
      inputs->reads_row = true;
      return true;
    }
    ListCell* cell = nullptr;
    AttrNumber number = 1;
    foreach (cell, inputs->columns) {
      if (static_cast<Var*>(lfirst(cell))->varattno == column->varattno) break;
      number++;
    }
    if (cell == nullptr) inputs->columns = lappend(inputs->columns, copyObjectImpl(column));
    column->varattno = number;
    return false;
  }
  return raw_walk(node, raw_number_inputs, context);
}

const char* raw_to_text(List* inputs, Node* filter, List* casts) {
  return nodeToString(list_make3(inputs, filter, casts));
}

struct RawNodes {
  List* inputs;
  Node* filter;
  List* casts;
};

RawNodes raw_from_text(const char* text) {
  auto* all = static_cast<List*>(stringToNode(text));
  return {static_cast<List*>(linitial(all)), static_cast<Node*>(lsecond(all)),
          static_cast<List*>(lthird(all))};
}

TupleTableSlot* raw_slot(List* inputs) {
  TupleDesc description = CreateTemplateTupleDesc(list_length(inputs));
  ListCell* cell = nullptr;
  AttrNumber number = 1;
  foreach (cell, inputs) {
    const auto* column = static_cast<const Var*>(lfirst(cell));
    TupleDescInitEntry(description, number, nullptr, column->vartype, column->vartypmod, 0);
    TupleDescInitEntryCollation(description, number, column->varcollid);
    number++;
  }
  return MakeSingleTupleTableSlot(description, &TTSOpsVirtual);
}

struct RawRow {
  Datum* values;
  bool* nulls;
};

void raw_store(TupleTableSlot* slot, RawRow row) {
  ExecClearTuple(slot);
  const auto count = static_cast<std::size_t>(slot->tts_tupleDescriptor->natts);
  std::memcpy(slot->tts_values, row.values, count * sizeof(Datum));
  std::memcpy(slot->tts_isnull, row.nulls, count * sizeof(bool));
  ExecStoreVirtualTuple(slot);
}

List* raw_append_column(List* inputs, AttrNumber number, const RelationColumn* column, Oid relation) {
  Oid type = InvalidOid;
  Oid collation = InvalidOid;
  int32 modifier = -1;
  get_atttypetypmodcoll(relation, number, &type, &modifier, &collation);
  return lappend(inputs, makeVar(1, number, column->type, modifier, column->collation, 0));
}

}  // namespace

RowExpressionPlan plan_expressions(const ComparedRelation& relation, core::Side side, const ComparePlan& plan,
                                   const std::optional<std::string>& filter) {
  RowExpressionPlan result;
  const Oid oid = relation.oid();
  RawInputs inputs{};
  List* casts = nullptr;
  bool has_cast = false;
  const auto column_of = [&](const ColumnPair& pair) {
    return relation.find(side == core::Side::left ? pair.left_name : pair.right_name);
  };
  for (const ColumnPair& pair : plan.columns) {
    const RelationColumn* column = column_of(pair);
    List* before = inputs.columns;
    inputs.columns = guarded([=] { return raw_append_column(before, column->number, column, oid); });
  }
  const int columns = static_cast<int>(plan.columns.size());
  // One column may be compared twice: each is an input by itself, and expressions read the first.
  for (const ColumnPair& pair : plan.columns) {
    Node* cast = nullptr;
    if (!(side == core::Side::left ? pair.left_as_stored : pair.right_as_stored)) {
      const std::string& text = side == core::Side::left ? pair.left_expression : pair.right_expression;
      Node* analysed = analysed_expression(relation, text);
      const RawPrepared prepared = guarded([=] { return raw_prepare(analysed); });
      if (prepared.reason != nullptr) {
        result.reason = "the cast of column \"" + column_of(pair)->name + "\" " + prepared.reason;
        return result;
      }
      cast = prepared.node;
      RawInputs* numbered = &inputs;
      guarded([=] { raw_number_inputs(cast, numbered); });
      has_cast = true;
    }
    List* before = casts;
    casts = guarded([=] { return lappend(before, cast); });
  }
  Node* condition = nullptr;
  if (filter) {
    Node* analysed = analysed_expression(relation, *filter);
    const RawPrepared prepared = guarded([=] { return raw_prepare(analysed); });
    condition = prepared.node;
    RawInputs* numbered = &inputs;
    if (condition != nullptr) guarded([=] { raw_number_inputs(condition, numbered); });
    if (prepared.reason != nullptr || inputs.reads_row) {
      result.reason = std::string("its filter ") +
                      (prepared.reason != nullptr ? prepared.reason : "reads the row or a system column");
      return result;
    }
  }
  for (int i = columns; i < list_length(inputs.columns); i++) {
    const AttrNumber number = static_cast<const Var*>(list_nth(inputs.columns, i))->varattno;
    for (const RelationColumn& column : relation.columns()) {
      if (column.number != number) continue;
      if (!relation.may_read(column)) {
        result.reason = "its filter reads a column that the role may not read";
        return result;
      }
      result.more_columns.push_back(column.name);
    }
  }
  if (!filter && !has_cast) return result;
  List* all = inputs.columns;
  result.nodes = guarded([=] { return raw_to_text(all, condition, casts); });
  return result;
}

RowExpressions::RowExpressions(const char* nodes) {
  const RawNodes raw = guarded([=] { return raw_from_text(nodes); });
  slot_ = guarded([=] { return raw_slot(raw.inputs); });
  context_ = guarded([] { return CreateStandaloneExprContext(); });
  context_->ecxt_scantuple = slot_;
  filter_ = guarded([=] {
    return raw.filter == nullptr ? nullptr : ExecInitExpr(reinterpret_cast<Expr*>(raw.filter), nullptr);
  });
  for (int i = 0; i < list_length(raw.casts); i++) {
    auto* cast = static_cast<Expr*>(list_nth(raw.casts, i));
    if (cast == nullptr) continue;
    casts_.push_back({static_cast<std::size_t>(i), guarded([=] { return ExecInitExpr(cast, nullptr); })});
  }
}

bool RowExpressions::compute(Datum* values, bool* nulls) {
  TupleTableSlot* slot = slot_;
  ExprContext* context = context_;
  ExprState* filter = filter_;
  const Cast* casts = casts_.data();
  const std::size_t count = casts_.size();
  return guarded([=] {
    CHECK_FOR_INTERRUPTS();
    ResetExprContext(context);
    raw_store(slot, {values, nulls});
    if (filter != nullptr) {
      bool is_null = false;
      const Datum passes = ExecEvalExpr(filter, context, &is_null);
      if (is_null || !DatumGetBool(passes)) return false;
    }
    for (std::size_t i = 0; i < count; i++) {
      const std::size_t column = casts[i].column;
      values[column] = ExecEvalExpr(casts[i].expression, context, &nulls[column]);
    }
    return true;
  });
}

}  // namespace pg_reconcile::pg

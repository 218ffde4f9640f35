#include "extension/compare/result_writer.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <nodes/makefuncs.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/fmgroids.h>
#include <utils/jsonb.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr int result_columns = 5;

const char* word(ResultKind kind) {
  switch (kind) {
    case ResultKind::missing_left:
      return "missing_left";
    case ResultKind::missing_right:
      return "missing_right";
    case ResultKind::mismatch:
      return "mismatch";
    case ResultKind::duplicate_left:
      return "duplicate_left";
    case ResultKind::duplicate_right:
      return "duplicate_right";
  }
  return "";
}

// to_jsonb(anyelement) asks its call expression what it is given: a record.
FmgrInfo* raw_to_jsonb_of_record() {
  auto* info = static_cast<FmgrInfo*>(palloc(sizeof(FmgrInfo)));
  fmgr_info(F_TO_JSONB, info);
  Const* argument = makeNullConst(RECORDOID, -1, InvalidOid);
  FuncExpr* call =
      makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
  fmgr_info_set_expr(reinterpret_cast<Node*>(call), info);
  return info;
}

Datum raw_text_array(Datum* texts, bool* nulls, int count) {
  int bounds[1] = {1};
  return PointerGetDatum(
      construct_md_array(texts, nulls, 1, &count, bounds, TEXTOID, -1, false, TYPALIGN_INT));
}

struct RawKey {
  FmgrInfo* const* output;
  int count;
};

Datum raw_key(RawKey key, const RowValues& row) {
  auto* texts = static_cast<Datum*>(palloc0(sizeof(Datum) * static_cast<std::size_t>(key.count)));
  for (int i = 0; i < key.count; i++) {
    if (!row.nulls[i]) texts[i] = CStringGetTextDatum(OutputFunctionCall(key.output[i], row.values[i]));
  }
  return raw_text_array(texts, row.nulls, key.count);
}

Datum raw_json(FmgrInfo* to_jsonb, TupleDesc description, const RowValues& row) {
  const HeapTuple tuple = heap_form_tuple(description, row.values, row.nulls);
  return FunctionCall1(to_jsonb, HeapTupleGetDatum(tuple));
}

}  // namespace

ResultWriter::ResultWriter(FunctionCallInfo fcinfo, const ComparePlan& plan) : plan_(plan) {
  guarded([=] { InitMaterializedSRF(fcinfo, 0); });
  const auto* set = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  store_ = set->setResult;
  result_ = set->setDesc;
  to_jsonb_ = guarded([] { return raw_to_jsonb_of_record(); });
  for (std::size_t i = 0; i < plan.key_count; i++) key_output_.push_back(plan.columns[i].operations.output);
  row_memory_ = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare result row",
                                 ALLOCSET_DEFAULT_SIZES);
  });
}

void ResultWriter::describe(TupleDesc left, TupleDesc right) {
  left_ = left;
  right_ = right;
}

void ResultWriter::write_single(ResultKind kind, const RowValues& row) {
  const bool is_left = kind == ResultKind::missing_right || kind == ResultKind::duplicate_left;
  write(kind, is_left ? &row : nullptr, is_left ? nullptr : &row, 0);
}

void ResultWriter::write_mismatch(const RowValues& left, const RowValues& right,
                                  const std::vector<std::size_t>& differing) {
  std::vector<const char*> names;
  for (const std::size_t column : differing) names.push_back(plan_.columns[column].left_name.c_str());
  const char* const* first = names.data();
  const int count = static_cast<int>(names.size());
  const MemoryContext before = MemoryContextSwitchTo(row_memory_);
  const Datum array = guarded([=] {
    auto* texts = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<std::size_t>(count)));
    for (int i = 0; i < count; i++) texts[i] = CStringGetTextDatum(first[i]);
    return raw_text_array(texts, nullptr, count);
  });
  MemoryContextSwitchTo(before);
  write(ResultKind::mismatch, &left, &right, array);
}

void ResultWriter::write(ResultKind kind, const RowValues* left, const RowValues* right, Datum differing) {
  const RawKey key{key_output_.data(), static_cast<int>(key_output_.size())};
  const TupleDesc left_description = left_;
  const TupleDesc right_description = right_;
  FmgrInfo* to_jsonb = to_jsonb_;
  Tuplestorestate* store = store_;
  const TupleDesc result = result_;
  const MemoryContext memory = row_memory_;
  guarded([=] {
    const MemoryContext before = MemoryContextSwitchTo(memory);
    Datum values[result_columns] = {CStringGetTextDatum(word(kind)),
                                    raw_key(key, left != nullptr ? *left : *right), differing, 0, 0};
    bool nulls[result_columns] = {false, false, kind != ResultKind::mismatch, left == nullptr,
                                  right == nullptr};
    if (left != nullptr) values[3] = raw_json(to_jsonb, left_description, *left);
    if (right != nullptr) values[4] = raw_json(to_jsonb, right_description, *right);
    tuplestore_putvalues(store, result, values, nulls);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
  });
}

}  // namespace pg_reconcile::pg

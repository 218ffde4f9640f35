#include "extension/compare/result_writer.h"

#include <algorithm>
#include <span>

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <nodes/makefuncs.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/fmgroids.h>
#include <utils/datetime.h>
#include <utils/json.h>
#include <utils/jsonb.h>
#include <utils/numeric.h>
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

// How to_jsonb shows a type; `other`: only it knows.
JsonForm form_of(Oid type) {
  switch (type) {
    case BOOLOID:
      return JsonForm::boolean;
    case INT2OID:
      return JsonForm::int2;
    case INT4OID:
      return JsonForm::int4;
    case INT8OID:
      return JsonForm::int8;
    case NUMERICOID:
      return JsonForm::numeric;
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
      return JsonForm::date_time;
    case TEXTOID:
    case VARCHAROID:
      return JsonForm::text;
    case BPCHAROID:
    case NAMEOID:
    case UUIDOID:
      return JsonForm::printed;
    default:
      return JsonForm::other;
  }
}

JsonbValue raw_string(char* bytes, std::size_t length) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string.val = bytes;
  value.val.string.len = static_cast<int>(length);
  return value;
}

JsonbValue raw_number(Numeric number) {
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = number;
  return value;
}

JsonbValue raw_value(const JsonColumn& column, Datum datum) {
  switch (column.form) {
    case JsonForm::boolean: {
      JsonbValue value;
      value.type = jbvBool;
      value.val.boolean = DatumGetBool(datum);
      return value;
    }
    case JsonForm::int2:
      return raw_number(int64_to_numeric(DatumGetInt16(datum)));
    case JsonForm::int4:
      return raw_number(int64_to_numeric(DatumGetInt32(datum)));
    case JsonForm::int8:
      return raw_number(int64_to_numeric(DatumGetInt64(datum)));
    case JsonForm::numeric: {
      const Numeric number = DatumGetNumeric(datum);
      if (!numeric_is_nan(number) && !numeric_is_inf(number)) return raw_number(number);
      break;
    }
    case JsonForm::date_time: {
      auto* text = static_cast<char*>(palloc(MAXDATELEN + 1));
      JsonEncodeDateTime(text, datum, column.type, nullptr);
      return raw_string(text, strlen(text));
    }
    case JsonForm::text: {
      text* value = DatumGetTextPP(datum);
      return raw_string(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
    }
    default:
      break;
  }
  char* printed = OutputFunctionCall(column.output, datum);
  return raw_string(printed, strlen(printed));
}

struct RawJson {
  FmgrInfo* to_jsonb;
  TupleDesc description;
  std::span<const JsonColumn> columns;
};

// What to_jsonb makes of the row, which looks up each column's type for every row.
Datum raw_json(const RawJson& json, const RowValues& row) {
  bool is_other = json.columns.empty();
  JsonbParseState* state = nullptr;
  if (!is_other) pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  for (const JsonColumn& column : json.columns) {
    JsonbValue name =
        raw_string(NameStr(TupleDescAttr(json.description, column.place)->attname), column.name_length);
    JsonbValue value;
    value.type = jbvNull;
    if (!row.nulls[column.place]) value = raw_value(column, row.values[column.place]);
    // Too long for jsonb: to_jsonb says so.
    is_other = value.type == jbvString && value.val.string.len > JENTRY_OFFLENMASK;
    if (is_other) break;
    pushJsonbValue(&state, WJB_KEY, &name);
    pushJsonbValue(&state, WJB_VALUE, &value);
  }
  if (!is_other) return PointerGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
  const HeapTuple tuple = heap_form_tuple(json.description, row.values, row.nulls);
  return FunctionCall1(json.to_jsonb, HeapTupleGetDatum(tuple));
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
  left_columns_ = json_columns(left);
  right_columns_ = json_columns(right);
}

// In the order in which jsonb has them, so that it finds them sorted. None: not all are of a form known here.
std::vector<JsonColumn> ResultWriter::json_columns(TupleDesc description) const {
  std::vector<JsonColumn> columns;
  for (int i = 0; i < description->natts; i++) {
    const FormData_pg_attribute* attribute = TupleDescAttr(description, i);
    const JsonForm form = form_of(attribute->atttypid);
    if (form == JsonForm::other) return {};
    columns.push_back({form, attribute->atttypid, i, strlen(NameStr(attribute->attname)),
                       plan_.columns[static_cast<std::size_t>(i)].operations.output});
  }
  std::stable_sort(columns.begin(), columns.end(), [&](const JsonColumn& a, const JsonColumn& b) {
    if (a.name_length != b.name_length) return a.name_length < b.name_length;
    return memcmp(NameStr(TupleDescAttr(description, a.place)->attname),
                  NameStr(TupleDescAttr(description, b.place)->attname), a.name_length) < 0;
  });
  return columns;
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
  const RawJson left_json{to_jsonb_, left_, left_columns_};
  const RawJson right_json{to_jsonb_, right_, right_columns_};
  Tuplestorestate* store = store_;
  const TupleDesc result = result_;
  const MemoryContext memory = row_memory_;
  guarded([=] {
    const MemoryContext before = MemoryContextSwitchTo(memory);
    Datum values[result_columns] = {CStringGetTextDatum(word(kind)),
                                    raw_key(key, left != nullptr ? *left : *right), differing, 0, 0};
    bool nulls[result_columns] = {false, false, kind != ResultKind::mismatch, left == nullptr,
                                  right == nullptr};
    if (left != nullptr) values[3] = raw_json(left_json, *left);
    if (right != nullptr) values[4] = raw_json(right_json, *right);
    tuplestore_putvalues(store, result, values, nulls);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
  });
}

}  // namespace pg_reconcile::pg

#include "extension/compare/request.h"

#include "extension/pg/spi.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/array.h>
#include <utils/builtins.h>
}

namespace pg_reconcile::pg {
namespace {

enum ArgumentPosition { left_relation, right_relation, key, compare, left_filter, right_filter, tolerance };

struct TextElements {
  Datum* values;
  bool* nulls;
  int count;
};

TextElements raw_elements(Datum array) {
  TextElements elements;
  deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements.values,
                    &elements.nulls, &elements.count);
  return elements;
}

std::string text_of(Datum value) {
  return guarded([=] { return text_to_cstring(DatumGetTextPP(value)); });
}

std::vector<std::string> read_names(Datum array, const char* argument) {
  const TextElements elements = guarded([=] { return raw_elements(array); });
  std::vector<std::string> names;
  for (int i = 0; i < elements.count; i++) {
    if (elements.nulls[i]) {
      throw core::Error(
          core::sqlstate::null_value_not_allowed, std::string(argument) + " must not contain NULL",
          "Element " + std::to_string(i + 1) + " is NULL.", "Name columns, for example ARRAY['order_no'].");
    }
    names.push_back(text_of(elements.values[i]));
  }
  return names;
}

Oid read_relation(FunctionCallInfo fcinfo, int position, const char* argument) {
  if (PG_ARGISNULL(position)) {
    throw core::Error(core::sqlstate::null_value_not_allowed, std::string(argument) + " must not be NULL",
                      "There is nothing to compare with.", "Name a relation, for example 'public.payments'.");
  }
  return PG_GETARG_OID(position);
}

std::optional<std::string> read_text(FunctionCallInfo fcinfo, int position) {
  if (PG_ARGISNULL(position)) return std::nullopt;
  return text_of(PG_GETARG_DATUM(position));
}

constexpr const char* tolerance_hint =
    "Write an object of column names and tolerances, for example {\"amount\": \"0.01\", \"paid_at\": \"5 "
    "seconds\", "
    "\"fee\": \"0.1%\"}.";

std::vector<ToleranceArgument> read_tolerance(Datum document) {
  Spi spi;
  const Argument argument = Argument::datum(JSONBOID, document);
  spi.run("SELECT pg_catalog.jsonb_typeof($1)", {argument}, true);
  if (const std::string kind = spi.text(0, 0); kind != "object") {
    throw core::Error(core::sqlstate::invalid_parameter_value, "tolerance must be a JSON object",
                      "It is a JSON " + kind + ".", tolerance_hint);
  }
  spi.run(
      "SELECT key, pg_catalog.jsonb_typeof(value),"
      " pg_catalog.jsonb_extract_path_text(value, VARIADIC '{}'::pg_catalog.text[])"
      " FROM pg_catalog.jsonb_each($1)",
      {argument}, true);
  std::vector<ToleranceArgument> tolerances;
  for (std::uint64_t row = 0; row < spi.rows(); row++) {
    const std::string kind = spi.text(row, 1);
    if (kind != "string" && kind != "number") {
      throw core::Error(core::sqlstate::invalid_parameter_value,
                        "tolerance of column \"" + spi.text(row, 0) + "\" must be a text or a number",
                        "It is a JSON " + kind + ".", tolerance_hint);
    }
    tolerances.push_back({spi.text(row, 0), spi.text(row, 2)});
  }
  return tolerances;
}

}  // namespace

CompareRequest read_request(FunctionCallInfo fcinfo) {
  CompareRequest request;
  request.left_relation = read_relation(fcinfo, ArgumentPosition::left_relation, "left_relation");
  request.right_relation = read_relation(fcinfo, ArgumentPosition::right_relation, "right_relation");
  if (!PG_ARGISNULL(ArgumentPosition::key)) {
    request.key = read_names(PG_GETARG_DATUM(ArgumentPosition::key), "key");
  }
  if (request.key.empty()) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "key must name at least one column",
                      PG_ARGISNULL(ArgumentPosition::key) ? "key is NULL." : "key is an empty array.",
                      "Name the columns that say which rows belong together, for example ARRAY['order_no'].");
  }
  if (!PG_ARGISNULL(ArgumentPosition::compare)) {
    request.compare = read_names(PG_GETARG_DATUM(ArgumentPosition::compare), "compare");
  }
  request.left_filter = read_text(fcinfo, ArgumentPosition::left_filter);
  request.right_filter = read_text(fcinfo, ArgumentPosition::right_filter);
  if (!PG_ARGISNULL(ArgumentPosition::tolerance)) {
    request.tolerance = read_tolerance(PG_GETARG_DATUM(ArgumentPosition::tolerance));
  }
  return request;
}

}  // namespace pg_reconcile::pg

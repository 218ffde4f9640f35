// reconcile.sketch_difference(left, right): the rows that two sketches differ in;
// reconcile.sketch_cells(rows)
#include "core/digest/sketch_difference.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/digest/row_hash.h"
#include "extension/pg/guard.h"
#include "extension/values/numeric_text.h"
#include "extension/values/payload.h"

extern "C" {
#include <funcapi.h>
#include <utils/builtins.h>
#include <utils/tuplestore.h>
}

namespace pg_reconcile {
namespace {

using Words = std::vector<std::uint64_t>;

Words read_sketch(Datum value) {
  const std::string_view bytes = pg::payload_in_place(value);
  Words words(core::Sketch::words_of(core::Sketch::cells_in(bytes)));
  core::Sketch::read(bytes, words.data());
  return words;
}

// Left minus right; a side that is NULL has no rows.
Words subtract(FunctionCallInfo fcinfo) {
  Words right;
  if (!PG_ARGISNULL(1)) right = read_sketch(PG_GETARG_DATUM(1));
  Words left;
  if (!PG_ARGISNULL(0)) {
    left = read_sketch(PG_GETARG_DATUM(0));
  } else {
    left.resize(right.size());
    const core::Sketch shape(right.data());
    core::Sketch::make(left.data(), shape.cells(), shape.columns());
  }
  if (!right.empty()) core::Sketch(left.data()).subtract(core::Sketch(right.data()));
  return left;
}

// A key comes from a stranger: it must be text here.
Datum raw_key(const char* bytes, int size) {
  pg_verify_mbstr(PG_UTF8, bytes, size, false);
  const char* converted = pg_any_to_server(bytes, size, PG_UTF8);
  return PointerGetDatum(converted == bytes ? cstring_to_text_with_len(bytes, size)
                                            : cstring_to_text(converted));
}

const char* side_of(const core::KeyDifference& row) {
  if (row.right_rows == 0) return "left";
  return row.left_rows == 0 ? "right" : "both";
}

void write(FunctionCallInfo fcinfo, const core::KeyDifference& row) {
  constexpr int column_count = 5;
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const char* side = side_of(row);
  const std::string hash = core::to_string(row.key_hash);
  const char* digits = hash.c_str();
  const char* key = row.key ? row.key->data() : nullptr;
  const int key_size = row.key ? static_cast<int>(row.key->size()) : 0;
  const auto left_rows = static_cast<std::int64_t>(row.left_rows);
  const auto right_rows = static_cast<std::int64_t>(row.right_rows);
  pg::guarded([=] {
    bool nulls[column_count] = {false, key == nullptr, false, false, false};
    Datum values[column_count] = {CStringGetTextDatum(side),
                                  key == nullptr ? Datum{0} : raw_key(key, key_size), pg::raw_numeric(digits),
                                  Int64GetDatum(left_rows), Int64GetDatum(right_rows)};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  });
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_sketch_difference) {
  pg::guarded([=] { InitMaterializedSRF(fcinfo, 0); });
  if (PG_ARGISNULL(0) && PG_ARGISNULL(1)) PG_RETURN_NULL();
  Words words = subtract(fcinfo);
  core::Sketch difference(words.data());
  pg::BackendInterrupts interrupts;
  const std::vector<core::KeyDifference> rows = core::read_difference(difference, interrupts);
  for (const core::KeyDifference& row : rows) {
    interrupts.poll();
    write(fcinfo, row);
  }
  PG_RETURN_NULL();
}

PG_RECONCILE_FUNCTION(reconcile_sketch_cells) {
  const std::int64_t rows = PG_GETARG_INT64(0);
  const std::uint64_t cells = core::cells_for(static_cast<std::uint64_t>(std::max<std::int64_t>(rows, 0)));
  if (rows < 0 || cells > core::Sketch::cells_max) {
    throw core::Error(core::sqlstate::invalid_parameter_value,
                      "no sketch can tell " + std::to_string(rows) + " differing rows",
                      "A sketch has at most " + std::to_string(core::Sketch::cells_max) + " cells.",
                      "Take sketches of parts, such as a day or a range of keys.");
  }
  PG_RETURN_INT32(static_cast<std::int32_t>(cells));
}

}  // namespace pg_reconcile

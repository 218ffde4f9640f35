// reconcile.row_hash(VARIADIC text[]) -> numeric
#include "core/digest/row_hash.h"
#include "extension/pg/guard.h"
#include "extension/values/numeric_text.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/array.h>
}

namespace pg_reconcile {
namespace {

struct TextElements {
  Datum* values;
  bool* nulls;
  int count;
};

TextElements raw_text_elements(Datum array) {
  TextElements elements{};
  deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements.values,
                    &elements.nulls, &elements.count);
  return elements;
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_row_hash) {
  const Datum array = PG_GETARG_DATUM(0);
  const TextElements elements = pg::guarded([=] { return raw_text_elements(array); });
  core::RowHasher hasher;
  for (int i = 0; i < elements.count; i++) {
    if (elements.nulls[i]) {
      hasher.add(std::nullopt);
    } else {
      const Datum element = elements.values[i];
      const text* value = pg::guarded([=] { return DatumGetTextPP(element); });
      hasher.add(std::string_view(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
    }
  }
  const std::string digits = core::to_string(hasher.finish());
  const char* text_digits = digits.c_str();
  return pg::guarded([=] { return pg::raw_numeric(text_digits); });
}

}  // namespace pg_reconcile

#include "extension/compare/sort_prefix.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "extension/pg/numeric_view.h"
#include "extension/values/payload.h"

extern "C" {
#include <catalog/pg_type_d.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr double highest = std::numeric_limits<double>::infinity();

// The first three digits, at most 12 decimal places, are exact in a double; scaling by a power keeps their
// order.
double numeric_prefix(Datum value) {
  const NumericView view(payload_of(value));
  constexpr std::uint16_t minus_infinity = 0xF000;
  if (view.special != 0) return view.special == minus_infinity ? -highest : highest;
  constexpr std::size_t digits_used = 3;
  double leading = 0;
  for (std::size_t i = 0; i < digits_used; i++)
    leading = leading * 10000 + (i < view.digit_count() ? view.digit(i) : 0);
  if (leading == 0) return 0;
  // Beyond a double's range everything is the highest, or zero: a tie.
  const double scaled = leading * std::pow(10000.0, view.weight);
  return view.negative ? -scaled : scaled;
}

double float_prefix(double value) {
  return std::isnan(value) ? highest : value;
}

}  // namespace

double sort_prefix(Oid type, Datum value) {
  switch (type) {
    case NUMERICOID:
      return numeric_prefix(value);
    case INT2OID:
      return DatumGetInt16(value);
    case INT4OID:
    case DATEOID:
      return DatumGetInt32(value);
    case INT8OID:
    case TIMEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case CASHOID:
      return static_cast<double>(DatumGetInt64(value));
    case FLOAT4OID:
      return float_prefix(static_cast<double>(DatumGetFloat4(value)));
    case FLOAT8OID:
      return float_prefix(DatumGetFloat8(value));
    default:
      return 0;
  }
}

}  // namespace pg_reconcile::pg

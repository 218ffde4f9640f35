#include "extension/compare/tolerance.h"

#include "extension/pg/numeric_view.h"
#include "extension/values/payload.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/builtins.h>
#include <utils/cash.h>
#include <utils/date.h>
#include <utils/numeric.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr const char* number_hint =
    "Write a number that is not negative, for example \"0.01\", or a percentage up to 100, for example "
    "\"0.1%\".";
constexpr const char* span_hint =
    "Write an interval that is not negative, for example \"5 seconds\" or \"1 day\".";

bool is_number(Oid type) {
  return type == INT2OID || type == INT4OID || type == INT8OID || type == NUMERICOID || type == FLOAT4OID ||
         type == FLOAT8OID || type == CASHOID;
}

bool is_moment(Oid type) {
  return type == DATEOID || type == TIMEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

Datum raw_numeric_in(const char* text) {
  return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
                             Int32GetDatum(-1));
}

Interval* raw_interval_in(const char* text) {
  const Datum interval = DirectFunctionCall3(interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
                                             Int32GetDatum(-1));
  return static_cast<Interval*>(static_cast<void*>(DatumGetPointer(interval)));
}

bool raw_is_finite(Datum numeric) {
  const Numeric number = DatumGetNumeric(numeric);
  return !numeric_is_nan(number) && !numeric_is_inf(number);
}

int raw_compare(Datum a, Datum b) {
  return DatumGetInt32(DirectFunctionCall2(numeric_cmp, a, b));
}

Datum raw_number(Datum value, Oid type) {
  switch (type) {
    case INT2OID:
      return NumericGetDatum(int64_to_numeric(DatumGetInt16(value)));
    case INT4OID:
      return NumericGetDatum(int64_to_numeric(DatumGetInt32(value)));
    case INT8OID:
      return NumericGetDatum(int64_to_numeric(DatumGetInt64(value)));
    case FLOAT4OID:
      return raw_numeric_in(DatumGetCString(DirectFunctionCall1(float4out, value)));
    case FLOAT8OID:
      return raw_numeric_in(DatumGetCString(DirectFunctionCall1(float8out, value)));
    case CASHOID:
      return DirectFunctionCall1(cash_numeric, value);
    default:
      return PointerGetDatum(pg_detoast_datum(reinterpret_cast<varlena*>(DatumGetPointer(value))));
  }
}

bool raw_within_absolute(Datum a, Datum b, Datum limit) {
  const Datum distance = DirectFunctionCall1(numeric_abs, DirectFunctionCall2(numeric_sub, a, b));
  return raw_compare(distance, limit) <= 0;
}

bool raw_within_percentage(Datum a, Datum b, Datum percent) {
  const Datum distance = DirectFunctionCall1(numeric_abs, DirectFunctionCall2(numeric_sub, a, b));
  const Datum larger = DirectFunctionCall2(numeric_larger, DirectFunctionCall1(numeric_abs, a),
                                           DirectFunctionCall1(numeric_abs, b));
  const Datum hundredfold =
      DirectFunctionCall2(numeric_mul, distance, NumericGetDatum(int64_to_numeric(100)));
  return raw_compare(hundredfold, DirectFunctionCall2(numeric_mul, larger, percent)) <= 0;
}

core::int128 magnitude(core::int128 value) {
  return value < 0 ? -value : value;
}

// 10^-12 units of a number below 10^20 with at most 12 decimals; nullopt for any other. Spares numeric's
// arithmetic.
std::optional<core::int128> short_units(Datum numeric) {
  const NumericView view(payload_of(numeric));
  constexpr int weight_max = 4;
  constexpr int weight_min = -3;
  const int last = view.weight - static_cast<int>(view.digit_count()) + 1;
  if (view.special != 0 || view.weight > weight_max || last < weight_min) return std::nullopt;
  core::int128 units = 0;
  for (std::size_t i = 0; i < view.digit_count(); i++) units = units * 10000 + view.digit(i);
  for (int weight = last; weight > weight_min; weight--) units *= 10000;
  return view.negative ? -units : units;
}

[[noreturn]] void refuse(const std::string& column, const std::string& given, const std::string& why,
                         const char* hint) {
  throw core::Error(core::sqlstate::invalid_parameter_value,
                    "tolerance \"" + given + "\" of column \"" + column + "\" cannot be used", why, hint);
}

}  // namespace

ColumnTolerance::ColumnTolerance(const std::string& column, Oid type, const std::string& given)
    : type_(type) {
  if (is_number(type)) {
    read_number(column, given);
  } else if (is_moment(type)) {
    read_span(column, given);
  } else {
    const std::string type_name = guarded([=] { return format_type_be(type); });
    throw core::Error(core::sqlstate::datatype_mismatch,
                      "column \"" + column + "\" of type " + type_name + " takes no tolerance",
                      "A tolerance is a distance, and two values of type " + type_name + " have none.",
                      "Take it out of tolerance: numbers, dates, times and timestamps may have one.");
  }
}

void ColumnTolerance::read_number(const std::string& column, const std::string& text) {
  std::string number = text;
  while (!number.empty() && number.back() == ' ') number.pop_back();
  if (!number.empty() && number.back() == '%') {
    kind_ = Kind::percentage;
    number.pop_back();
  }
  const char* digits = number.c_str();
  try {
    limit_.number = guarded([=] { return raw_numeric_in(digits); });
  } catch (const PostgresError& error) {
    refuse(column, text, std::string("It is no number: ") + error.what() + ".", number_hint);
  }
  const Datum limit = limit_.number;
  if (!guarded([=] { return raw_is_finite(limit); })) refuse(column, text, "It is not finite.", number_hint);
  if (guarded([=] { return raw_compare(limit, NumericGetDatum(int64_to_numeric(0))); }) < 0) {
    refuse(column, text, "It is negative.", number_hint);
  }
  if (kind_ == Kind::percentage &&
      guarded([=] { return raw_compare(limit, NumericGetDatum(int64_to_numeric(100))); }) > 0) {
    refuse(column, text, "It is more than 100%.", number_hint);
  }
  limit_.units = short_units(limit);
}

void ColumnTolerance::read_span(const std::string& column, const std::string& text) {
  kind_ = Kind::span;
  if (text.find('%') != std::string::npos) {  // interval_in would read past it
    refuse(column, text, "A percentage is a tolerance of numbers.", span_hint);
  }
  const char* words = text.c_str();
  const Interval* interval = nullptr;
  try {
    interval = guarded([=] { return raw_interval_in(words); });
  } catch (const PostgresError& error) {
    refuse(column, text, std::string("It is no interval: ") + error.what() + ".", span_hint);
  }
#ifdef INTERVAL_NOT_FINITE
  if (INTERVAL_NOT_FINITE(interval)) refuse(column, text, "It is not finite.", span_hint);
#endif
  if (interval->month != 0) {
    refuse(column, text, "Months and years have no fixed length.",
           "Count in days, hours, minutes or seconds, for example \"31 days\".");
  }
  limit_.microseconds = static_cast<core::int128>(interval->day) * USECS_PER_DAY + interval->time;
  if (limit_.microseconds < 0) refuse(column, text, "It is negative.", span_hint);
}

std::optional<Position> ColumnTolerance::position(Datum value) const {
  Position position;
  if (kind_ != Kind::span) {
    const Oid type = type_;
    const Datum number = guarded([=] { return raw_number(value, type); });
    if (!guarded([=] { return raw_is_finite(number); })) return std::nullopt;
    position.number = number;
    position.units = short_units(number);
    return position;
  }
  switch (type_) {
    case DATEOID:
      if (DATE_NOT_FINITE(DatumGetDateADT(value))) return std::nullopt;
      position.microseconds = static_cast<core::int128>(DatumGetDateADT(value)) * USECS_PER_DAY;
      break;
    case TIMEOID:
      position.microseconds = DatumGetTimeADT(value);
      break;
    default:
      if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value))) return std::nullopt;
      position.microseconds = DatumGetTimestamp(value);
  }
  return position;
}

int ColumnTolerance::order(const Position& a, const Position& b) const {
  const auto three_way = [](core::int128 x, core::int128 y) { return x < y ? -1 : static_cast<int>(x > y); };
  if (kind_ == Kind::span) return three_way(a.microseconds, b.microseconds);
  if (a.units && b.units) return three_way(*a.units, *b.units);
  const Datum left = a.number;
  const Datum right = b.number;
  return guarded([=] { return raw_compare(left, right); });
}

bool ColumnTolerance::within(const Position& a, const Position& b) const {
  if (kind_ == Kind::span) return magnitude(a.microseconds - b.microseconds) <= limit_.microseconds;
  const Datum left = a.number;
  const Datum right = b.number;
  const Datum limit = limit_.number;
  if (kind_ == Kind::percentage) return guarded([=] { return raw_within_percentage(left, right, limit); });
  if (a.units && b.units && limit_.units) return magnitude(*a.units - *b.units) <= *limit_.units;
  return guarded([=] { return raw_within_absolute(left, right, limit); });
}

}  // namespace pg_reconcile::pg

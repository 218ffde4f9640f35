#include "extension/compare/encoding.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "core/money/decimal.h"
#include "extension/compare/numeric_view.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/date.h>
#include <utils/inet.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
#include <utils/uuid.h>
}

namespace pg_reconcile::pg {
namespace {

std::string_view payload(Datum value) {
  const void* data = DatumGetPointer(value);
  return {VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data)};
}

void append_text(std::string_view text, core::ByteBuffer& out) {
  out.append_value(static_cast<std::uint32_t>(text.size()));
  out.append(text.data(), text.size());
}

bool is_deterministic(Oid collation) {
  return !OidIsValid(collation) || guarded([=] { return get_collation_isdeterministic(collation); });
}

}  // namespace

Datum raw_detoast(Datum value) {
  return PointerGetDatum(pg_detoast_datum_packed(reinterpret_cast<varlena*>(DatumGetPointer(value))));
}

ValueEncoder::ValueEncoder(const TypeOperations& operations, std::uint64_t hash_seed)
    : by_value_(operations.by_value), length_(operations.length) {
  const Oid type = operations.type;
  if (choose_builtin(type, operations.collation)) return;
  if (guarded([=] { return get_typtype(type); }) == TYPTYPE_ENUM) {
    encode_ = &ValueEncoder::encode_by_value;
    return;
  }
  encode_ = &ValueEncoder::encode_number;
  faithful_ = false;
  dictionary_ = std::make_shared<ValueDictionary>(operations, hash_seed);
}

bool ValueEncoder::choose_builtin(Oid type, Oid collation) {
  switch (type) {
    case BOOLOID:
    case CHAROID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case OIDOID:
    case XIDOID:
    case CIDOID:
    case DATEOID:
    case TIMEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case CASHOID:
    case PG_LSNOID:
    case XID8OID:
      encode_ = by_value_ ? &ValueEncoder::encode_by_value : &ValueEncoder::encode_fixed;
      return true;
    case UUIDOID:
    case MACADDROID:
    case MACADDR8OID:
    case TIMETZOID:  // 12 bytes: time, zone; equal only when both are
      encode_ = &ValueEncoder::encode_fixed;
      return true;
    case NAMEOID:
      encode_ = &ValueEncoder::encode_name;
      return true;
    case BYTEAOID:
    case BITOID:
    case VARBITOID:
    case INETOID:
    case CIDROID:
      encode_ = &ValueEncoder::encode_payload;
      return true;
    case TEXTOID:
    case VARCHAROID:
      if (!is_deterministic(collation)) return false;
      encode_ = &ValueEncoder::encode_payload;
      return true;
    case BPCHAROID:
      if (!is_deterministic(collation)) return false;
      encode_ = &ValueEncoder::encode_padded_text;
      break;
    case NUMERICOID:
      encode_ = &ValueEncoder::encode_numeric;
      break;
    case FLOAT4OID:
      encode_ = &ValueEncoder::encode_float4;
      break;
    case FLOAT8OID:
      encode_ = &ValueEncoder::encode_float8;
      break;
    case INTERVALOID:
      encode_ = &ValueEncoder::encode_interval;
      break;
    default:
      return false;
  }
  faithful_ = false;
  return true;
}

void ValueEncoder::append_image(Datum value, core::ByteBuffer& out) const {
  if (length_ == -1) {
    append_text(payload(value), out);
  } else if (by_value_) {
    encode_by_value(value, out);
  } else if (length_ == -2) {
    append_text(DatumGetCString(value), out);
  } else {
    out.append(DatumGetPointer(value), static_cast<std::size_t>(length_));
  }
}

// A Datum's unused bytes are not defined: an oid is widened with its sign in one place and without in
// another.
void ValueEncoder::encode_by_value(Datum value, core::ByteBuffer& out) const {
  const auto bits = static_cast<std::uint64_t>(value);
  const int unused = 64 - 8 * length_;
  out.append_value((bits << unused) >> unused);
}

void ValueEncoder::encode_fixed(Datum value, core::ByteBuffer& out) const {
  out.append(DatumGetPointer(value), static_cast<std::size_t>(length_));
}

void ValueEncoder::encode_name(Datum value, core::ByteBuffer& out) const {
  append_text(NameStr(*DatumGetName(value)), out);
}

void ValueEncoder::encode_payload(Datum value, core::ByteBuffer& out) const {
  append_text(payload(value), out);
}

void ValueEncoder::encode_padded_text(Datum value, core::ByteBuffer& out) const {
  std::string_view text = payload(value);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  append_text(text, out);
}

void ValueEncoder::encode_numeric(Datum value, core::ByteBuffer& out) const {
  const NumericView numeric(payload(value));
  out.append_value(numeric.special);
  out.append_value(static_cast<std::uint16_t>(numeric.negative ? 1 : 0));
  out.append_value(static_cast<std::int32_t>(numeric.weight));
  append_text(numeric.digits, out);
}

void ValueEncoder::encode_float4(Datum value, core::ByteBuffer& out) const {
  float number = DatumGetFloat4(value);
  if (number == 0) number = 0;  // -0 = 0
  if (std::isnan(number)) number = std::numeric_limits<float>::quiet_NaN();
  out.append(&number, sizeof(number));
}

void ValueEncoder::encode_float8(Datum value, core::ByteBuffer& out) const {
  double number = DatumGetFloat8(value);
  if (number == 0) number = 0;
  if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
  out.append(&number, sizeof(number));
}

// As interval_cmp_value: a month is 30 days, a day 24 hours.
void ValueEncoder::encode_interval(Datum value, core::ByteBuffer& out) const {
  Interval interval;
  std::memcpy(&interval, DatumGetPointer(value), sizeof(interval));
  const std::int64_t days = std::int64_t{interval.month} * DAYS_PER_MONTH + interval.day;
  out.append_value(static_cast<core::int128>(days) * USECS_PER_DAY + interval.time);
}

void ValueEncoder::encode_number(Datum value, core::ByteBuffer& out) const {
  out.append_value(dictionary_->identify(value));
}

}  // namespace pg_reconcile::pg

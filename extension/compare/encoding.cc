#include "extension/compare/encoding.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "extension/values/collation.h"
#include "extension/values/interval_span.h"
#include "extension/pg/numeric_view.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/date.h>
#include <utils/inet.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
#include <utils/uuid.h>
}

namespace pg_reconcile::pg {
ValueEncoder::ValueEncoder(const TypeOperations& operations, std::uint64_t hash_seed)
    : by_value_(operations.by_value), length_(operations.length) {
  const Oid type = operations.type;
  if (choose_builtin(type, operations.collation)) return;
  if (guarded([=] { return get_typtype(type); }) == TYPTYPE_ENUM) {
    form_ = Form::by_value;
    return;
  }
  form_ = Form::number;
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
      form_ = by_value_ ? Form::by_value : Form::fixed;
      return true;
    case UUIDOID:
    case MACADDROID:
    case MACADDR8OID:
    case TIMETZOID:  // 12 bytes: time, zone; equal only when both are
      form_ = Form::fixed;
      return true;
    case NAMEOID:
      if (!is_deterministic(collation)) return false;
      form_ = Form::name;
      return true;
    case BYTEAOID:
    case BITOID:
    case VARBITOID:
    case INETOID:
    case CIDROID:
      form_ = Form::payload;
      return true;
    case TEXTOID:
    case VARCHAROID:
      if (!is_deterministic(collation)) return false;
      form_ = Form::payload;
      return true;
    case BPCHAROID:
      if (!is_deterministic(collation)) return false;
      form_ = Form::padded_text;
      break;
    case NUMERICOID:
      form_ = Form::numeric;
      break;
    case FLOAT4OID:
      form_ = Form::float4;
      break;
    case FLOAT8OID:
      form_ = Form::float8;
      break;
    case INTERVALOID:
      form_ = Form::interval;
      break;
    default:
      return false;
  }
  faithful_ = false;
  return true;
}

void ValueEncoder::append_image(Datum value, core::ByteBuffer& out) const {
  if (length_ == -1) {
    append_text(payload_of(value), out);
  } else if (by_value_) {
    encode_by_value(value, out);
  } else if (length_ == -2) {
    append_text(DatumGetCString(value), out);
  } else {
    out.append(DatumGetPointer(value), static_cast<std::size_t>(length_));
  }
}

void ValueEncoder::encode_rarer(Datum value, core::ByteBuffer& out) const {
  switch (form_) {
    case Form::fixed:
      out.append(DatumGetPointer(value), static_cast<std::size_t>(length_));
      break;
    case Form::name:
      append_text(NameStr(*DatumGetName(value)), out);
      break;
    case Form::padded_text: {
      std::string_view text = payload_of(value);
      while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
      append_text(text, out);
      break;
    }
    case Form::float4: {
      float number = DatumGetFloat4(value);
      if (number == 0) number = 0;  // -0 = 0
      if (std::isnan(number)) number = std::numeric_limits<float>::quiet_NaN();
      out.append(&number, sizeof(number));
      break;
    }
    case Form::float8: {
      double number = DatumGetFloat8(value);
      if (number == 0) number = 0;
      if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
      out.append(&number, sizeof(number));
      break;
    }
    case Form::interval:
      out.append_value(interval_microseconds(value));
      break;
    default:
      out.append_value(dictionary_->identify(value));
  }
}

}  // namespace pg_reconcile::pg

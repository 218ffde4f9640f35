#include "extension/values/published_value.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "extension/values/collation.h"
#include "extension/values/interval_span.h"
#include "extension/pg/numeric_view.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/inet.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
#include <utils/uuid.h>
#include <utils/varbit.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::int64_t unix_epoch_days = POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE;

// "00" to "99", one behind the other.
constexpr auto two_digits = [] {
  std::array<char, 200> digits{};
  for (std::size_t i = 0; i < 100; i++) {
    digits[2 * i] = static_cast<char>('0' + i / 10);
    digits[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return digits;
}();

char* write_four_digits(unsigned digit, char* to) {
  std::memcpy(to, &two_digits[std::size_t{digit / 100} * 2], 2);
  std::memcpy(to + 2, &two_digits[std::size_t{digit % 100} * 2], 2);
  return to + 4;
}

// One to four.
char* write_first_digits(unsigned digit, char* to) {
  char digits[4];
  write_four_digits(digit, digits);
  const unsigned skipped = digit >= 1000 ? 0 : digit >= 100 ? 1 : digit >= 10 ? 2 : 3;
  for (unsigned i = skipped; i < 4; i++) *to++ = digits[i];
  return to;
}

// The shortest decimal text: no exponent, no zero that says nothing. Room: numeric_text_max().
std::size_t write_numeric(const NumericView& number, char* const begin) {
  const auto count = static_cast<int>(number.digit_count());
  const auto digit = [&](int i) {
    return i >= 0 && i < count ? static_cast<unsigned>(number.digit(static_cast<std::size_t>(i))) : 0U;
  };
  char* to = begin;
  if (number.negative) *to++ = '-';
  if (number.weight < 0 || count == 0) {
    *to++ = '0';
  } else {
    to = write_first_digits(digit(0), to);
    for (int i = 1; i <= number.weight; i++) to = write_four_digits(digit(i), to);
  }
  if (count <= number.weight + 1) return static_cast<std::size_t>(to - begin);
  *to++ = '.';
  for (int i = number.weight + 1; i < count; i++) to = write_four_digits(digit(i), to);
  while (to[-1] == '0') to--;
  return static_cast<std::size_t>(to - begin);
}

std::size_t numeric_text_max(const NumericView& number) {
  const int groups = std::max(number.weight, 0) + std::max(-number.weight, 0) + 2;
  return 2 + 4 * (number.digit_count() + static_cast<std::size_t>(groups));
}

void add_wide(core::int128 number, core::RowHasher& hasher) {
  const auto magnitude = static_cast<core::uint128>(number);
  hasher.add((number < 0 ? "-" : "") + core::to_string(number < 0 ? -magnitude : magnitude));
}

// IEEE 754 binary64, eight bytes, little-endian.
void add_float(double number, core::RowHasher& hasher) {
  if (number == 0) number = 0;  // -0 = 0
  if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
  std::uint64_t bits = 0;
  std::memcpy(&bits, &number, sizeof(bits));
  char* const to = hasher.open_field(sizeof(bits));
  for (std::size_t i = 0; i < sizeof(bits); i++) to[i] = static_cast<char>((bits >> (8 * i)) & 0xff);
  hasher.close_field(sizeof(bits));
}

void add_uuid(Datum value, core::RowHasher& hasher) {
  constexpr std::string_view hex = "0123456789abcdef";
  const unsigned char* bytes = DatumGetUUIDP(value)->data;
  char* const begin = hasher.open_field(36);
  char* to = begin;
  for (int i = 0; i < UUID_LEN; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = hex[bytes[i] >> 4];
    *to++ = hex[bytes[i] & 15];
  }
  hasher.close_field(36);
}

// Family (4 or 6), length of the prefix, and the address's bytes.
void add_network(Datum value, core::RowHasher& hasher) {
  const std::string_view stored = payload_in_place(value);
  inet_struct network;
  std::memcpy(static_cast<void*>(&network), stored.data(), std::min(stored.size(), sizeof(network)));
  const bool is_four = network.family == PGSQL_AF_INET;
  const std::size_t size = is_four ? 4 : 16;
  char* const to = hasher.open_field(2 + size);
  to[0] = is_four ? '\4' : '\6';
  to[1] = static_cast<char>(network.bits);
  std::memcpy(to + 2, network.ipaddr, size);
  hasher.close_field(2 + size);
}

// As it prints: a character a bit.
void add_bits(Datum value, core::RowHasher& hasher) {
  const std::string_view stored = payload_in_place(value);
  std::int32_t length = 0;
  std::memcpy(&length, stored.data(), sizeof(length));
  const char* bits = stored.data() + sizeof(length);
  const auto size = static_cast<std::size_t>(length);
  char* const to = hasher.open_field(size);
  for (std::size_t i = 0; i < size; i++) {
    to[i] = ((static_cast<unsigned char>(bits[i / 8]) >> (7 - i % 8)) & 1) != 0 ? '1' : '0';
  }
  hasher.close_field(size);
}

const char* raw_type_name(Oid type) {
  return format_type_be(type);
}

const char* raw_enum_label(Oid label) {
  Oid output = InvalidOid;
  bool is_varlena = false;
  getTypeOutputInfo(ANYENUMOID, &output, &is_varlena);
  return OidOutputFunctionCall(output, ObjectIdGetDatum(label));
}

[[noreturn]] void throw_no_form(Oid type, const std::string& what) {
  const std::string name = guarded([=] { return raw_type_name(type); });
  const bool is_row = guarded([=] { return type_is_rowtype(type); });
  throw core::Error(core::sqlstate::datatype_mismatch,
                    what + " is of type " + name + ", which has no published form",
                    "Equal values of this type may be written in several ways, or differ between servers.",
                    is_row ? "Pass the row's columns one by one." : "Cast it to text, or leave it out.");
}

}  // namespace

PublishedValue::Form PublishedValue::form_of(Oid type) {
  switch (type) {
    case TEXTOID:
    case VARCHAROID:
      return Form::text;
    case BPCHAROID:
      return Form::padded_text;
    case NAMEOID:
      return Form::name;
    case NUMERICOID:
      return Form::numeric;
    case INT8OID:
    case CASHOID:
      return Form::int8;
    case INT4OID:
      return Form::int4;
    case INT2OID:
      return Form::int2;
    case OIDOID:
    case XIDOID:
    case CIDOID:
      return Form::unsigned4;
    case PG_LSNOID:
    case XID8OID:
      return Form::unsigned8;
    case BOOLOID:
      return Form::boolean;
    case CHAROID:
      return Form::byte;
    case BYTEAOID:
      return Form::bytes;
    case UUIDOID:
      return Form::uuid;
    case MACADDROID:
    case MACADDR8OID:
      return Form::fixed;
    case DATEOID:
      return Form::date;
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
      return Form::timestamp;
    case TIMEOID:
      return Form::time;
    case TIMETZOID:
      return Form::timetz;
    case INTERVALOID:
      return Form::interval;
    case FLOAT4OID:
      return Form::float4;
    case FLOAT8OID:
      return Form::float8;
    case INETOID:
    case CIDROID:
      return Form::network;
    case BITOID:
    case VARBITOID:
      return Form::bits;
    default:
      return Form::none;
  }
}

PublishedValue::PublishedValue(Oid type, Oid collation, const std::string& what) {
  const Oid base = guarded([=] { return getBaseType(type); });
  form_ = form_of(base);
  if (form_ == Form::none && guarded([=] { return get_typtype(base); }) == TYPTYPE_ENUM) form_ = Form::label;
  if (form_ == Form::none) throw_no_form(type, what);
  if ((form_ == Form::text || form_ == Form::padded_text) && !is_deterministic(collation)) {
    throw core::Error(core::sqlstate::datatype_mismatch, what + " has a nondeterministic collation",
                      "Equal texts of it have different bytes, and no published form.",
                      "Say how its values are told apart: COLLATE \"C\", or an expression such as lower().");
  }
  length_ = guarded([=] { return get_typlen(base); });
}

void PublishedValue::add_numeric(Datum value, core::RowHasher& hasher) {
  const NumericView number(payload_in_place(value));
  if (number.special != 0) {
    const int special = number.special & 0xF000;
    return hasher.add(special == 0xD000 ? "Infinity" : special == 0xF000 ? "-Infinity" : "NaN");
  }
  char* const to = hasher.open_field(numeric_text_max(number));
  hasher.close_field(write_numeric(number, to));
}

void PublishedValue::add_label(Oid label, core::RowHasher& hasher) const {
  auto known = labels_.find(label);
  if (known == labels_.end()) {
    const std::string_view text = guarded([=] { return raw_enum_label(label); });
    known = labels_.emplace(label, to_utf8(text)).first;
  }
  add_bytes(known->second, hasher);
}

void PublishedValue::add_rarer(Datum value, core::RowHasher& hasher) const {
  switch (form_) {
    case Form::int2:
      return add_signed(DatumGetInt16(value), hasher);
    case Form::unsigned4:
      return add_number(DatumGetUInt32(value), hasher);
    case Form::unsigned8:
      return add_number(DatumGetUInt64(value), hasher);
    case Form::boolean:
      return add_bytes(DatumGetBool(value) ? "t" : "f", hasher);
    case Form::byte: {
      const char byte = DatumGetChar(value);
      return add_bytes({&byte, 1}, hasher);
    }
    case Form::bytes:
      return add_bytes(payload_in_place(value), hasher);
    case Form::padded_text: {
      std::string_view text = payload_in_place(value);
      while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
      return add_bytes(to_utf8(text), hasher);
    }
    case Form::name:
      return add_bytes(to_utf8(NameStr(*DatumGetName(value))), hasher);
    case Form::label:
      return add_label(DatumGetObjectId(value), hasher);
    case Form::uuid:
      return add_uuid(value, hasher);
    case Form::fixed:
      return add_bytes({DatumGetPointer(value), static_cast<std::size_t>(length_)}, hasher);
    case Form::date: {
      const DateADT date = DatumGetDateADT(value);
      if (DATE_IS_NOEND(date)) return add_bytes("infinity", hasher);
      if (DATE_IS_NOBEGIN(date)) return add_bytes("-infinity", hasher);
      return add_signed(date + unix_epoch_days, hasher);
    }
    case Form::timestamp: {
      const Timestamp timestamp = DatumGetTimestamp(value);
      if (TIMESTAMP_IS_NOEND(timestamp)) return add_bytes("infinity", hasher);
      if (TIMESTAMP_IS_NOBEGIN(timestamp)) return add_bytes("-infinity", hasher);
      constexpr std::int64_t epoch = unix_epoch_days * USECS_PER_DAY;
      // The last timestamps are beyond a signed count from 1970.
      if (timestamp >= 0) return add_number(static_cast<std::uint64_t>(timestamp) + epoch, hasher);
      return add_signed(timestamp + epoch, hasher);
    }
    case Form::time:
      return add_signed(DatumGetTimeADT(value), hasher);
    case Form::timetz: {
      const TimeTzADT* time = DatumGetTimeTzADTP(value);
      return hasher.add(std::to_string(time->time) + " " + std::to_string(-time->zone));
    }
    case Form::interval:
      return add_wide(interval_microseconds(value), hasher);
    case Form::float4:
      return add_float(DatumGetFloat4(value), hasher);
    case Form::float8:
      return add_float(DatumGetFloat8(value), hasher);
    case Form::network:
      return add_network(value, hasher);
    case Form::bits:
      return add_bits(value, hasher);
    default:
      throw core::Error(core::sqlstate::internal_error, "a value without a published form was to be hashed");
  }
}

}  // namespace pg_reconcile::pg

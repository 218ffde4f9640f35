// The published form of a value, version 1 (docs/digest.md): bytes that are the same on every server, of
// every major version, exactly for values that their type calls equal.
//
// Unlike the encoding that compare hashes (extension/compare/encoding.h), which is as the server stores
// values and lasts as long as one comparison, this one is stored and exchanged: it never changes within a
// version. Most forms are what the value prints as, in one spelling, so that a number has one form whatever
// its type, and somebody else can write it without knowing PostgreSQL.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "core/digest/row_hash.h"
#include "extension/values/payload.h"
#include "extension/values/utf8_text.h"

namespace pg_reconcile::pg {

class PublishedValue {
 public:
  // Throws 42804 when values of the type have no published form; `what` names the column.
  PublishedValue(Oid type, Oid collation, const std::string& what);

  // Adds `value` to a row.
  void add(Datum value, core::RowHasher& hasher) const {
    switch (form_) {
      case Form::text:
        return add_bytes(to_utf8(payload_in_place(value)), hasher);
      case Form::numeric:
        return add_numeric(value, hasher);
      case Form::int8:
        return add_signed(DatumGetInt64(value), hasher);
      case Form::int4:
        return add_signed(DatumGetInt32(value), hasher);
      default:
        return add_rarer(value, hasher);
    }
  }
  static void add_numeric(Datum value, core::RowHasher& hasher);

 private:
  // The most frequent first.
  enum class Form : std::uint8_t {
    text,
    numeric,
    int8,
    int4,
    int2,
    unsigned4,
    unsigned8,
    boolean,
    byte,
    bytes,
    padded_text,
    name,
    label,
    uuid,
    fixed,
    date,
    timestamp,
    time,
    timetz,
    interval,
    float4,
    float8,
    network,
    bits,
    none
  };

  static Form form_of(Oid type);
  void add_rarer(Datum value, core::RowHasher& hasher) const;
  void add_label(Oid label, core::RowHasher& hasher) const;

  static void add_bytes(std::string_view bytes, core::RowHasher& hasher) {
    char* to = hasher.open_field(bytes.size());
    std::memcpy(to, bytes.data(), bytes.size());
    hasher.close_field(bytes.size());
  }
  template <class Number>
  static void add_number(Number number, core::RowHasher& hasher) {
    char* const to = hasher.open_field(20);
    hasher.close_field(static_cast<std::size_t>(std::to_chars(to, to + 20, number).ptr - to));
  }
  static void add_signed(std::int64_t number, core::RowHasher& hasher) { add_number(number, hasher); }
  Form form_;
  std::int16_t length_ = 0;
  mutable std::map<Oid, std::string> labels_;  // of an enum
};

}  // namespace pg_reconcile::pg

// Canonical bytes of a value: two values of one type have the same bytes exactly when the type calls them
// equal.
//
// A converter is chosen once per column. Most types are canonical as they are stored; numeric drops its scale
// and trailing zeros, float its negative zero, char(n) its padding, interval counts in microseconds as its
// own comparison does. Everything else goes through a ValueDictionary, whose number stands for the value.
#pragma once

#include <cstdint>
#include <memory>

#include "core/matching/byte_buffer.h"
#include "extension/compare/value_dictionary.h"

namespace pg_reconcile::pg {

class ValueEncoder {
 public:
  // `operations.equal` must be set.
  ValueEncoder(const TypeOperations& operations, std::uint64_t hash_seed);

  // `value` is detoasted as far as its bytes are in place (raw_detoast). Varying lengths carry their length,
  // so that encodings in a row never run into each other.
  void encode(Datum value, core::ByteBuffer& out) const { (this->*encode_)(value, out); }

  // The bytes as stored, for telling apart equal values that are written differently. Only when !faithful().
  void append_image(Datum value, core::ByteBuffer& out) const;

  // Equal values always look the same.
  [[nodiscard]] bool faithful() const { return faithful_; }
  [[nodiscard]] bool is_varlena() const { return length_ == -1; }

 private:
  using Encode = void (ValueEncoder::*)(Datum, core::ByteBuffer&) const;

  bool choose_builtin(Oid type, Oid collation);
  void encode_by_value(Datum value, core::ByteBuffer& out) const;
  void encode_fixed(Datum value, core::ByteBuffer& out) const;
  void encode_name(Datum value, core::ByteBuffer& out) const;
  void encode_payload(Datum value, core::ByteBuffer& out) const;
  void encode_padded_text(Datum value, core::ByteBuffer& out) const;
  void encode_numeric(Datum value, core::ByteBuffer& out) const;
  void encode_float4(Datum value, core::ByteBuffer& out) const;
  void encode_float8(Datum value, core::ByteBuffer& out) const;
  void encode_interval(Datum value, core::ByteBuffer& out) const;
  void encode_number(Datum value, core::ByteBuffer& out) const;

  Encode encode_ = nullptr;
  bool faithful_ = true;
  bool by_value_;
  std::int16_t length_;
  std::shared_ptr<ValueDictionary> dictionary_;
};

// Detoasts and decompresses where the bytes are not in place; keeps one-byte headers. May longjmp.
Datum raw_detoast(Datum value);

}  // namespace pg_reconcile::pg

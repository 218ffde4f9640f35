// Canonical bytes of a value: two values of one type have the same bytes exactly when the type calls them
// equal.
//
// A converter is chosen once per column. Most types are canonical as they are stored; numeric drops its scale
// and trailing zeros, float its negative zero, char(n) its padding, interval counts in microseconds as its
// own comparison does. Everything else goes through a ValueDictionary, whose number stands for the value.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/matching/byte_buffer.h"
#include "core/matching/keyed_hash.h"
#include "extension/compare/value_dictionary.h"
#include "extension/pg/numeric_view.h"
#include "extension/values/payload.h"

namespace pg_reconcile::pg {

class ValueEncoder {
 public:
  // `operations.equal` must be set.
  ValueEncoder(const TypeOperations& operations, std::uint64_t hash_seed);

  // `value` is detoasted as far as its bytes are in place (raw_detoast). Varying lengths carry their length,
  // so that encodings in a row never run into each other.
  void encode(Datum value, core::ByteBuffer& out) const {
    switch (form_) {
      case Form::by_value:
        return encode_by_value(value, out);
      case Form::payload:
        return encode_payload(value, out);
      case Form::numeric:
        return encode_numeric(value, out);
      default:
        return encode_rarer(value, out);
    }
  }

  // A hash of the canonical bytes: of one column and under one key, equal exactly for equal values.
  // Straight from the value where its bytes are canonical as they lie.
  core::Hash128 hash(Datum value, const core::KeyedHash& hash, core::ByteBuffer& scratch) const {
    switch (form_) {
      case Form::by_value:
        return hash.word(significant_bits(value));
      case Form::payload: {
        const std::string_view bytes = payload_of(value);
        return hash(bytes.data(), bytes.size());
      }
      case Form::numeric: {
        const NumericView numeric(payload_of(value));
        constexpr std::size_t digits_max = sizeof(std::uint64_t) / NumericView::digit_bytes;
        const std::size_t count = numeric.digit_count();
        if (count > digits_max) break;
        // Digit by digit: a copy of so few bytes in two halves would stall the load of the whole.
        std::uint64_t digits = 0;
        for (std::size_t i = 0; i < count; i++)
          digits = (digits << 16) | static_cast<std::uint16_t>(numeric.digit(i));
        const std::uint64_t rest = (std::uint64_t{numeric.special} << 48) |
                                   (std::uint64_t{numeric.negative} << 47) | (numeric.digits.size() << 32) |
                                   static_cast<std::uint32_t>(numeric.weight);
        return hash.words(rest, digits);
      }
      default:
        break;
    }
    scratch.clear();
    encode(value, scratch);
    return hash(scratch.data(), scratch.size());
  }

  // The bytes as stored, for telling apart equal values that are written differently. Only when !faithful().
  void append_image(Datum value, core::ByteBuffer& out) const;

  // Equal values always look the same.
  [[nodiscard]] bool faithful() const { return faithful_; }
  [[nodiscard]] bool is_varlena() const { return length_ == -1; }
  // Values are numbered by this process: their encodings mean nothing to another.
  [[nodiscard]] bool numbers_values() const { return form_ == Form::number; }

 private:
  // The most frequent first: they are encoded in the caller's loop.
  enum class Form : std::uint8_t {
    by_value,
    payload,
    numeric,
    fixed,
    name,
    padded_text,
    float4,
    float8,
    interval,
    number
  };

  bool choose_builtin(Oid type, Oid collation);
  void encode_rarer(Datum value, core::ByteBuffer& out) const;

  // A Datum's unused bytes are not defined: an oid is widened with its sign in one place and without in
  // another.
  void encode_by_value(Datum value, core::ByteBuffer& out) const {
    out.append_value(significant_bits(value));
  }
  [[nodiscard]] std::uint64_t significant_bits(Datum value) const {
    const auto bits = static_cast<std::uint64_t>(value);
    const int unused = 64 - 8 * length_;
    return (bits << unused) >> unused;
  }
  static void append_text(std::string_view text, core::ByteBuffer& out) {
    out.append_value(static_cast<std::uint32_t>(text.size()));
    out.append(text.data(), text.size());
  }
  static void encode_payload(Datum value, core::ByteBuffer& out) { append_text(payload_of(value), out); }
  static void encode_numeric(Datum value, core::ByteBuffer& out) {
    const NumericView numeric(payload_of(value));
    struct Header {
      std::uint16_t special;
      std::uint16_t negative;
      std::int32_t weight;
      std::uint32_t digit_bytes;
    };
    out.append_value(Header{numeric.special, static_cast<std::uint16_t>(numeric.negative ? 1 : 0),
                            static_cast<std::int32_t>(numeric.weight),
                            static_cast<std::uint32_t>(numeric.digits.size())});
    out.append(numeric.digits.data(), numeric.digits.size());
  }

  Form form_ = Form::number;
  bool faithful_ = true;
  bool by_value_;
  std::int16_t length_;
  std::shared_ptr<ValueDictionary> dictionary_;
};

}  // namespace pg_reconcile::pg

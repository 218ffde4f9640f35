// A numeric's digits where PostgreSQL stores them.
// Source: NumericData in PostgreSQL's numeric.c, the same since 9.1 (and the special values since 14).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace pg_reconcile::pg {

struct NumericView {
  static constexpr std::size_t digit_bytes = sizeof(std::int16_t);  // a digit is 0 to 9,999

  std::uint16_t special = 0;  // 0: finite; else one value for each of NaN, Infinity, -Infinity
  bool negative = false;
  int weight = 0;           // of the first digit, in powers of 10,000
  std::string_view digits;  // neither first nor last digit is 0; none at all for zero

  // `stored` is the datum without its length word, detoasted.
  explicit NumericView(std::string_view stored);

  [[nodiscard]] std::size_t digit_count() const { return digits.size() / digit_bytes; }
  [[nodiscard]] std::int16_t digit(std::size_t i) const {
    return load<std::int16_t>(digits.data() + i * digit_bytes);
  }

 private:
  template <class Value>
  static Value load(const char* from) {
    Value value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  }
};

inline NumericView::NumericView(std::string_view stored) {
  constexpr std::uint16_t sign_mask = 0xC000;
  constexpr std::uint16_t negative_sign = 0x4000;
  constexpr std::uint16_t is_short = 0x8000;
  constexpr std::uint16_t is_special = 0xC000;
  const auto header = load<std::uint16_t>(stored.data());
  stored.remove_prefix(sizeof(header));
  if ((header & sign_mask) == is_special) {
    special = header;
    return;
  }
  if ((header & sign_mask) == is_short) {
    negative = (header & 0x2000) != 0;
    weight = ((header & 0x0040) != 0 ? ~0x3F : 0) | (header & 0x3F);
  } else {
    negative = (header & sign_mask) == negative_sign;
    weight = load<std::int16_t>(stored.data());
    stored.remove_prefix(sizeof(std::int16_t));
  }
  digits = stored;
  while (!digits.empty() && digit(0) == 0) {
    digits.remove_prefix(digit_bytes);
    weight--;
  }
  while (!digits.empty() && digit(digit_count() - 1) == 0) digits.remove_suffix(digit_bytes);
  if (digits.empty()) {  // zero has one form
    weight = 0;
    negative = false;
  }
}

}  // namespace pg_reconcile::pg

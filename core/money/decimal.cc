#include "core/money/decimal.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

constexpr auto powers_of_ten = [] {
  std::array<int128, 39> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); i++) powers[i] = powers[i - 1] * 10;
  return powers;
}();

constexpr auto units_per_one = static_cast<uint128>(powers_of_ten[Decimal::scale_digits]);
constexpr int128 units_limit = powers_of_ten[Decimal::scale_digits + Decimal::integer_digits_max];

// 10^26 integer units and 12 fraction digits fit in 128 bits.
constexpr std::size_t sum_digits_max = 26;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<Decimal> parsed(std::string_view text, char point, std::size_t integer_digits_max) {
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  const std::size_t point_at = std::min(text.find(point), text.size());
  std::string_view integer = text.substr(0, point_at);
  std::string_view fraction = point_at < text.size() ? text.substr(point_at + 1) : std::string_view{};
  if (integer.empty() && fraction.empty()) return std::nullopt;
  while (!fraction.empty() && fraction.back() == '0') fraction.remove_suffix(1);
  while (!integer.empty() && integer.front() == '0') integer.remove_prefix(1);
  if (fraction.size() > Decimal::scale_digits || integer.size() > integer_digits_max) return std::nullopt;

  int128 units = 0;
  for (char c : integer) {
    if (!is_digit(c)) return std::nullopt;
    units = units * 10 + (c - '0');
  }
  for (char c : fraction) {
    if (!is_digit(c)) return std::nullopt;
    units = units * 10 + (c - '0');
  }
  units *= powers_of_ten[static_cast<std::size_t>(Decimal::scale_digits) - fraction.size()];
  return Decimal::from_units(negative ? -units : units);
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text, char point) {
  return parsed(text, point, integer_digits_max);
}

std::optional<Decimal> Decimal::parse_sum(std::string_view text) {
  return parsed(text, '.', sum_digits_max);
}

std::optional<Decimal> Decimal::shifted_right(int digits) const {
  if (digits < 0 || digits > scale_digits) return std::nullopt;
  const int128 divisor = powers_of_ten[static_cast<std::size_t>(digits)];
  if (units_ % divisor != 0) return std::nullopt;
  return from_units(units_ / divisor);
}

std::string Decimal::to_string(int fraction_min) const {
  const uint128 magnitude = units_ < 0 ? static_cast<uint128>(-units_) : static_cast<uint128>(units_);
  // One division of 128 bits, the rest in 64: this runs once for every entry that is read.
  uint128 integer = magnitude / units_per_one;
  auto fraction = static_cast<std::uint64_t>(magnitude % units_per_one);

  constexpr std::size_t text_max = 64;
  std::array<char, text_max> text;
  std::size_t begin = text.size();
  std::size_t end = begin;
  const auto put = [&](std::uint64_t digit) { text[--begin] = static_cast<char>('0' + digit); };
  int fraction_digits = scale_digits;
  const int kept = std::clamp(fraction_min, 0, scale_digits);
  for (; fraction_digits > kept && fraction % 10 == 0; fraction_digits--) fraction /= 10;
  for (int i = 0; i < fraction_digits; i++, fraction /= 10) put(fraction % 10);
  if (fraction_digits > 0) text[--begin] = '.';
  constexpr std::uint64_t word_max = std::numeric_limits<std::uint64_t>::max();
  for (; integer > word_max; integer /= 10) put(static_cast<std::uint64_t>(integer % 10));
  auto rest = static_cast<std::uint64_t>(integer);
  do {
    put(rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (units_ < 0) text[--begin] = '-';
  return {text.data() + begin, end - begin};
}

Decimal& Decimal::operator+=(Decimal other) {
  int128 sum = 0;
  if (__builtin_add_overflow(units_, other.units_, &sum)) {
    throw Error(sqlstate::numeric_value_out_of_range, "a sum of amounts is out of range",
                "The sum needs more than 128 bits at 12 fraction digits.");
  }
  units_ = sum;
  return *this;
}

static_assert(units_limit > 0);

}  // namespace pg_reconcile::core

// Exact decimal amounts: a 128-bit count of 10^-12 units.
//
// Range: |amount| < 10^18 (checked when an amount enters), so that 10^8 of the largest amounts still add up
// without overflow. Source: numeric of PostgreSQL; the CHECK constraints of reconcile.entry say the same.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pg_reconcile::core {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

class Decimal {
 public:
  static constexpr int scale_digits = 12;
  static constexpr int integer_digits_max = 18;

  constexpr Decimal() = default;
  static constexpr Decimal from_units(int128 units) {
    Decimal d;
    d.units_ = units;
    return d;
  }

  // Parses an optional sign, digits, and an optional fraction after `point`: "12", "-0.50", "+7.", ".5".
  // Nothing else: no exponent, no grouping, no white space. nullopt when it is not such a text, has more than
  // 12 significant fraction digits, or is out of range.
  static std::optional<Decimal> parse(std::string_view text, char point = '.');

  // The same for a sum of such amounts: as long as it fits.
  static std::optional<Decimal> parse_sum(std::string_view text);

  // value / 10^digits, for minor units. nullopt when digits > 12 or out of range.
  [[nodiscard]] std::optional<Decimal> shifted_right(int digits) const;

  // The shortest exact text with at least `fraction_min` fraction digits: "12.50", "-3.00", "0.125".
  [[nodiscard]] std::string to_string(int fraction_min = 0) const;

  [[nodiscard]] constexpr int128 units() const { return units_; }
  [[nodiscard]] constexpr bool is_zero() const { return units_ == 0; }
  [[nodiscard]] constexpr bool is_negative() const { return units_ < 0; }
  [[nodiscard]] constexpr Decimal negated() const { return from_units(-units_); }
  [[nodiscard]] constexpr Decimal magnitude() const { return units_ < 0 ? negated() : *this; }

  // Throws core::Error 22003 on overflow.
  Decimal& operator+=(Decimal other);
  Decimal& operator-=(Decimal other) { return *this += other.negated(); }
  friend Decimal operator+(Decimal a, Decimal b) { return a += b; }
  friend Decimal operator-(Decimal a, Decimal b) { return a -= b; }

  friend constexpr bool operator==(Decimal a, Decimal b) = default;
  friend constexpr auto operator<=>(Decimal a, Decimal b) { return a.units_ <=> b.units_; }

 private:
  int128 units_ = 0;
};

}  // namespace pg_reconcile::core

// How far two amounts, or two sums, may lie apart and still be the same movement.
#pragma once

#include <optional>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

// Amounts from least to most; empty when least > most.
struct AmountRange {
  Decimal least;
  Decimal most;
  [[nodiscard]] constexpr bool holds(Decimal amount) const { return least <= amount && amount <= most; }
};

// |right - left| <= max(within, min(percent% of |left|, cap)), and both of one sign, unless both are at most
// `within` away from zero. Without any of the three: equal amounts.
//
// Because a percentage is at most 100, the rights that a left accepts are one range, and both ends of it only
// move up from one left to a greater one. Sweeps rely on that.
struct AmountTolerance {
  static constexpr Decimal percent_max = Decimal::from_units(100'000'000'000'000);

  Decimal within;                  // not negative
  std::optional<Decimal> percent;  // 0 to 100
  std::optional<Decimal> cap;      // not negative; only with a percentage

  // The largest |right - left| for this left amount.
  [[nodiscard]] Decimal allowed(Decimal left) const;
  [[nodiscard]] AmountRange rights_of(Decimal left) const;
  // The lefts among `bounds` that accept this right.
  [[nodiscard]] AmountRange lefts_of(Decimal right, AmountRange bounds) const;
  [[nodiscard]] bool accepts(Decimal left, Decimal right) const { return rights_of(left).holds(right); }
};

}  // namespace pg_reconcile::core

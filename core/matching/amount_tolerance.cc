#include "core/matching/amount_tolerance.h"

#include <algorithm>
#include <limits>

namespace pg_reconcile::core {
namespace {

constexpr int128 int128_max = static_cast<int128>(~uint128{0} >> 1);
constexpr int128 int128_min = -int128_max - 1;

constexpr auto percent_units_of_one = static_cast<uint128>(AmountTolerance::percent_max.units());

int128 sum_within_range(int128 a, int128 b) {
  int128 sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? int128_min : int128_max;
}

// percent% of `magnitude`, rounded down: no residual lies between that and the exact share. The product of
// the two may need more than 128 bits, its parts don't.
int128 share(uint128 magnitude, uint128 percent_units) {
  const uint128 whole = magnitude / percent_units_of_one * percent_units;
  const uint128 rest = magnitude % percent_units_of_one * percent_units / percent_units_of_one;
  return static_cast<int128>(whole + rest);
}

// The least of [least, most] for which `holds`, which is false up to there and true from there on; most + 1
// when there is none.
template <class Holds>
int128 first_that(int128 least, int128 most, Holds holds) {
  if (least > most || !holds(Decimal::from_units(most))) return sum_within_range(most, 1);
  while (least < most) {
    const int128 middle =
        least + static_cast<int128>((static_cast<uint128>(most) - static_cast<uint128>(least)) / 2);
    if (holds(Decimal::from_units(middle))) {
      most = middle;
    } else {
      least = middle + 1;
    }
  }
  return least;
}

}  // namespace

Decimal AmountTolerance::allowed(Decimal left) const {
  if (!percent) return within;
  const int128 units = left.units();
  const uint128 magnitude =
      units < 0 ? uint128{0} - static_cast<uint128>(units) : static_cast<uint128>(units);
  Decimal part = Decimal::from_units(share(magnitude, static_cast<uint128>(percent->units())));
  if (cap) part = std::min(part, *cap);
  return std::max(within, part);
}

AmountRange AmountTolerance::rights_of(Decimal left) const {
  const int128 far = allowed(left).units();
  int128 least = sum_within_range(left.units(), -far);
  int128 most = sum_within_range(left.units(), far);
  // At 100 percent, 0 is near enough; but it has no sign.
  if (left > within) least = std::max<int128>(least, 1);
  if (left < within.negated()) most = std::min<int128>(most, -1);
  return {Decimal::from_units(least), Decimal::from_units(most)};
}

AmountRange AmountTolerance::lefts_of(Decimal right, AmountRange bounds) const {
  const int128 least = first_that(bounds.least.units(), bounds.most.units(),
                                  [&](Decimal left) { return rights_of(left).most >= right; });
  const int128 beyond = first_that(bounds.least.units(), bounds.most.units(),
                                   [&](Decimal left) { return rights_of(left).least > right; });
  return {Decimal::from_units(least), Decimal::from_units(sum_within_range(beyond, -1))};
}

}  // namespace pg_reconcile::core

// Which of these amounts add up to that one: unique, ambiguous, none, or given up.
//
// Meet in the middle (Horowitz and Sahni 1974): the amounts are divided in two, the sums of either part are
// listed in order, and two pointers find the pairs of sums that come nearest to the target. Equal sums are
// one entry with a count, so that many equal amounts cost little; sums from which the target is out of reach
// are dropped. What is left is counted, and beyond a limit we say so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/amount_tolerance.h"
#include "core/money/decimal.h"

namespace pg_reconcile::core {

struct SubsetQuestion {
  std::span<const Decimal> amounts;  // none is 0; may be negative
  Decimal target;
  AmountRange accepted;  // sums that are near enough
  std::size_t members_max = 0;
  std::int64_t work_max = 0;  // partial sums that may be listed
};

struct SubsetAnswer {
  enum class Outcome : std::uint8_t { none, unique, ambiguous, gave_up };
  Outcome outcome = Outcome::none;
  // Ascending. unique: the members; ambiguous: those of two different subsets that are equally near.
  std::vector<std::uint32_t> members;
  std::int64_t work = 0;
};

// Throws core::Error 22003 when the sum of all amounts is out of range.
SubsetAnswer find_subset(const SubsetQuestion& question, Interrupts& interrupts);

}  // namespace pg_reconcile::core

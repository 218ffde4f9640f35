// The configured rules of a day, over what the exact passes have left.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/matching/rule_match.h"
#include "extension/run/decided_match.h"
#include "extension/run/rest_reader.h"

namespace pg_reconcile {

// What a rule found and closes nothing by.
struct Suggestion {
  enum class Outcome : std::uint8_t { suggested, ambiguous, gave_up };
  Outcome outcome;
  int pass;
  std::uint16_t currency;
  std::vector<std::uint32_t> left;  // indexes into the book's entries; of findings not all
  std::vector<std::uint32_t> right;
  std::uint64_t left_count;
  std::uint64_t right_count;
  std::optional<core::Decimal> residual;  // of what is suggested
};

// Runs the leg's configured rules in their order over the open entries of `match`. What they match is added
// to `match` and leaves its open lists; what they suggest is held back from later rules.
std::vector<Suggestion> run_rules(const pg::HeldSnapshot& snapshot, pg::Spi& spi, const LegConfig& leg,
                                  const BookDay& left, const BookDay& right, std::uint64_t seed,
                                  Dictionary& kinds, const std::vector<DecidedMatch>& decisions,
                                  core::DayMatch& match);

}  // namespace pg_reconcile

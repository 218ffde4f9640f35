// What people have decided of suggested matches, as far as the entries are there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "extension/run/day_reader.h"

namespace pg_reconcile {

struct DecidedMatch {
  std::int64_t decision_id;
  bool confirmed;  // else rejected
  std::string rule;
  std::int32_t version;
  std::optional<std::string> tolerance;
  core::MatchedGroup group;  // of pass 0, indexes ascending
};

// Those that come before all passes.
std::vector<core::MatchedGroup> confirmed_groups(const std::vector<DecidedMatch>& decisions);

// Identities of all entries that standing decisions are about, whether the day has them or not.
std::vector<core::uint128> decided_identities(pg::Spi& spi, const LegConfig& leg, core::Date day);

// The decisions that the day reckons with, oldest first: those whose entries are all among the day's and the
// carried ones, with the amounts that were decided on, and that no earlier day has made use of.
std::vector<DecidedMatch> read_decisions(pg::Spi& spi, const LegConfig& leg, core::Date day,
                                         const BookDay& left, const BookDay& right,
                                         const Dictionary& currencies);

}  // namespace pg_reconcile

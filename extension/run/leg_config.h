// A leg as a run needs it: its books, scope, passes and versions on one day.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/mapping/entry.h"
#include "core/matching/day_match.h"
#include "core/matching/match_rules.h"
#include "extension/pg/spi.h"

namespace pg_reconcile {

struct PassConfig {
  int pass;
  core::RuleDefinition rule;
};

struct LegConfig {
  std::string channel;
  std::string account;
  std::string leg;
  std::int32_t version = 0;
  std::string left_book;
  std::string right_book;
  std::vector<std::string> kinds;  // the entry kinds that take part
  std::vector<PassConfig> passes;  // enabled ones, in order: exact ones, then configured rules
  std::int32_t rules_version = 0;  // of the set of rules
  std::string rules_json;          // versions, for the run's row
  std::string control_function;    // empty: none
  std::string control_role;

  [[nodiscard]] std::vector<core::MatchPass> exact_passes() const;
  [[nodiscard]] const PassConfig& pass(int number) const;
};

// Throws 42704 when the channel has no such leg on that day. `rules`: take these instead of those that are
// stored.
LegConfig load_leg(pg::Spi& spi, const std::string& channel, const std::string& account,
                   const std::string& leg, core::Date day, const core::MatchRuleSet* rules = nullptr);

std::string date_text(core::Date day);

}  // namespace pg_reconcile

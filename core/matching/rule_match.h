// One configured pass over what the passes before it have left: pair, group or subset.
//
// Pure and deterministic: the result depends on the entries and their ranks alone, not on their order in
// memory nor on the seed of their hashes. Work is bounded: blocks of any size are sorted and swept; what
// would cost more is reported as given up. What two answers fit equally well is reported as ambiguous, never
// guessed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/match_rules.h"
#include "core/money/decimal.h"

namespace pg_reconcile::core {

struct RuleEntry {
  // Hash of the rule's key columns. 0: the entry takes no part (a key column is NULL, its kind is not the
  // rule's, it is matched, or an earlier suggestion holds it).
  uint128 block = 0;
  Decimal amount;
  // The window's column in microseconds; a date is its midnight. Under a rule with a window an entry without
  // takes no part; under a rule without one it is not looked at.
  std::optional<std::int64_t> at;
  // Place in the canonical order of its side (occurred_at NULLS LAST, source_id, source_key). No two entries
  // that take part have the same.
  std::uint32_t rank = 0;
  std::uint16_t currency = 0;       // code; entries of two currencies are never in one block
  std::uint16_t source_status = 0;  // code, of one dictionary for both sides; looked at under a status map
};

// Two words of the rule's status map that fit, as codes. Words that no entry has are left out.
struct StatusPair {
  std::uint16_t left;
  std::uint16_t right;
};

struct RuleInput {
  std::span<const RuleEntry> left;
  std::span<const RuleEntry> right;
  std::span<const StatusPair> statuses;  // empty unless the rule has a status map
};

// Entries that are one movement. Indexes into RuleInput, in the order of rank.
struct RuleGroup {
  std::vector<std::uint32_t> left;
  std::vector<std::uint32_t> right;
  Decimal residual;  // right sum minus left sum
  std::uint16_t currency;
};

// Entries that the rule could not decide on. They stay free.
struct RuleFinding {
  enum class Outcome : std::uint8_t { ambiguous, gave_up };
  Outcome outcome;
  std::uint16_t currency;
  std::vector<std::uint32_t> left;  // at most finding_entries_max, the first in the order of rank
  std::vector<std::uint32_t> right;
  std::uint64_t left_count = 0;  // all of them
  std::uint64_t right_count = 0;
  Decimal residual;  // right sum minus left sum, of all of them
};

inline constexpr std::size_t finding_entries_max = 200;

// A conflict component of more entries than this on either side is given up.
inline constexpr std::size_t component_entries_max = 200;

struct RuleMatches {
  std::vector<RuleGroup> groups;      // disjoint; by the rank of their first left entry
  std::vector<RuleFinding> findings;  // by the ranks of their first entries
};

// `rule` is a pair, a group or a subset. Entries of amount 0 take no part in a subset: they fit everywhere.
// Throws core::Error 22003 when a sum of amounts is out of range, and what `interrupts` throws.
RuleMatches match_by_rule(const RuleDefinition& rule, const RuleInput& input, Interrupts& interrupts);

}  // namespace pg_reconcile::core

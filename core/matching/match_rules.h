// The rule set of a leg: which passes match its two books, in which order (docs/match-rules.md).
//
// A set is a JSON array of rule objects. Reading it checks everything that can be known without data; every
// complaint is a core::Error 22023 that names the rule, the JSON path and what was expected there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/mapping/vocabulary.h"
#include "core/matching/amount_tolerance.h"

namespace pg_reconcile::core {

enum class RuleKind : std::uint8_t {
  channel_ref,  // the exact passes, see MatchRule
  match_key,
  carried,
  net_order,
  pair,    // 1:1 within a block, by optimal assignment
  group,   // all entries of a block against all
  subset,  // one entry against those of the other side that add up to it
};

[[nodiscard]] constexpr bool is_exact(RuleKind kind) {
  return kind < RuleKind::pair;
}
// As it is written: "channel_ref", "pair" ...
[[nodiscard]] std::string_view rule_word(RuleKind kind);

// A column of a block's key: a canonical column, or an attribute.
struct KeyColumn {
  Field field = Field::order_key;  // when `attribute` is empty
  std::string attribute;
  friend bool operator==(const KeyColumn&, const KeyColumn&) = default;
};

// right - left lies in [-before, after].
struct TimeWindow {
  enum class On : std::uint8_t { occurred_at, business_date, value_date };
  On on = On::occurred_at;
  std::int64_t before = 0;  // microseconds, not negative; whole days for the two dates
  std::int64_t after = 0;
};

// left : right; N is at least 1. One against one is allowed in every shape.
enum class GroupShape : std::uint8_t { one_to_many, many_to_one, many_to_many };

enum class RuleSide : std::uint8_t { left, right };

struct StatusMapping {
  std::string left;  // source_status
  std::vector<std::string> right;
};

struct RuleDefinition {
  static constexpr int max_members_default = 12;
  static constexpr std::int64_t work_default = 1'000'000;

  RuleKind kind = RuleKind::channel_ref;
  std::string name;      // of an exact pass: its rule word
  std::string settings;  // the rule object as JSON text; an array of these reads as the same set
  // The settings "amount" and "window" as a JSON object, for the matches that they allow. "{}" when neither
  // is given.
  std::string tolerance = "{}";
  std::vector<std::string> after;

  // Of pair, group and subset.
  std::vector<KeyColumn> key;            // without account and currency, which are always equal
  std::vector<std::string> left_kinds;   // empty: every kind
  std::vector<std::string> right_kinds;  // empty: every kind
  AmountTolerance amount;
  std::optional<TimeWindow> window;
  bool suggest = false;  // its matches wait to be confirmed

  std::vector<StatusMapping> statuses;          // pair; empty: any status meets any
  GroupShape shape = GroupShape::many_to_many;  // group
  RuleSide one = RuleSide::left;                // subset
  int max_members = max_members_default;        // subset
  std::int64_t work = work_default;             // subset: partial sums looked at in a block
};

struct MatchRuleSet {
  // In the order in which they run: exact passes first, then as written, but never before what `after` names.
  std::vector<RuleDefinition> rules;

  static MatchRuleSet parse(std::string_view json);
};

}  // namespace pg_reconcile::core

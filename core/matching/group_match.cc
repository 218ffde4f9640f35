#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "core/matching/rule_block.h"

namespace pg_reconcile::core {
namespace {

bool fits_shape(GroupShape shape, const RuleBlock& block) {
  if (shape == GroupShape::one_to_many) return block.left.size() == 1;
  if (shape == GroupShape::many_to_one) return block.right.size() == 1;
  return true;
}

// Earliest and latest.
std::pair<int128, int128> span_of(const std::vector<std::uint32_t>& members,
                                  std::span<const RuleEntry> entries) {
  std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
  std::int64_t latest = std::numeric_limits<std::int64_t>::min();
  for (const std::uint32_t i : members) {
    earliest = std::min(earliest, *entries[i].at);
    latest = std::max(latest, *entries[i].at);
  }
  return {earliest, latest};
}

bool fits_window(const TimeWindow& window, const RuleBlock& block, const RuleInput& input) {
  const auto [left_earliest, left_latest] = span_of(block.left, input.left);
  const auto [right_earliest, right_latest] = span_of(block.right, input.right);
  return right_earliest - left_latest >= -window.before && right_latest - left_earliest <= window.after;
}

Decimal sum_of(const std::vector<std::uint32_t>& members, std::span<const RuleEntry> entries) {
  Decimal sum;
  for (const std::uint32_t i : members) sum += entries[i].amount;
  return sum;
}

}  // namespace

void match_groups(const RuleDefinition& rule, const RuleInput& input, RuleCollector& collector,
                  Interrupts& interrupts) {
  const auto takes_part = [&rule](const RuleEntry& entry) -> std::uint32_t {
    return !rule.window || entry.at ? 1 : 0;
  };
  for_each_block(input, takes_part, takes_part, interrupts, [&](const RuleBlock& block) {
    if (!fits_shape(rule.shape, block)) return;
    if (rule.window && !fits_window(*rule.window, block, input)) return;
    if (!rule.amount.accepts(sum_of(block.left, input.left), sum_of(block.right, input.right))) return;
    collector.match(block.left, block.right);
  });
}

}  // namespace pg_reconcile::core

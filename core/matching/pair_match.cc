#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/matching/assignment.h"
#include "core/matching/disjoint_sets.h"
#include "core/matching/pair_component.h"
#include "core/matching/rule_block.h"

namespace pg_reconcile::core {
namespace {

// Words of the two books that may meet, directly or through others, are one class, so that a status map
// divides a block before anything else does. 0: the word fits none.
class StatusClasses {
 public:
  explicit StatusClasses(std::span<const StatusPair> pairs) : left_(codes), right_(codes) {
    DisjointSets words(std::size_t{2} * codes);
    for (const StatusPair& pair : pairs) words.join(pair.left, codes + pair.right);
    for (const StatusPair& pair : pairs) {
      left_[pair.left] = words.find(pair.left) + 1;
      right_[pair.right] = words.find(codes + pair.right) + 1;
    }
  }
  [[nodiscard]] std::uint32_t of_left(const RuleEntry& entry) const { return left_[entry.source_status]; }
  [[nodiscard]] std::uint32_t of_right(const RuleEntry& entry) const { return right_[entry.source_status]; }

 private:
  static constexpr std::uint32_t codes = 65536;
  std::vector<std::uint32_t> left_;
  std::vector<std::uint32_t> right_;
};

std::vector<std::uint32_t> members(const std::vector<std::uint32_t>& places,
                                   const std::vector<std::uint32_t>& entries) {
  std::vector<std::uint32_t> list;
  for (const std::uint32_t place : places) list.push_back(entries[place]);
  return list;
}

void decide(PairComponent&& component, RuleCollector& collector, Interrupts& interrupts) {
  if (component.too_large) {
    collector.finding(RuleFinding::Outcome::gave_up, std::move(component.left), std::move(component.right));
    return;
  }
  if (component.left.size() == 1 && component.right.size() == 1) {
    collector.match(std::move(component.left), std::move(component.right));
    return;
  }
  const Assignment best = assign(component.left.size(), component.right.size(), component.edges, interrupts);
  for (const Assignment::Pair& pair : best.pairs) {
    collector.match({component.left[pair.left]}, {component.right[pair.right]});
  }
  for (const Assignment::Tie& tie : best.ties) {
    collector.finding(RuleFinding::Outcome::ambiguous, members(tie.left, component.left),
                      members(tie.right, component.right));
  }
}

}  // namespace

void match_pairs(const RuleDefinition& rule, const RuleInput& input, RuleCollector& collector,
                 Interrupts& interrupts) {
  PairComponents components(rule, input, interrupts);
  const StatusClasses classes(input.statuses);
  const auto takes_part = [&rule](const RuleEntry& entry) { return !rule.window || entry.at.has_value(); };
  const bool mapped = !rule.statuses.empty();
  const auto left_class = [&](const RuleEntry& entry) -> std::uint32_t {
    if (!takes_part(entry)) return 0;
    return mapped ? classes.of_left(entry) : 1;
  };
  const auto right_class = [&](const RuleEntry& entry) -> std::uint32_t {
    if (!takes_part(entry)) return 0;
    return mapped ? classes.of_right(entry) : 1;
  };
  for_each_block(input, left_class, right_class, interrupts, [&](const RuleBlock& block) {
    components.visit(block.left, block.right,
                     [&](PairComponent&& component) { decide(std::move(component), collector, interrupts); });
  });
}

}  // namespace pg_reconcile::core

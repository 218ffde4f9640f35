// What pair, group and subset share: the entries of one block, and where their answers go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/matching/rule_match.h"

namespace pg_reconcile::core {

// Entries of one key and currency; both sides have some, in the order of rank.
struct RuleBlock {
  std::vector<std::uint32_t> left;
  std::vector<std::uint32_t> right;
};

class RuleCollector {
 public:
  explicit RuleCollector(const RuleInput& input) : input_(input) {}

  void match(std::vector<std::uint32_t> left, std::vector<std::uint32_t> right);
  // `left` and `right` in any order.
  void finding(RuleFinding::Outcome outcome, std::vector<std::uint32_t> left,
               std::vector<std::uint32_t> right);
  // In an order that owes nothing to the order of the blocks.
  RuleMatches finish();

 private:
  [[nodiscard]] Decimal residual(std::span<const std::uint32_t> left,
                                 std::span<const std::uint32_t> right) const;

  const RuleInput& input_;
  RuleMatches result_;
};

// Divides the entries that take part into blocks. `left_class` and `right_class` divide them further: 0 takes
// no part, else only equal classes meet.
using EntryClass = std::function<std::uint32_t(const RuleEntry&)>;
void for_each_block(const RuleInput& input, const EntryClass& left_class, const EntryClass& right_class,
                    Interrupts& interrupts, const std::function<void(const RuleBlock&)>& visit);

void match_pairs(const RuleDefinition& rule, const RuleInput& input, RuleCollector& collector,
                 Interrupts& interrupts);
void match_groups(const RuleDefinition& rule, const RuleInput& input, RuleCollector& collector,
                  Interrupts& interrupts);
void match_subsets(const RuleDefinition& rule, const RuleInput& input, RuleCollector& collector,
                   Interrupts& interrupts);

}  // namespace pg_reconcile::core

#include "core/matching/rule_block.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace pg_reconcile::core {
namespace {

constexpr std::size_t poll_rows = 65536;

struct Slot {
  uint128 block;
  std::uint32_t entry_class;
  std::uint32_t rank;
  std::uint32_t index;
  std::uint16_t currency;

  [[nodiscard]] auto key() const { return std::tie(block, currency, entry_class); }
};

std::vector<Slot> sorted_slots(std::span<const RuleEntry> entries, const EntryClass& entry_class,
                               Interrupts& interrupts) {
  std::vector<Slot> slots;
  for (std::uint32_t i = 0; i < entries.size(); i++) {
    if (i % poll_rows == 0) interrupts.poll();
    const RuleEntry& entry = entries[i];
    if (entry.block == 0) continue;
    const std::uint32_t own = entry_class(entry);
    if (own != 0) slots.push_back({entry.block, own, entry.rank, i, entry.currency});
  }
  std::sort(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) {
    return std::tie(a.block, a.currency, a.entry_class, a.rank) <
           std::tie(b.block, b.currency, b.entry_class, b.rank);
  });
  interrupts.poll();
  return slots;
}

std::size_t end_of_key(const std::vector<Slot>& slots, std::size_t begin) {
  std::size_t end = begin;
  while (end < slots.size() && slots[end].key() == slots[begin].key()) end++;
  return end;
}

std::vector<std::uint32_t> indexes(const std::vector<Slot>& slots, std::size_t begin, std::size_t end) {
  std::vector<std::uint32_t> list;
  list.reserve(end - begin);
  for (std::size_t i = begin; i < end; i++) list.push_back(slots[i].index);
  return list;
}

void sort_by_rank(std::vector<std::uint32_t>& list, std::span<const RuleEntry> entries) {
  std::sort(list.begin(), list.end(),
            [entries](std::uint32_t a, std::uint32_t b) { return entries[a].rank < entries[b].rank; });
}

// After every rank: a side that is empty comes last.
constexpr std::uint64_t no_rank = std::uint64_t{1} << 32;

std::uint64_t first_rank(const std::vector<std::uint32_t>& list, std::span<const RuleEntry> entries) {
  return list.empty() ? no_rank : entries[list.front()].rank;
}

std::uint16_t currency_of(const std::vector<std::uint32_t>& left, const std::vector<std::uint32_t>& right,
                          const RuleInput& input) {
  return left.empty() ? input.right[right.front()].currency : input.left[left.front()].currency;
}

}  // namespace

Decimal RuleCollector::residual(std::span<const std::uint32_t> left,
                                std::span<const std::uint32_t> right) const {
  Decimal left_sum;
  Decimal right_sum;
  for (const std::uint32_t i : left) left_sum += input_.left[i].amount;
  for (const std::uint32_t i : right) right_sum += input_.right[i].amount;
  return right_sum - left_sum;
}

void RuleCollector::match(std::vector<std::uint32_t> left, std::vector<std::uint32_t> right) {
  sort_by_rank(left, input_.left);
  sort_by_rank(right, input_.right);
  const Decimal difference = residual(left, right);
  const std::uint16_t currency = currency_of(left, right, input_);
  result_.groups.push_back({std::move(left), std::move(right), difference, currency});
}

void RuleCollector::finding(RuleFinding::Outcome outcome, std::vector<std::uint32_t> left,
                            std::vector<std::uint32_t> right) {
  sort_by_rank(left, input_.left);
  sort_by_rank(right, input_.right);
  RuleFinding finding{
      outcome, currency_of(left, right, input_), {}, {}, left.size(), right.size(), residual(left, right)};
  left.resize(std::min(left.size(), finding_entries_max));
  right.resize(std::min(right.size(), finding_entries_max));
  finding.left = std::move(left);
  finding.right = std::move(right);
  result_.findings.push_back(std::move(finding));
}

RuleMatches RuleCollector::finish() {
  const auto earlier = [this](const auto& a, const auto& b) {
    return std::pair(first_rank(a.left, input_.left), first_rank(a.right, input_.right)) <
           std::pair(first_rank(b.left, input_.left), first_rank(b.right, input_.right));
  };
  std::sort(result_.groups.begin(), result_.groups.end(), earlier);
  std::sort(result_.findings.begin(), result_.findings.end(), earlier);
  return std::move(result_);
}

void for_each_block(const RuleInput& input, const EntryClass& left_class, const EntryClass& right_class,
                    Interrupts& interrupts, const std::function<void(const RuleBlock&)>& visit) {
  const std::vector<Slot> left = sorted_slots(input.left, left_class, interrupts);
  const std::vector<Slot> right = sorted_slots(input.right, right_class, interrupts);
  std::size_t l = 0;
  std::size_t r = 0;
  std::size_t seen = 0;
  while (l < left.size() && r < right.size()) {
    if (seen++ % 1024 == 0) interrupts.poll();
    if (left[l].key() < right[r].key()) {
      l++;
    } else if (right[r].key() < left[l].key()) {
      r++;
    } else {
      const std::size_t left_end = end_of_key(left, l);
      const std::size_t right_end = end_of_key(right, r);
      visit({indexes(left, l, left_end), indexes(right, r, right_end)});
      l = left_end;
      r = right_end;
    }
  }
}

}  // namespace pg_reconcile::core

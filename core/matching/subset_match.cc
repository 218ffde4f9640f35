#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "core/matching/rule_block.h"
#include "core/matching/subset_sum.h"

namespace pg_reconcile::core {
namespace {

// How many candidates may be looked through for each partial sum that may be listed.
constexpr std::int64_t candidates_per_work = 16;

class SubsetBlock {
 public:
  SubsetBlock(const RuleDefinition& rule, const RuleInput& input, const RuleBlock& block,
              Interrupts& interrupts)
      : rule_(rule),
        one_left_(rule.one == RuleSide::left),
        ones_of_(one_left_ ? input.left : input.right),
        others_of_(one_left_ ? input.right : input.left),
        others_(one_left_ ? block.right : block.left),
        interrupts_(interrupts) {
    if (rule_.window) sort_by_time();
    for (const std::uint32_t index : one_left_ ? block.left : block.right) ones_.push_back(with_range(index));
  }

  void match(RuleCollector& collector) {
    answer();
    count_claims();
    std::vector<std::uint32_t> given_up;
    for (One& one : ones_) {
      if (one.outcome == SubsetAnswer::Outcome::none) continue;
      if (one.outcome == SubsetAnswer::Outcome::gave_up) {
        given_up.push_back(one.index);
      } else if (one.outcome == SubsetAnswer::Outcome::unique && !is_contested(one)) {
        tell(one, [&](auto left, auto right) { collector.match(std::move(left), std::move(right)); });
      } else {
        tell(one, [&](auto left, auto right) {
          collector.finding(RuleFinding::Outcome::ambiguous, std::move(left), std::move(right));
        });
      }
    }
    if (!given_up.empty()) give_up(std::move(given_up), collector);
  }

 private:
  struct One {
    std::uint32_t index;
    std::size_t begin;  // its candidates: a stretch of others_
    std::size_t end;
    SubsetAnswer::Outcome outcome = SubsetAnswer::Outcome::none;
    std::vector<std::uint32_t> members;  // places in others_
  };

  void sort_by_time() {
    std::sort(others_.begin(), others_.end(), [this](std::uint32_t a, std::uint32_t b) {
      return std::tie(*others_of_[a].at, others_of_[a].rank) <
             std::tie(*others_of_[b].at, others_of_[b].rank);
    });
  }

  [[nodiscard]] One with_range(std::uint32_t index) const {
    One one{index, 0, others_.size(), SubsetAnswer::Outcome::none, {}};
    if (!rule_.window) return one;
    const auto at = static_cast<int128>(*ones_of_[index].at);
    const int128 earliest = at - (one_left_ ? rule_.window->before : rule_.window->after);
    const int128 latest = at + (one_left_ ? rule_.window->after : rule_.window->before);
    const auto begin = std::partition_point(others_.begin(), others_.end(), [&](std::uint32_t other) {
      return *others_of_[other].at < earliest;
    });
    const auto end = std::partition_point(
        begin, others_.end(), [&](std::uint32_t other) { return *others_of_[other].at <= latest; });
    one.begin = static_cast<std::size_t>(begin - others_.begin());
    one.end = static_cast<std::size_t>(end - others_.begin());
    return one;
  }

  // The block's work is shared out evenly, the fewest candidates first: what they leave is for the others.
  void answer() {
    std::vector<One*> order;
    for (One& one : ones_) {
      if (one.begin < one.end) order.push_back(&one);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const One* a, const One* b) { return a->end - a->begin < b->end - b->begin; });
    std::int64_t work = rule_.work;
    for (std::size_t i = 0; i < order.size(); i++) {
      interrupts_.poll();
      work -= answer(*order[i], work / static_cast<std::int64_t>(order.size() - i));
    }
  }

  std::int64_t answer(One& one, std::int64_t work) {
    const auto candidates = static_cast<std::int64_t>(one.end - one.begin);
    if (candidates > work * candidates_per_work) {
      one.outcome = SubsetAnswer::Outcome::gave_up;
      return 0;
    }
    std::vector<Decimal> amounts;
    AmountRange reach;
    for (std::size_t i = one.begin; i < one.end; i++) {
      const Decimal amount = others_of_[others_[i]].amount;
      amounts.push_back(amount);
      (amount.is_negative() ? reach.least : reach.most) += amount;
    }
    SubsetQuestion question;
    question.amounts = amounts;
    question.target = ones_of_[one.index].amount;
    question.accepted =
        one_left_ ? rule_.amount.rights_of(question.target) : rule_.amount.lefts_of(question.target, reach);
    question.members_max = static_cast<std::size_t>(rule_.max_members);
    question.work_max = work;
    SubsetAnswer found = find_subset(question, interrupts_);
    one.outcome = found.outcome;
    for (const std::uint32_t member : found.members) {
      one.members.push_back(static_cast<std::uint32_t>(one.begin) + member);
    }
    return found.work + candidates / candidates_per_work;
  }

  void count_claims() {
    claims_.assign(others_.size(), 0);
    for (const One& one : ones_) {
      if (one.outcome != SubsetAnswer::Outcome::unique) continue;
      for (const std::uint32_t member : one.members) claims_[member]++;
    }
  }

  [[nodiscard]] bool is_contested(const One& one) const {
    return std::any_of(one.members.begin(), one.members.end(),
                       [this](std::uint32_t member) { return claims_[member] > 1; });
  }

  template <class Tell>
  void tell(const One& one, Tell to) {
    std::vector<std::uint32_t> members;
    for (const std::uint32_t member : one.members) members.push_back(others_[member]);
    std::vector<std::uint32_t> single{one.index};
    if (one_left_) {
      to(std::move(single), std::move(members));
    } else {
      to(std::move(members), std::move(single));
    }
  }

  // One finding a block: a list for each entry would be quadratic.
  void give_up(std::vector<std::uint32_t> ones, RuleCollector& collector) const {
    std::vector<std::int64_t> more(others_.size() + 1);
    for (const One& one : ones_) {
      if (one.outcome != SubsetAnswer::Outcome::gave_up) continue;
      more[one.begin]++;
      more[one.end]--;
    }
    std::vector<std::uint32_t> candidates;
    std::int64_t depth = 0;
    for (std::size_t i = 0; i < others_.size(); i++) {
      depth += more[i];
      if (depth > 0) candidates.push_back(others_[i]);
    }
    if (!one_left_) std::swap(ones, candidates);
    collector.finding(RuleFinding::Outcome::gave_up, std::move(ones), std::move(candidates));
  }

  const RuleDefinition& rule_;
  bool one_left_;
  std::span<const RuleEntry> ones_of_;
  std::span<const RuleEntry> others_of_;
  std::vector<One> ones_;              // in the order of rank
  std::vector<std::uint32_t> others_;  // in the order of time under a window, else of rank
  std::vector<std::uint32_t> claims_;  // by place in others_: of how many unique answers it is a member
  Interrupts& interrupts_;
};

}  // namespace

void match_subsets(const RuleDefinition& rule, const RuleInput& input, RuleCollector& collector,
                   Interrupts& interrupts) {
  const auto takes_part = [&rule](const RuleEntry& entry) -> std::uint32_t {
    return !entry.amount.is_zero() && (!rule.window || entry.at) ? 1 : 0;
  };
  for_each_block(input, takes_part, takes_part, interrupts, [&](const RuleBlock& block) {
    SubsetBlock(rule, input, block, interrupts).match(collector);
  });
}

}  // namespace pg_reconcile::core

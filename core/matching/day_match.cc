#include "core/matching/day_match.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile::core {
namespace {

constexpr std::size_t poll_rows = 65536;

using KeyOf = uint128 (*)(const MatchEntry&);

uint128 combined(uint128 first, uint128 second, const MatchEntry& entry) {
  struct {
    uint128 first;
    uint128 second;
    uint128 amount;
    std::uint64_t codes;
    std::uint64_t unused;
  } fields{first, second, static_cast<uint128>(entry.amount.units()),
           (static_cast<std::uint64_t>(entry.kind) << 16) | entry.currency, 0};
  const XXH128_hash_t hash = XXH3_128bits(&fields, sizeof(fields));
  return (static_cast<uint128>(hash.high64) << 64) | hash.low64;
}

// 0: the entry takes no part.
uint128 reference_and_key(const MatchEntry& e) {
  return e.channel_ref == 0 || e.match_key == 0 ? 0 : combined(e.channel_ref, e.match_key, e);
}
uint128 reference_alone(const MatchEntry& e) {
  return e.channel_ref == 0 ? 0 : combined(e.channel_ref, 0, e);
}
uint128 key_alone(const MatchEntry& e) {
  return e.match_key == 0 ? 0 : combined(0, e.match_key, e);
}

struct Candidate {
  uint128 key;
  std::int64_t occurred_at;
  std::uint64_t tie;
  std::uint32_t index;

  friend bool operator<(const Candidate& a, const Candidate& b) {
    return std::tie(a.key, a.occurred_at, a.tie, a.index) < std::tie(b.key, b.occurred_at, b.tie, b.index);
  }
};

bool differ(uint128 a, uint128 b) {
  return a != 0 && b != 0 && a != b;
}

class Matcher {
 public:
  Matcher(const MatchBook& left, const MatchBook& right, Interrupts& interrupts)
      : left_(left.entries),
        right_(right.entries),
        left_versions_(left.versions),
        right_versions_(right.versions),
        interrupts_(interrupts),
        left_taken_(left_.size()),
        right_taken_(right_.size()) {}

  void pair_by(KeyOf key_of, bool with_carried, int pass) {
    const std::vector<Candidate> left = candidates(left_, left_taken_, key_of, with_carried);
    const std::vector<Candidate> right = candidates(right_, right_taken_, key_of, with_carried);
    std::size_t l = 0;
    std::size_t r = 0;
    while (l < left.size() && r < right.size()) {
      if ((l + r) % poll_rows == 0) interrupts_.poll();
      if (left[l].key < right[r].key) {
        l++;
      } else if (right[r].key < left[l].key) {
        r++;
      } else {
        take(left[l++].index, right[r++].index, pass);
      }
    }
  }

  // What a source has taken back stands against nothing in the other book: the row and its deltas are gone
  // together.
  void net_versions(int pass) {
    net_versions(left_versions_, left_, left_taken_, pass, &MatchedGroup::left);
    net_versions(right_versions_, right_, right_taken_, pass, &MatchedGroup::right);
  }

  void net_orders(int pass, std::uint16_t reversal_kind) {
    std::vector<OrderMember> members;
    collect(members, left_, left_taken_, false);
    collect(members, right_, right_taken_, true);
    std::sort(members.begin(), members.end());
    for (std::size_t begin = 0; begin < members.size();) {
      if (begin % poll_rows == 0) interrupts_.poll();
      std::size_t end = begin;
      while (end < members.size() && members[end].same_order(members[begin])) end++;
      net_order(std::span(members).subspan(begin, end - begin), pass, reversal_kind);
      begin = end;
    }
  }

  DayMatch finish() {
    for (std::uint32_t i = 0; i < left_taken_.size(); i++) {
      if (!left_taken_[i]) result_.left_open.push_back(i);
    }
    for (std::uint32_t i = 0; i < right_taken_.size(); i++) {
      if (!right_taken_[i]) result_.right_open.push_back(i);
    }
    return std::move(result_);
  }

 private:
  struct OrderMember {
    uint128 order;
    std::uint16_t currency;
    bool on_right;
    std::uint64_t tie;
    std::uint32_t index;

    [[nodiscard]] bool same_order(const OrderMember& other) const {
      return order == other.order && currency == other.currency;
    }
    friend bool operator<(const OrderMember& a, const OrderMember& b) {
      return std::tie(a.order, a.currency, a.on_right, a.tie, a.index) <
             std::tie(b.order, b.currency, b.on_right, b.tie, b.index);
    }
  };

  std::vector<Candidate> candidates(std::span<const MatchEntry> entries, const std::vector<char>& taken,
                                    KeyOf key_of, bool with_carried) {
    std::vector<Candidate> found;
    for (std::uint32_t i = 0; i < entries.size(); i++) {
      if (i % poll_rows == 0) interrupts_.poll();
      const MatchEntry& entry = entries[i];
      if (taken[i] || (entry.carried && !with_carried)) continue;
      const uint128 key = key_of(entry);
      if (key != 0) found.push_back({key, entry.occurred_at, entry.tie, i});
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  void take(std::uint32_t left, std::uint32_t right, int pass) {
    const MatchEntry& l = left_[left];
    const MatchEntry& r = right_[right];
    left_taken_[left] = 1;
    right_taken_[right] = 1;
    result_.pairs.push_back({left, right, pass, fees_compare(l, r) && l.fee != r.fee,
                             differ(l.channel_ref, r.channel_ref) || differ(l.match_key, r.match_key)});
  }

  void net_versions(std::span<const EntryVersion> versions, std::span<const MatchEntry> entries,
                    std::vector<char>& taken, int pass, std::vector<std::uint32_t> MatchedGroup::*members) {
    std::vector<EntryVersion> sorted;
    for (const EntryVersion& version : versions) {
      if (!taken[version.index]) sorted.push_back(version);
    }
    std::sort(sorted.begin(), sorted.end(), [&entries](const EntryVersion& a, const EntryVersion& b) {
      return std::tie(a.identity, entries[a.index].tie, a.index) <
             std::tie(b.identity, entries[b.index].tie, b.index);
    });
    for (std::size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
      if (begin % poll_rows == 0) interrupts_.poll();
      MatchedGroup group{{}, {}, pass};
      Decimal sum;
      for (end = begin; end < sorted.size() && sorted[end].identity == sorted[begin].identity; end++) {
        sum += entries[sorted[end].index].amount;
        (group.*members).push_back(sorted[end].index);
      }
      if (end - begin < 2 || !sum.is_zero()) continue;
      for (const std::uint32_t i : group.*members) taken[i] = 1;
      result_.groups.push_back(std::move(group));
    }
  }

  static void collect(std::vector<OrderMember>& members, std::span<const MatchEntry> entries,
                      const std::vector<char>& taken, bool on_right) {
    for (std::uint32_t i = 0; i < entries.size(); i++) {
      if (!taken[i])
        members.push_back({entries[i].order_key, entries[i].currency, on_right, entries[i].tie, i});
    }
  }

  void net_order(std::span<const OrderMember> members, int pass, std::uint16_t reversal_kind) {
    if (members.size() < 2) return;
    Decimal left_sum;
    Decimal right_sum;
    MatchedGroup group{{}, {}, pass};
    bool reversed = false;
    for (const OrderMember& member : members) {
      const MatchEntry& entry = member.on_right ? right_[member.index] : left_[member.index];
      (member.on_right ? right_sum : left_sum) += entry.amount;
      (member.on_right ? group.right : group.left).push_back(member.index);
      reversed = reversed || entry.kind == reversal_kind;
    }
    if (left_sum != right_sum) return;
    const bool one_sided = group.left.empty() || group.right.empty();
    if (one_sided && !reversed) return;
    if (group.left.size() == 1 && group.right.size() == 1) {
      // One against one is the same movement under two names, unless the kinds contradict each other.
      if (left_[group.left[0]].kind == right_[group.right[0]].kind) take(group.left[0], group.right[0], pass);
      return;
    }
    for (std::uint32_t i : group.left) left_taken_[i] = 1;
    for (std::uint32_t i : group.right) right_taken_[i] = 1;
    result_.groups.push_back(std::move(group));
  }

  std::span<const MatchEntry> left_;
  std::span<const MatchEntry> right_;
  std::span<const EntryVersion> left_versions_;
  std::span<const EntryVersion> right_versions_;
  Interrupts& interrupts_;
  std::vector<char> left_taken_;
  std::vector<char> right_taken_;
  DayMatch result_;
};

}  // namespace

DayMatch match_day(const MatchBook& left, const MatchBook& right, std::span<const MatchPass> passes,
                   std::uint16_t reversal_kind, Interrupts& interrupts) {
  Matcher matcher(left, right, interrupts);
  for (const MatchPass& pass : passes) {
    switch (pass.rule) {
      case MatchRule::channel_ref:
        matcher.pair_by(reference_and_key, false, pass.pass);
        matcher.pair_by(reference_alone, false, pass.pass);
        break;
      case MatchRule::match_key:
        matcher.pair_by(key_alone, false, pass.pass);
        break;
      case MatchRule::carried:
        matcher.net_versions(pass.pass);
        matcher.pair_by(reference_and_key, true, pass.pass);
        matcher.pair_by(reference_alone, true, pass.pass);
        matcher.pair_by(key_alone, true, pass.pass);
        break;
      case MatchRule::net_order:
        matcher.net_orders(pass.pass, reversal_kind);
        break;
    }
  }
  return matcher.finish();
}

}  // namespace pg_reconcile::core

#include "core/matching/day_match.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <utility>

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

bool differ(uint128 a, uint128 b) {
  return a != 0 && b != 0 && a != b;
}

uint128 digest_of(std::span<const uint128> words) {
  const XXH128_hash_t hash = XXH3_128bits(words.data(), words.size_bytes());
  return (static_cast<uint128>(hash.high64) << 64) | hash.low64;
}

uint128 digest_of(const MatchEntry& left, const MatchEntry& right) {
  return left.identity + right.identity;
}

MatchedFigures& figures(DayMatch& match, std::uint16_t currency) {
  if (match.figures.size() <= currency) match.figures.resize(currency + std::size_t{1});
  return match.figures[currency];
}

// Everything that is to be known of a pair is taken while both entries are at hand.
void add_pair(DayMatch& match, const MatchEntry& l, const MatchEntry& r, MatchedPair pair, bool references) {
  const bool fees = fees_compare(l, r);
  pair.fee_differs = fees && l.fee != r.fee;
  pair.reference_differs =
      references && (differ(l.channel_ref, r.channel_ref) || differ(l.match_key, r.match_key));
  match.pairs.push_back(pair);
  figures(match, l.currency).left.add(l.amount);
  figures(match, r.currency).right.add(r.amount);
  figures(match, l.currency).residual += r.amount - l.amount;
  if (fees) {
    figures(match, l.fee_currency).left_fee += l.fee;
    figures(match, l.fee_currency).right_fee += r.fee;
  } else if (l.has_fee && r.has_fee) {
    figures(match, l.fee_currency).fees_not_compared++;
  }
  match.digest += digest_of(l, r);
}

void add_group(DayMatch& match, std::span<const MatchEntry> left, std::span<const MatchEntry> right,
               MatchedGroup group) {
  for (const std::uint32_t i : group.left) {
    figures(match, left[i].currency).left.add(left[i].amount);
    figures(match, left[i].currency).residual -= left[i].amount;
  }
  for (const std::uint32_t i : group.right) {
    figures(match, right[i].currency).right.add(right[i].amount);
    figures(match, right[i].currency).residual += right[i].amount;
  }
  match.digest += core::digest_of(left, right, group);
  match.groups.push_back(std::move(group));
}

class Matcher {
 public:
  Matcher(const MatchBook& left, const MatchBook& right, Interrupts& interrupts)
      : left_(left.entries),
        right_(right.entries),
        left_versions_(left.versions),
        right_versions_(right.versions),
        left_sources_(left.sources),
        right_sources_(right.sources),
        interrupts_(interrupts),
        left_taken_(left_.size()),
        right_taken_(right_.size()),
        left_rest_(left_.size()),
        right_rest_(right_.size()) {
    std::iota(left_rest_.begin(), left_rest_.end(), 0);
    std::iota(right_rest_.begin(), right_rest_.end(), 0);
  }

  void take_decided(std::span<const MatchedGroup> decided) {
    const auto is_taken = [](const std::vector<char>& taken) {
      return [&taken](std::uint32_t i) { return taken[i] != 0; };
    };
    for (const MatchedGroup& group : decided) {
      if (std::any_of(group.left.begin(), group.left.end(), is_taken(left_taken_)) ||
          std::any_of(group.right.begin(), group.right.end(), is_taken(right_taken_))) {
        continue;
      }
      for (const std::uint32_t i : group.left) left_taken_[i] = 1;
      for (const std::uint32_t i : group.right) right_taken_[i] = 1;
      add_match(result_, left_, right_, group, false);
    }
  }

  // Entries of one key pair in the order of time, then of their sources.
  void pair_by(KeyOf key_of, bool with_carried, int pass) {
    index_right(key_of, with_carried);
    if (groups_.empty()) return;
    left_next_.resize(left_.size());
    for_each_candidate(left_, left_taken_, left_rest_, key_of, with_carried,
                       [this](std::uint32_t i, uint128 key) {
                         const std::uint32_t group = slots_[slot_of(key)];
                         if (group == none) return;
                         left_next_[i] = groups_[group].left;
                         groups_[group].left = i;
                       });
    for (std::size_t g = 0; g < groups_.size(); g++) {
      if (g % poll_rows == 0) interrupts_.poll();
      const Group& group = groups_[g];
      if (group.left == none) continue;
      if (left_next_[group.left] == none && right_next_[group.right] == none) {
        take(group.left, group.right, pass);
      } else {
        pair_many(group, pass);
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
    uint128 identity;
    std::uint32_t index;

    [[nodiscard]] bool same_order(const OrderMember& other) const {
      return order == other.order && currency == other.currency;
    }
    friend bool operator<(const OrderMember& a, const OrderMember& b) {
      return std::tie(a.order, a.currency, a.on_right, a.identity, a.index) <
             std::tie(b.order, b.currency, b.on_right, b.identity, b.index);
    }
  };

  // Entries of one key: chains through left_next_ and right_next_.
  struct Group {
    uint128 key;
    std::uint32_t left;
    std::uint32_t right;
  };
  static constexpr std::uint32_t none = 0xFFFFFFFFU;

  // `rest`: places among which those that are not taken are; afterwards these alone.
  template <class Visit>
  void for_each_candidate(std::span<const MatchEntry> entries, const std::vector<char>& taken,
                          std::vector<std::uint32_t>& rest, KeyOf key_of, bool with_carried, Visit visit) {
    std::erase_if(rest, [&taken](std::uint32_t i) { return taken[i] != 0; });
    std::uint32_t seen = 0;
    for (const std::uint32_t i : rest) {
      if (seen++ % poll_rows == 0) interrupts_.poll();
      if (entries[i].carried && !with_carried) continue;
      const uint128 key = key_of(entries[i]);
      if (key != 0) visit(i, key);
    }
  }

  // The slot that holds the group of this key, or where it would be put.
  [[nodiscard]] std::size_t slot_of(uint128 key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = static_cast<std::size_t>(key) & mask;
    while (slots_[slot] != none && groups_[slots_[slot]].key != key) slot = (slot + 1) & mask;
    return slot;
  }

  void index_right(KeyOf key_of, bool with_carried) {
    groups_.clear();
    right_next_.resize(right_.size());
    slots_.assign(std::bit_ceil(std::max<std::size_t>(right_rest_.size() * 2, 16)), none);
    for_each_candidate(right_, right_taken_, right_rest_, key_of, with_carried,
                       [this](std::uint32_t i, uint128 key) {
                         std::uint32_t& group = slots_[slot_of(key)];
                         if (group == none) {
                           group = static_cast<std::uint32_t>(groups_.size());
                           groups_.push_back({key, none, none});
                         }
                         right_next_[i] = groups_[group].right;
                         groups_[group].right = i;
                       });
  }

  void pair_many(const Group& group, int pass) {
    const std::vector<std::uint32_t> left = in_order(group.left, left_next_, left_, left_sources_);
    const std::vector<std::uint32_t> right = in_order(group.right, right_next_, right_, right_sources_);
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); i++) take(left[i], right[i], pass);
  }

  static std::vector<std::uint32_t> in_order(std::uint32_t first, const std::vector<std::uint32_t>& next,
                                             std::span<const MatchEntry> entries,
                                             std::span<const EntrySource> sources) {
    std::vector<std::uint32_t> found;
    for (std::uint32_t i = first; i != none; i = next[i]) found.push_back(i);
    std::sort(found.begin(), found.end(), [entries, sources](std::uint32_t a, std::uint32_t b) {
      return std::tie(entries[a].occurred_at, sources[a].source_id, sources[a].source_key, a) <
             std::tie(entries[b].occurred_at, sources[b].source_id, sources[b].source_key, b);
    });
    return found;
  }

  void take(std::uint32_t left, std::uint32_t right, int pass) {
    left_taken_[left] = 1;
    right_taken_[right] = 1;
    add_pair(result_, left_[left], right_[right], {left, right, pass, false, false}, true);
  }

  void take(MatchedGroup group) {
    for (const std::uint32_t i : group.left) left_taken_[i] = 1;
    for (const std::uint32_t i : group.right) right_taken_[i] = 1;
    add_group(result_, left_, right_, std::move(group));
  }

  void net_versions(std::span<const EntryVersion> versions, std::span<const MatchEntry> entries,
                    const std::vector<char>& taken, int pass,
                    std::vector<std::uint32_t> MatchedGroup::*members) {
    std::vector<EntryVersion> sorted;
    for (const EntryVersion& version : versions) {
      if (!taken[version.index]) sorted.push_back(version);
    }
    std::sort(sorted.begin(), sorted.end(), [&entries](const EntryVersion& a, const EntryVersion& b) {
      return std::tie(a.identity, entries[a.index].identity, a.index) <
             std::tie(b.identity, entries[b.index].identity, b.index);
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
      take(std::move(group));
    }
  }

  static void collect(std::vector<OrderMember>& members, std::span<const MatchEntry> entries,
                      const std::vector<char>& taken, bool on_right) {
    for (std::uint32_t i = 0; i < entries.size(); i++) {
      if (!taken[i])
        members.push_back({entries[i].order_key, entries[i].currency, on_right, entries[i].identity, i});
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
    take(std::move(group));
  }

  std::span<const MatchEntry> left_;
  std::span<const MatchEntry> right_;
  std::span<const EntryVersion> left_versions_;
  std::span<const EntryVersion> right_versions_;
  std::span<const EntrySource> left_sources_;
  std::span<const EntrySource> right_sources_;
  Interrupts& interrupts_;
  std::vector<char> left_taken_;
  std::vector<char> right_taken_;
  std::vector<std::uint32_t> left_rest_, right_rest_;
  // Of the pass at hand.
  std::vector<Group> groups_;
  std::vector<std::uint32_t> slots_, left_next_, right_next_;
  DayMatch result_;
};

}  // namespace

uint128 digest_of(std::span<const MatchEntry> left, std::span<const MatchEntry> right,
                  const MatchedPair& pair) {
  return digest_of(left[pair.left], right[pair.right]);
}

uint128 digest_of(std::span<const MatchEntry> left, std::span<const MatchEntry> right,
                  const MatchedGroup& group) {
  // Members come in the order of their place in memory, too.
  std::vector<uint128> members;
  const auto add = [&members](std::span<const MatchEntry> entries,
                              const std::vector<std::uint32_t>& indexes) {
    const std::size_t first = members.size();
    for (const std::uint32_t i : indexes) members.push_back(entries[i].identity);
    std::sort(members.begin() + static_cast<std::ptrdiff_t>(first), members.end());
    members.push_back(indexes.size());
  };
  add(left, group.left);
  add(right, group.right);
  return digest_of(members);
}

void add_match(DayMatch& match, std::span<const MatchEntry> left, std::span<const MatchEntry> right,
               MatchedGroup group, bool references) {
  if (group.left.size() == 1 && group.right.size() == 1) {
    add_pair(match, left[group.left[0]], right[group.right[0]],
             {group.left[0], group.right[0], group.pass, false, false}, references);
  } else {
    add_group(match, left, right, std::move(group));
  }
}

DayMatch match_day(const MatchBook& left, const MatchBook& right, std::span<const MatchPass> passes,
                   std::uint16_t reversal_kind, Interrupts& interrupts,
                   std::span<const MatchedGroup> decided) {
  Matcher matcher(left, right, interrupts);
  matcher.take_decided(decided);
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

#include "core/matching/subset_sum.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace pg_reconcile::core {
namespace {

constexpr std::uint8_t ways_max = 3;  // as many or more: the empty subset may be one that does not count
constexpr int prune_rounds_max = 8;
constexpr std::size_t poll_sums = 65536;

struct PartialSum {
  int128 sum;
  std::uint8_t ways;  // how many subsets have it, up to ways_max
};

// Ascending, no two equal.
using Sums = std::vector<PartialSum>;

struct Item {
  int128 amount;
  std::uint32_t index;
};

// What some items can add to a sum.
struct Reach {
  int128 least = 0;  // all negative ones
  int128 most = 0;
  void add(int128 amount) { (amount < 0 ? least : most) += amount; }
  void remove(int128 amount) { (amount < 0 ? least : most) -= amount; }
};

Reach reach_of(const std::vector<Item>& items) {
  Decimal least;
  Decimal most;
  for (const Item& item : items) (item.amount < 0 ? least : most) += Decimal::from_units(item.amount);
  return {least.units(), most.units()};
}

bool meets(int128 least, int128 most, const AmountRange& accepted) {
  return least <= accepted.most.units() && most >= accepted.least.units();
}

// Drops the items with which no sum is accepted, whatever joins them.
void prune(std::vector<Item>& items, const AmountRange& accepted) {
  for (int round = 0; round < prune_rounds_max; round++) {
    const Reach all = reach_of(items);
    if (!meets(all.least, all.most, accepted)) items.clear();
    const auto dropped = std::erase_if(items, [&](const Item& item) {
      const int128 least = item.amount > 0 ? all.least + item.amount : all.least;
      const int128 most = item.amount < 0 ? all.most + item.amount : all.most;
      return !meets(least, most, accepted);
    });
    if (dropped == 0) return;
  }
}

// The sums of one part, by how many members they have (or in one list, where that does not matter), after
// each item that joined.
class Part {
 public:
  Part(std::size_t buckets, const AmountRange& accepted) : accepted_(accepted) {
    levels_.emplace_back(buckets);
    levels_[0][0].push_back({0, 1});
  }

  // `rest`: what the items outside this part can add. Lists at most `room` sums; how many there were, more
  // than `room` when they were too many.
  std::int64_t join(const Item& item, const Reach& rest, std::int64_t room) {
    const std::vector<Sums>& before = levels_.back();
    std::vector<Sums> lists(before.size());
    auto listed = static_cast<std::int64_t>(lists.size());  // an empty list takes memory too
    const Sums nothing;
    for (std::size_t c = 0; c < lists.size() && listed <= room; c++) {
      const Sums& joined = before.size() == 1 ? before[0] : c == 0 ? nothing : before[c - 1];
      merge(before[c], joined, item.amount, rest, room - listed, lists[c]);
      listed += static_cast<std::int64_t>(lists[c].size());
    }
    levels_.push_back(std::move(lists));
    items_.push_back(item);
    return listed;
  }

  [[nodiscard]] const std::vector<Sums>& sums() const { return levels_.back(); }
  [[nodiscard]] std::size_t size() const {
    std::size_t count = 0;
    for (const Sums& list : sums()) count += list.size();
    return count;
  }

  // The items of one subset with this sum: of all such, the one that takes the later items, or that leaves
  // them.
  void trace(std::size_t bucket, int128 sum, bool take, std::vector<std::uint32_t>& members) const {
    for (std::size_t level = items_.size(); level > 0; level--) {
      const std::vector<Sums>& before = levels_[level - 1];
      const bool counted = before.size() > 1;
      const Item& item = items_[level - 1];
      const bool can_leave = has(before[bucket], sum);
      const bool can_take =
          (!counted || bucket > 0) && has(before[counted ? bucket - 1 : 0], sum - item.amount);
      if (can_take && (take || !can_leave)) {
        members.push_back(item.index);
        sum -= item.amount;
        if (counted) bucket--;
      }
    }
  }

 private:
  static bool has(const Sums& list, int128 sum) {
    const auto found = std::lower_bound(list.begin(), list.end(), sum,
                                        [](const PartialSum& a, int128 b) { return a.sum < b; });
    return found != list.end() && found->sum == sum;
  }

  void merge(const Sums& without, const Sums& with, int128 amount, const Reach& rest, std::int64_t room,
             Sums& out) const {
    std::size_t a = 0;
    std::size_t b = 0;
    while ((a < without.size() || b < with.size()) && static_cast<std::int64_t>(out.size()) <= room) {
      PartialSum next{};
      const bool take_a = b == with.size() || (a < without.size() && without[a].sum <= with[b].sum + amount);
      const bool take_b = a == without.size() || (b < with.size() && with[b].sum + amount <= without[a].sum);
      if (take_b) next = {with[b].sum + amount, with[b].ways};
      if (take_a) {
        next.sum = without[a].sum;
        next.ways = std::min<std::uint8_t>(ways_max, static_cast<std::uint8_t>(next.ways + without[a].ways));
      }
      a += take_a ? 1 : 0;
      b += take_b ? 1 : 0;
      if (meets(next.sum + rest.least, next.sum + rest.most, accepted_)) out.push_back(next);
    }
  }

  AmountRange accepted_;
  std::vector<Item> items_;
  std::vector<std::vector<Sums>> levels_;
};

// A sum of one part and one of the other.
struct Meeting {
  std::size_t first_bucket = 0;
  std::size_t second_bucket = 0;
  int128 first = 0;
  int128 second = 0;
};

class Search {
 public:
  Search(const SubsetQuestion& question, std::vector<Item> items, Interrupts& interrupts)
      : question_(question),
        items_(std::move(items)),
        buckets_(items_.size() > question.members_max ? question.members_max + 1 : 1),
        small_(buckets_, question.accepted),
        large_(buckets_, question.accepted),
        interrupts_(interrupts) {
    // Equal amounts beside each other share sums.
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
      const auto magnitude = [](int128 amount) { return amount < 0 ? -amount : amount; };
      return std::tuple(magnitude(a.amount), a.amount, a.index) <
             std::tuple(magnitude(b.amount), b.amount, b.index);
    });
  }

  SubsetAnswer run() {
    if (!list_sums()) {
      answer_.outcome = SubsetAnswer::Outcome::gave_up;
      return answer_;
    }
    for (std::size_t a = 0; a < buckets_; a++) {
      for (std::size_t b = 0; b < buckets_; b++) {
        if (buckets_ == 1 || a + b <= question_.members_max) meet(a, b);
      }
    }
    if (ways_ > 0) tell();
    return answer_;
  }

 private:
  // From both ends, the part with fewer sums first.
  bool list_sums() {
    Reach outside_small = reach_of(items_);
    Reach outside_large = outside_small;
    std::size_t begin = 0;
    std::size_t end = items_.size();
    while (begin < end) {
      interrupts_.poll();
      const std::int64_t room = question_.work_max - answer_.work;
      const bool grow_small = small_.size() <= large_.size();
      const Item& item = grow_small ? items_[begin++] : items_[--end];
      (grow_small ? outside_small : outside_large).remove(item.amount);
      const std::int64_t listed =
          grow_small ? small_.join(item, outside_small, room) : large_.join(item, outside_large, room);
      answer_.work += std::min(listed, room);
      if (listed > room) return false;
    }
    return true;
  }

  // The sums nearest to the target, from below and from above, for each sum of the small part.
  void meet(std::size_t a, std::size_t b) {
    const Sums& first = small_.sums()[a];
    const Sums& second = large_.sums()[b];
    const int128 target = question_.target.units();
    std::size_t above = second.size();
    for (std::size_t i = 0; i < first.size(); i++) {
      if (i % poll_sums == 0) interrupts_.poll();
      while (above > 0 && first[i].sum + second[above - 1].sum > target) above--;
      const auto told = [&](std::size_t j) {
        return offer({a, b, first[i].sum, second[j].sum}, first[i].ways, second[j].ways);
      };
      std::size_t below = above;
      while (below > 0 && !told(below - 1)) below--;
      std::size_t over = above;
      while (over < second.size() && !told(over)) over++;
    }
  }

  // false when only the empty subset has this sum, which hides what lies behind it.
  bool offer(const Meeting& meeting, int first_ways, int second_ways) {
    const bool with_empty =
        meeting.first_bucket == 0 && meeting.second_bucket == 0 && meeting.first == 0 && meeting.second == 0;
    const int ways = std::min<int>(first_ways * second_ways, ways_max) - (with_empty ? 1 : 0);
    if (ways == 0) return false;
    const Decimal sum = Decimal::from_units(meeting.first + meeting.second);
    if (!question_.accepted.holds(sum)) return true;
    const Decimal residual = (sum - question_.target).magnitude();
    if (ways_ > 0 && residual > residual_) return true;
    if (ways_ == 0 || residual < residual_) {
      residual_ = residual;
      ways_ = 0;
      first_ = meeting;
    }
    ways_ = std::min<int>(ways_max, ways_ + ways);
    last_ = meeting;
    return true;
  }

  void tell() {
    answer_.outcome = ways_ == 1 ? SubsetAnswer::Outcome::unique : SubsetAnswer::Outcome::ambiguous;
    trace(first_, true);
    if (ways_ > 1) trace(last_, false);
    std::vector<std::uint32_t>& members = answer_.members;
    std::sort(members.begin(), members.end());
    members.erase(std::unique(members.begin(), members.end()), members.end());
  }

  void trace(const Meeting& meeting, bool take) {
    small_.trace(meeting.first_bucket, meeting.first, take, answer_.members);
    large_.trace(meeting.second_bucket, meeting.second, take, answer_.members);
  }

  const SubsetQuestion& question_;
  std::vector<Item> items_;
  std::size_t buckets_;
  Part small_, large_;
  Interrupts& interrupts_;
  SubsetAnswer answer_;
  int ways_ = 0;
  Decimal residual_;
  Meeting first_, last_;
};

}  // namespace

SubsetAnswer find_subset(const SubsetQuestion& question, Interrupts& interrupts) {
  std::vector<Item> items;
  for (std::uint32_t i = 0; i < question.amounts.size(); i++) {
    if (i % poll_sums == 0) interrupts.poll();
    items.push_back({question.amounts[i].units(), i});
  }
  prune(items, question.accepted);
  if (items.empty()) return {};
  return Search(question, std::move(items), interrupts).run();
}

}  // namespace pg_reconcile::core

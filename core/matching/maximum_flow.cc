#include "core/matching/maximum_flow.h"

#include <algorithm>
#include <limits>

namespace pg_reconcile::core {

BipartiteFlow::BipartiteFlow(std::span<const std::uint64_t> left_counts,
                             std::span<const std::uint64_t> right_counts)
    : first_right_(static_cast<std::uint32_t>(first_left + left_counts.size())),
      head_(first_left + left_counts.size() + right_counts.size(), none) {
  for (std::uint32_t i = 0; i < left_counts.size(); i++) add_arc(source, first_left + i, left_counts[i]);
  for (std::uint32_t i = 0; i < right_counts.size(); i++) add_arc(first_right_ + i, target, right_counts[i]);
  first_pair_arc_ = arcs_.size();
}

void BipartiteFlow::add_arc(std::uint32_t from, std::uint32_t to, std::uint64_t capacity) {
  arcs_.push_back({to, head_[from], capacity});
  head_[from] = static_cast<std::uint32_t>(arcs_.size() - 1);
  arcs_.push_back({from, head_[to], 0});
  head_[to] = static_cast<std::uint32_t>(arcs_.size() - 1);
}

void BipartiteFlow::allow(std::size_t left, std::size_t right) {
  add_arc(static_cast<std::uint32_t>(first_left + left), static_cast<std::uint32_t>(first_right_ + right),
          std::numeric_limits<std::uint64_t>::max() / 2);
}

// Distances from the source over arcs that still carry; false when the target is out of reach: then the flow
// is a maximum.
bool BipartiteFlow::level() {
  level_.assign(head_.size(), none);
  queue_.clear();
  queue_.push_back(source);
  level_[source] = 0;
  for (std::size_t i = 0; i < queue_.size(); i++) {
    for (std::uint32_t arc = head_[queue_[i]]; arc != none; arc = arcs_[arc].next) {
      if (arcs_[arc].capacity == 0 || level_[arcs_[arc].to] != none) continue;
      level_[arcs_[arc].to] = level_[queue_[i]] + 1;
      queue_.push_back(arcs_[arc].to);
    }
  }
  return level_[target] != none;
}

// Pushes along one path of ascending levels; 0 when there is none left. No recursion: a path may be as long
// as there are classes.
std::uint64_t BipartiteFlow::augment() {
  path_.clear();
  std::uint32_t node = source;
  while (node != target) {
    std::uint32_t& arc = cursor_[node];
    while (arc != none && (arcs_[arc].capacity == 0 || level_[arcs_[arc].to] != level_[node] + 1)) {
      arc = arcs_[arc].next;
    }
    if (arc != none) {
      path_.push_back(arc);
      node = arcs_[arc].to;
    } else if (node == source) {
      return 0;
    } else {  // a dead end: step back, and past the arc that led here
      node = arcs_[path_.back() ^ 1].to;
      path_.pop_back();
      cursor_[node] = arcs_[cursor_[node]].next;
    }
  }
  std::uint64_t pushed = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint32_t arc : path_) pushed = std::min(pushed, arcs_[arc].capacity);
  for (const std::uint32_t arc : path_) {
    arcs_[arc].capacity -= pushed;
    arcs_[arc ^ 1].capacity += pushed;
  }
  return pushed;
}

void BipartiteFlow::maximise(Interrupts& interrupts) {
  while (level()) {
    cursor_ = head_;
    while (augment() > 0) interrupts.poll();
  }
}

}  // namespace pg_reconcile::core

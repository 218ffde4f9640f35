#include "core/matching/tolerance_pairing.h"

#include <algorithm>

#include "core/matching/maximum_flow.h"

namespace pg_reconcile::core {
namespace {

// The left that is lowest takes the lowest right that accepts it: an exchange argument shows that no other
// choice pairs more, because whatever a later left accepts below its own stretch, it does not accept at all.
std::vector<PairedCount> walk(std::span<const std::uint64_t> left_counts,
                              std::span<const std::uint64_t> right_counts, Closeness& closeness,
                              Interrupts& interrupts) {
  std::vector<PairedCount> pairs;
  std::size_t l = 0;
  std::size_t r = 0;
  std::uint64_t left_used = 0;
  std::uint64_t right_used = 0;
  while (l < left_counts.size() && r < right_counts.size()) {
    interrupts.poll();
    bool next_left = false;
    bool next_right = false;
    if (closeness.leading_within(l, r)) {
      const std::uint64_t count = std::min(left_counts[l] - left_used, right_counts[r] - right_used);
      pairs.push_back({static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(r), count});
      left_used += count;
      right_used += count;
      next_left = left_used == left_counts[l];
      next_right = right_used == right_counts[r];
    } else {
      next_left = closeness.leading_order(l, r) < 0;
      next_right = !next_left;
    }
    if (next_left) l++, left_used = 0;
    if (next_right) r++, right_used = 0;
  }
  return pairs;
}

// Lists the close pairs; false when there are too many to look at.
bool list_close(BipartiteFlow& flow, std::size_t lefts, std::size_t rights, Closeness& closeness,
                Interrupts& interrupts, std::uint64_t checks_max) {
  std::uint64_t checks = 0;
  std::size_t lowest = 0;
  for (std::size_t l = 0; l < lefts; l++) {
    while (lowest < rights && !closeness.leading_within(l, lowest) &&
           closeness.leading_order(l, lowest) > 0) {
      lowest++;
    }
    for (std::size_t r = lowest; r < rights && closeness.leading_within(l, r); r++) {
      if (++checks > checks_max) return false;
      if (checks % 1024 == 0) interrupts.poll();
      if (closeness.others_within(l, r)) flow.allow(l, r);
    }
    interrupts.poll();
  }
  return true;
}

}  // namespace

std::optional<std::vector<PairedCount>> pair_within_tolerance(std::span<const std::uint64_t> left_counts,
                                                              std::span<const std::uint64_t> right_counts,
                                                              Closeness& closeness, bool single_column,
                                                              Interrupts& interrupts,
                                                              std::uint64_t checks_max) {
  if (single_column) return walk(left_counts, right_counts, closeness, interrupts);
  BipartiteFlow flow(left_counts, right_counts);
  if (!list_close(flow, left_counts.size(), right_counts.size(), closeness, interrupts, checks_max)) {
    return std::nullopt;
  }
  flow.maximise(interrupts);
  std::vector<PairedCount> pairs;
  flow.visit_pairs([&](std::size_t l, std::size_t r, std::uint64_t count) {
    pairs.push_back({static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(r), count});
  });
  return pairs;
}

}  // namespace pg_reconcile::core

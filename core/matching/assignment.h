// The best assignment in one conflict component, and what in it is a tie.
//
// Best: as many pairs as possible, then the least sum of residuals, then the least sum of time distances; all
// exact. Shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957; Jonker and Volgenant 1987) on
// costs that are compared in that order, where a left may also stay alone at the price of a pair:
// O(lefts * lefts * rights).
//
// Every other best assignment is reached from the one found by going around cycles of admissible pairs whose
// reduced cost is 0. So what differs between best assignments lies on such a cycle, and one search for
// strongly connected parts tells it from what all of them have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/interrupts.h"
#include "core/money/decimal.h"

namespace pg_reconcile::core {

// A pair that the rule admits.
struct AssignmentEdge {
  std::uint32_t left;
  std::uint32_t right;
  int128 residual;        // magnitude
  std::int64_t distance;  // in time, magnitude
};

struct Assignment {
  struct Pair {
    std::uint32_t left;
    std::uint32_t right;
    friend auto operator<=>(const Pair&, const Pair&) = default;
  };
  // Entries that best assignments treat differently, and that compete with each other.
  struct Tie {
    std::vector<std::uint32_t> left;  // ascending
    std::vector<std::uint32_t> right;
  };
  std::vector<Pair> pairs;  // those that every best assignment has; ascending
  std::vector<Tie> ties;
};

// How costs are held: packed into one number where they fit, which the caller leaves to us.
enum class CostWidth : std::uint8_t { chosen, at_least_128, three_numbers };

// At most one edge for a left and a right. Lefts and rights count from 0.
Assignment assign(std::size_t lefts, std::size_t rights, std::span<const AssignmentEdge> edges,
                  Interrupts& interrupts, CostWidth width = CostWidth::chosen);

}  // namespace pg_reconcile::core

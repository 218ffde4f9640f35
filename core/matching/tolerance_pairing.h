// Pairs as many rows as possible whose values are close: a maximum matching in a bipartite graph.
//
// Rows that are equal in everything that matters form one class with a count, so that half a million twins
// cost what one row costs. With one tolerance column, the rights that a left accepts are a stretch of the
// ordered rights whose two ends only move up from one left to the next; there a single walk along both orders
// finds a maximum. With several columns the pairs that are close are listed and Dinic's algorithm (augmenting
// paths by levels) finds it.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/interrupts.h"

namespace pg_reconcile::core {

// How close the classes are; indexes are places in the ascending order of the leading tolerance column.
class Closeness {
 public:
  virtual ~Closeness() = default;
  // Negative when the left value of the leading column is below the right one, 0 when equal, positive above.
  virtual int leading_order(std::size_t left, std::size_t right) = 0;
  // Within tolerance in the leading column. For an ascending left, the first and the last right that are
  // within never move down.
  virtual bool leading_within(std::size_t left, std::size_t right) = 0;
  // Within tolerance in every other column. Not asked when there is none.
  virtual bool others_within(std::size_t left, std::size_t right) = 0;
};

struct PairedCount {
  std::uint32_t left;   // class
  std::uint32_t right;  // class
  std::uint64_t count;  // pairs
  friend bool operator==(const PairedCount&, const PairedCount&) = default;
};

// How many pairs of classes may be looked at before we say that the key does not tell rows apart.
inline constexpr std::uint64_t pair_checks_max = 5'000'000;

// A maximum pairing; the same input gives the same pairs. nullopt: more than `checks_max` pairs to look at
// (only with several tolerance columns).
std::optional<std::vector<PairedCount>> pair_within_tolerance(std::span<const std::uint64_t> left_counts,
                                                              std::span<const std::uint64_t> right_counts,
                                                              Closeness& closeness, bool single_column,
                                                              Interrupts& interrupts,
                                                              std::uint64_t checks_max = pair_checks_max);

}  // namespace pg_reconcile::core

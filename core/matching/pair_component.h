// Which entries of a block compete for each other: the connected components of the pairs that a rule admits.
//
// Nobody looks at all pairs. The rights that a left accepts by amount are a stretch of the rights in the
// order of amount, and by time one in the order of time; so one sweep along either order cuts a block
// wherever no stretch reaches across, in the time of a sort. Pieces are cut along both in turn until they are
// small, and only inside small pieces are pairs looked at one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/assignment.h"
#include "core/matching/rule_match.h"

namespace pg_reconcile::core {

struct PairComponent {
  std::vector<std::uint32_t> left;  // indexes into RuleInput
  std::vector<std::uint32_t> right;
  std::vector<AssignmentEdge> edges;  // places in the two lists; none in a component that is given up
  bool too_large = false;
};

class PairComponents {
 public:
  PairComponents(const RuleDefinition& rule, const RuleInput& input, Interrupts& interrupts);

  // Entries of one block, which under a window have a time. Entries that no pair holds are in no component.
  void visit(std::vector<std::uint32_t> left, std::vector<std::uint32_t> right,
             const std::function<void(PairComponent&&)>& visit);

 private:
  enum class Axis : std::uint8_t { amount, time };
  struct Piece {
    std::vector<std::uint32_t> left;
    std::vector<std::uint32_t> right;
    Axis axis = Axis::amount;  // to cut along next
    int cuts = 0;              // so far
    int in_vain = 0;           // of them the last ones that changed nothing
  };
  // What a left accepts along an axis.
  struct Reach {
    int128 least;
    int128 most;
    std::uint32_t index;
  };
  struct Place {
    int128 at;
    std::uint32_t index;
  };
  // The sweep along an axis: each left with the stretch of rights that it accepts.
  struct Stretch {
    std::uint32_t left;
    std::size_t begin;
    std::size_t end;
  };
  struct Sweep {
    std::vector<Stretch> lefts;         // without those that accept none
    std::vector<std::uint32_t> rights;  // in order
    std::uint64_t pairs = 0;            // in all stretches
  };
  using Visit = std::function<void(PairComponent&&)>;

  [[nodiscard]] Reach reach(std::uint32_t left, Axis axis) const;
  [[nodiscard]] Sweep sweep(const Piece& piece, Axis axis) const;
  [[nodiscard]] bool admits(std::uint32_t left, std::uint32_t right) const;
  [[nodiscard]] AssignmentEdge edge(std::uint32_t left, std::uint32_t right) const;
  [[nodiscard]] bool is_small(const Piece& piece) const;
  void cut(const Piece& piece, std::vector<Piece>& pieces) const;
  void look_at_pairs(const Piece& piece, const Visit& visit);
  void look_along_sweep(const Piece& piece, const Visit& visit);
  void give_up(Piece piece, const Visit& visit) const;

  const RuleDefinition& rule_;
  const RuleInput& input_;
  Interrupts& interrupts_;
  std::vector<std::uint32_t> statuses_;  // left << 16 | right, ascending
};

}  // namespace pg_reconcile::core

// Dinic's maximum flow between two sets of classes: which class pairs with which, how many times.
// Source: E. A. Dinic, 1970; Even and Tarjan 1975 bound it by O(E sqrt(V)) for unit counts.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/interrupts.h"

namespace pg_reconcile::core {

class BipartiteFlow {
 public:
  BipartiteFlow(std::span<const std::uint64_t> left_counts, std::span<const std::uint64_t> right_counts);
  // That this left class may pair with this right class, any number of times.
  void allow(std::size_t left, std::size_t right);
  void maximise(Interrupts& interrupts);
  // Calls visit(left, right, count) for each allowed pair that carries pairs, in the order of allow().
  template <class Visit>
  void visit_pairs(Visit&& visit) const {
    for (std::size_t arc = first_pair_arc_; arc < arcs_.size(); arc += 2) {
      const std::uint64_t count = arcs_[arc ^ 1].capacity;
      if (count > 0) visit(arcs_[arc ^ 1].to - first_left, arcs_[arc].to - first_right_, count);
    }
  }

 private:
  static constexpr std::uint32_t source = 0;
  static constexpr std::uint32_t target = 1;
  static constexpr std::uint32_t first_left = 2;
  static constexpr std::uint32_t none = 0xFFFFFFFFU;
  struct Arc {  // arcs come in twos: an arc and, at index ^ 1, its way back
    std::uint32_t to;
    std::uint32_t next;  // of the same node
    std::uint64_t capacity;
  };

  void add_arc(std::uint32_t from, std::uint32_t to, std::uint64_t capacity);
  bool level();
  std::uint64_t augment();

  std::uint32_t first_right_;
  std::size_t first_pair_arc_ = 0;
  std::vector<Arc> arcs_;
  std::vector<std::uint32_t> head_, level_, cursor_, path_, queue_;
};

}  // namespace pg_reconcile::core

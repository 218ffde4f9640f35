#include "core/matching/assignment.h"

#include <algorithm>
#include <compare>
#include <limits>
#include <utility>

#include "core/matching/disjoint_sets.h"

namespace pg_reconcile::core {
namespace {

constexpr std::uint32_t none = DisjointSets::none;

// The cost of an assignment that is too large for one number.
struct WideCost {
  std::int64_t unpaired = 0;
  int128 residual = 0;
  int128 distance = 0;

  friend WideCost operator+(const WideCost& a, const WideCost& b) {
    return {a.unpaired + b.unpaired, a.residual + b.residual, a.distance + b.distance};
  }
  friend WideCost operator-(const WideCost& a, const WideCost& b) {
    return {a.unpaired - b.unpaired, a.residual - b.residual, a.distance - b.distance};
  }
  friend bool operator==(const WideCost&, const WideCost&) = default;
  friend auto operator<=>(const WideCost&, const WideCost&) = default;
};

// Strongly connected parts of a graph (Tarjan 1972). The recursion is as deep as there are nodes: some
// hundreds.
class StrongParts {
 public:
  explicit StrongParts(const std::vector<std::vector<std::uint32_t>>& arcs)
      : arcs_(arcs), part_(arcs.size(), none), number_(arcs.size(), none), low_(arcs.size()) {
    for (std::uint32_t node = 0; node < arcs.size(); node++) {
      if (number_[node] == none) visit(node);
    }
  }
  [[nodiscard]] bool together(std::uint32_t a, std::uint32_t b) const { return part_[a] == part_[b]; }
  [[nodiscard]] bool on_cycle(std::uint32_t node) const { return sizes_[part_[node]] > 1; }

 private:
  void visit(std::uint32_t node) {
    number_[node] = low_[node] = next_++;
    open_.push_back(node);
    for (const std::uint32_t to : arcs_[node]) {
      if (number_[to] == none) {
        visit(to);
        low_[node] = std::min(low_[node], low_[to]);
      } else if (part_[to] == none) {
        low_[node] = std::min(low_[node], number_[to]);
      }
    }
    if (low_[node] != number_[node]) return;
    const auto part = static_cast<std::uint32_t>(sizes_.size());
    sizes_.push_back(0);
    while (part_[node] == none) {
      part_[open_.back()] = part;
      sizes_.back()++;
      open_.pop_back();
    }
  }

  const std::vector<std::vector<std::uint32_t>>& arcs_;
  std::vector<std::uint32_t> part_, number_, low_, open_, sizes_;
  std::uint32_t next_ = 0;
};

// Rows are matched with columns, or stay alone.
template <class Cost>
class Solver {
 public:
  Solver(std::size_t rows, std::size_t columns, Cost alone)
      : rows_(rows),
        columns_(columns),
        alone_(alone),
        cost_(rows * columns),
        admitted_(rows * columns),
        row_price_(rows),
        column_price_(columns),
        column_of_(rows, none),
        row_of_(columns, none) {}

  void admit(std::uint32_t row, std::uint32_t column, Cost cost) {
    cost_[place(row, column)] = cost;
    admitted_[place(row, column)] = 1;
  }

  Assignment solve(Interrupts& interrupts) {
    for (std::uint32_t row = 0; row < rows_; row++) {
      interrupts.poll();
      add(row);
    }
    return without_ties();
  }

 private:
  [[nodiscard]] std::size_t place(std::uint32_t row, std::uint32_t column) const {
    return row * columns_ + column;
  }
  [[nodiscard]] Cost reduced(std::uint32_t row, std::uint32_t column) const {
    return cost_[place(row, column)] - row_price_[row] - column_price_[column];
  }

  // Finds the cheapest way to take `start` in as well: a path over matched columns that ends in a free column
  // or in a row that stays alone from now on.
  void add(std::uint32_t start) {
    distance_.assign(columns_, Cost{});
    from_.assign(columns_, none);
    done_.assign(columns_, 0);
    std::uint32_t row = start;
    std::uint32_t column = none;
    Cost here{};
    std::uint32_t left_alone = start;
    Cost to_leave_alone = alone_ - row_price_[start];
    while (true) {
      column = relax(row, here);
      if (column == none || to_leave_alone <= distance_[column]) break;
      here = distance_[column];
      if (row_of_[column] == none) break;
      done_[column] = 1;
      row = row_of_[column];
      const Cost end = here + (alone_ - row_price_[row]);
      if (end < to_leave_alone) {
        to_leave_alone = end;
        left_alone = row;
      }
    }
    const bool frees_row = column == none || to_leave_alone <= distance_[column];
    move_prices(start, frees_row ? to_leave_alone : here);
    if (frees_row) {
      column = column_of_[left_alone];
      column_of_[left_alone] = none;
      if (left_alone == start) return;
    }
    augment(start, column);
  }

  // Looks from `row`, which is `here` away, at the columns that are not done; the nearest of all of them.
  std::uint32_t relax(std::uint32_t row, const Cost& here) {
    std::uint32_t nearest = none;
    for (std::uint32_t column = 0; column < columns_; column++) {
      if (done_[column] != 0) continue;
      if (admitted_[place(row, column)] != 0) {
        const Cost there = here + reduced(row, column);
        if (from_[column] == none || there < distance_[column]) {
          distance_[column] = there;
          from_[column] = row;
        }
      }
      if (from_[column] == none) continue;
      if (nearest == none || distance_[column] < distance_[nearest]) nearest = column;
    }
    return nearest;
  }

  void move_prices(std::uint32_t start, const Cost& total) {
    row_price_[start] = row_price_[start] + total;
    for (std::uint32_t column = 0; column < columns_; column++) {
      if (done_[column] == 0) continue;
      const Cost change = total - distance_[column];
      column_price_[column] = column_price_[column] - change;
      row_price_[row_of_[column]] = row_price_[row_of_[column]] + change;
    }
  }

  void augment(std::uint32_t start, std::uint32_t column) {
    while (true) {
      const std::uint32_t row = from_[column];
      const std::uint32_t before = column_of_[row];
      column_of_[row] = column;
      row_of_[column] = row;
      if (row == start) return;
      column = before;
    }
  }

  // Where a row is now: its column, or a place of its own where it is alone.
  [[nodiscard]] std::uint32_t node_of(std::uint32_t row) const {
    return column_of_[row] != none ? column_of_[row] : static_cast<std::uint32_t>(columns_) + row;
  }
  [[nodiscard]] bool may_move(std::uint32_t row, std::uint32_t column) const {
    return column_of_[row] != column && admitted_[place(row, column)] != 0 && reduced(row, column) == Cost{};
  }

  // An arc is a move at no cost: of the row that is at its beginning to the place at its end. The last node
  // stands for everything that is nobody's: a free column takes a row and none has to leave it, a row may go
  // and stay alone.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> moves() const {
    const auto nobodys = static_cast<std::uint32_t>(columns_ + rows_);
    std::vector<std::vector<std::uint32_t>> arcs(nobodys + 1);
    for (std::uint32_t row = 0; row < rows_; row++) {
      for (std::uint32_t column = 0; column < columns_; column++) {
        if (may_move(row, column)) arcs[node_of(row)].push_back(column);
      }
      if (column_of_[row] == none) {
        arcs[nobodys].push_back(node_of(row));
      } else if (row_price_[row] == alone_) {
        arcs[node_of(row)].push_back(nobodys);
      }
    }
    for (std::uint32_t column = 0; column < columns_; column++) {
      if (row_of_[column] == none) {
        arcs[column].push_back(nobodys);
      } else if (column_price_[column] == Cost{}) {
        arcs[nobodys].push_back(column);
      }
    }
    return arcs;
  }

  Assignment without_ties() const {
    const auto arcs = moves();
    const StrongParts parts(arcs);
    const auto row_base = static_cast<std::uint32_t>(columns_);
    DisjointSets competing(columns_ + rows_);
    Assignment result;
    for (std::uint32_t row = 0; row < rows_; row++) {
      const std::uint32_t node = node_of(row);
      if (!parts.on_cycle(node)) {
        if (column_of_[row] != none) result.pairs.push_back({row, column_of_[row]});
        continue;
      }
      if (column_of_[row] != none) competing.join(row_base + row, column_of_[row]);
      for (const std::uint32_t to : arcs[node]) {
        if (to < columns_ && parts.together(node, to)) competing.join(row_base + row, to);
      }
    }
    std::vector<std::uint32_t> tie_of(columns_ + rows_, none);
    const auto tie = [&](std::uint32_t member) -> Assignment::Tie& {
      std::uint32_t& index = tie_of[competing.find(member)];
      if (index == none) {
        index = static_cast<std::uint32_t>(result.ties.size());
        result.ties.emplace_back();
      }
      return result.ties[index];
    };
    for (std::uint32_t row = 0; row < rows_; row++) {
      if (parts.on_cycle(node_of(row))) tie(row_base + row).left.push_back(row);
    }
    for (std::uint32_t column = 0; column < columns_; column++) {
      if (parts.on_cycle(column)) tie(column).right.push_back(column);
    }
    return result;
  }

  std::size_t rows_, columns_;
  Cost alone_;
  std::vector<Cost> cost_;
  std::vector<char> admitted_;
  std::vector<Cost> row_price_, column_price_;
  std::vector<std::uint32_t> column_of_, row_of_;
  // Of the search at hand.
  std::vector<Cost> distance_;
  std::vector<std::uint32_t> from_;
  std::vector<char> done_;
};

// How three numbers become one: each weighs more than all that may come after it.
struct Packing {
  int128 residual_unit = 1;  // every residual is a multiple of it
  std::int64_t distance_unit = 1;
  int128 residual_weight = 0;
  int128 alone = 0;
  int128 most = 0;  // no price and no distance is greater
};

int128 greatest_common_divisor(int128 a, int128 b) {
  while (b != 0) a = std::exchange(b, a % b);
  return a;
}

bool multiply(int128 a, int128 b, int128& product) {
  return !__builtin_mul_overflow(a, b, &product);
}

// false when one number of 128 bits is too small.
bool pack(std::size_t rows, std::span<const AssignmentEdge> edges, Packing& packing) {
  int128 residual_unit = 0;
  int128 distance_unit = 0;
  int128 residual_most = 0;
  int128 distance_most = 0;
  for (const AssignmentEdge& edge : edges) {
    residual_unit = greatest_common_divisor(residual_unit, edge.residual);
    distance_unit = greatest_common_divisor(distance_unit, edge.distance);
    residual_most = std::max(residual_most, edge.residual);
    distance_most = std::max<int128>(distance_most, edge.distance);
  }
  if (residual_unit != 0) packing.residual_unit = residual_unit;
  if (distance_unit != 0) packing.distance_unit = static_cast<std::int64_t>(distance_unit);
  residual_most /= packing.residual_unit;
  distance_most /= packing.distance_unit;
  const auto count = static_cast<int128>(rows) + 1;
  packing.residual_weight = distance_most * count + 1;
  int128 pair_most = 0;
  if (!multiply(residual_most, packing.residual_weight, pair_most)) return false;
  if (__builtin_add_overflow(pair_most, distance_most, &pair_most)) return false;
  if (!multiply(pair_most, count, packing.alone)) return false;
  packing.alone++;
  return multiply(packing.alone, 4 * count, packing.most);
}

template <class Cost, class CostOf>
Assignment solve_with(std::size_t rows, std::size_t columns, std::span<const AssignmentEdge> edges,
                      Cost alone, CostOf cost_of, Interrupts& interrupts) {
  Solver<Cost> solver(rows, columns, alone);
  for (const AssignmentEdge& edge : edges) solver.admit(edge.left, edge.right, cost_of(edge));
  return solver.solve(interrupts);
}

template <class Cost>
Assignment solve_packed(std::size_t rows, std::size_t columns, std::span<const AssignmentEdge> edges,
                        const Packing& packing, Interrupts& interrupts) {
  const auto cost_of = [&packing](const AssignmentEdge& edge) {
    return static_cast<Cost>(edge.residual / packing.residual_unit * packing.residual_weight +
                             edge.distance / packing.distance_unit);
  };
  return solve_with<Cost>(rows, columns, edges, static_cast<Cost>(packing.alone), cost_of, interrupts);
}

Assignment solve(std::size_t rows, std::size_t columns, std::span<const AssignmentEdge> edges,
                 Interrupts& interrupts, CostWidth width) {
  Packing packing;
  if (width != CostWidth::three_numbers && pack(rows, edges, packing)) {
    if (width == CostWidth::chosen && packing.most <= std::numeric_limits<std::int64_t>::max()) {
      return solve_packed<std::int64_t>(rows, columns, edges, packing, interrupts);
    }
    return solve_packed<int128>(rows, columns, edges, packing, interrupts);
  }
  const auto cost_of = [](const AssignmentEdge& edge) { return WideCost{0, edge.residual, edge.distance}; };
  return solve_with<WideCost>(rows, columns, edges, WideCost{1, 0, 0}, cost_of, interrupts);
}

}  // namespace

Assignment assign(std::size_t lefts, std::size_t rights, std::span<const AssignmentEdge> edges,
                  Interrupts& interrupts, CostWidth width) {
  if (lefts <= rights) return solve(lefts, rights, edges, interrupts, width);
  std::vector<AssignmentEdge> turned(edges.begin(), edges.end());
  for (AssignmentEdge& edge : turned) std::swap(edge.left, edge.right);
  Assignment result = solve(rights, lefts, turned, interrupts, width);
  for (Assignment::Pair& pair : result.pairs) std::swap(pair.left, pair.right);
  for (Assignment::Tie& tie : result.ties) std::swap(tie.left, tie.right);
  std::sort(result.pairs.begin(), result.pairs.end());
  return result;
}

}  // namespace pg_reconcile::core

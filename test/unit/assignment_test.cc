#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "core/matching/assignment.h"

using namespace pg_reconcile::core;

namespace {

using PairSet = std::set<std::pair<std::uint32_t, std::uint32_t>>;

// Every best assignment, by trying all.
struct Exhaustive {
  std::size_t lefts, rights;
  std::map<std::pair<std::uint32_t, std::uint32_t>, AssignmentEdge> edges;
  std::vector<PairSet> best;
  std::tuple<std::int64_t, int128, int128> least{};
  std::vector<bool> taken;
  PairSet current;

  Exhaustive(std::size_t l, std::size_t r, const std::vector<AssignmentEdge>& list)
      : lefts(l), rights(r), taken(r) {
    for (const AssignmentEdge& edge : list) edges[{edge.left, edge.right}] = edge;
    descend(0, 0, 0);
  }

  void descend(std::uint32_t left, int128 residual, int128 distance) {
    if (left == lefts) {
      const std::tuple cost(-static_cast<std::int64_t>(current.size()), residual, distance);
      if (best.empty() || cost < least) best.clear();
      if (best.empty()) least = cost;
      if (cost == least) best.push_back(current);
      return;
    }
    descend(left + 1, residual, distance);
    for (std::uint32_t right = 0; right < rights; right++) {
      const auto found = edges.find({left, right});
      if (taken[right] || found == edges.end()) continue;
      taken[right] = true;
      current.insert({left, right});
      descend(left + 1, residual + found->second.residual, distance + found->second.distance);
      current.erase({left, right});
      taken[right] = false;
    }
  }

  [[nodiscard]] PairSet common() const {
    PairSet pairs = best.front();
    for (const PairSet& other : best)
      std::erase_if(pairs, [&](const auto& pair) { return !other.contains(pair); });
    return pairs;
  }

  // Whether an entry's partner, none counted as one, is not the same in all.
  [[nodiscard]] std::set<std::uint32_t> differing(bool left_side) const {
    std::map<std::uint32_t, std::set<int>> partners;
    for (const PairSet& pairs : best) {
      std::map<std::uint32_t, int> now;
      for (const auto& [l, r] : pairs) now[left_side ? l : r] = static_cast<int>(left_side ? r : l);
      for (std::uint32_t i = 0; i < (left_side ? lefts : rights); i++) {
        partners[i].insert(now.contains(i) ? now[i] : -1);
      }
    }
    std::set<std::uint32_t> result;
    for (const auto& [entry, of] : partners) {
      if (of.size() > 1) result.insert(entry);
    }
    return result;
  }
};

std::set<std::uint32_t> tied(const Assignment& result, bool left_side) {
  std::set<std::uint32_t> members;
  for (const Assignment::Tie& tie : result.ties) {
    const auto& list = left_side ? tie.left : tie.right;
    CHECK(std::is_sorted(list.begin(), list.end()));
    for (const std::uint32_t member : list) CHECK(members.insert(member).second);
  }
  return members;
}

void check(std::size_t lefts, std::size_t rights, const std::vector<AssignmentEdge>& edges) {
  NoInterrupts interrupts;
  const Exhaustive all(lefts, rights, edges);
  for (const CostWidth width : {CostWidth::chosen, CostWidth::at_least_128, CostWidth::three_numbers}) {
    const Assignment result = assign(lefts, rights, edges, interrupts, width);
    PairSet pairs;
    for (const Assignment::Pair& pair : result.pairs) pairs.insert({pair.left, pair.right});
    CHECK(pairs.size() == result.pairs.size());
    CHECK(std::is_sorted(result.pairs.begin(), result.pairs.end()));
    CHECK(pairs == all.common());
    CHECK(tied(result, true) == all.differing(true));
    CHECK(tied(result, false) == all.differing(false));
  }
}

Assignment solved(std::size_t lefts, std::size_t rights, const std::vector<AssignmentEdge>& edges) {
  NoInterrupts interrupts;
  return assign(lefts, rights, edges, interrupts);
}

// 0 to below - 1.
int draw(std::mt19937& random, unsigned below) {
  return static_cast<int>(random() % below);
}

}  // namespace

TEST_CASE("first come, first served would pair one; the best assignment pairs two") {
  const Assignment result = solved(2, 2, {{0, 0, 0, 0}, {0, 1, 5, 0}, {1, 0, 1, 0}});
  CHECK(result.pairs == std::vector<Assignment::Pair>{{0, 1}, {1, 0}});
  CHECK(result.ties.empty());
}

TEST_CASE("residuals come before time, and time decides between equal residuals") {
  CHECK(solved(1, 2, {{0, 0, 1, 9}, {0, 1, 2, 0}}).pairs == std::vector<Assignment::Pair>{{0, 0}});
  CHECK(solved(1, 2, {{0, 0, 1, 9}, {0, 1, 1, 8}}).pairs == std::vector<Assignment::Pair>{{0, 1}});
}

TEST_CASE("two equal answers are a tie, and the rest is matched") {
  // 0 and 1 may be exchanged; 2 is certain.
  const Assignment result =
      solved(3, 3, {{0, 0, 1, 0}, {0, 1, 1, 0}, {1, 0, 1, 0}, {1, 1, 1, 0}, {2, 1, 3, 0}, {2, 2, 0, 0}});
  CHECK(result.pairs == std::vector<Assignment::Pair>{{2, 2}});
  REQUIRE(result.ties.size() == 1);
  CHECK(result.ties[0].left == std::vector<std::uint32_t>{0, 1});
  CHECK(result.ties[0].right == std::vector<std::uint32_t>{0, 1});
}

TEST_CASE("who stays alone may be the tie") {
  const Assignment result = solved(2, 1, {{0, 0, 4, 0}, {1, 0, 4, 0}});
  CHECK(result.pairs.empty());
  REQUIRE(result.ties.size() == 1);
  CHECK(result.ties[0].left == std::vector<std::uint32_t>{0, 1});
  CHECK(result.ties[0].right == std::vector<std::uint32_t>{0});
}

TEST_CASE("ties that have nothing to do with each other are told apart") {
  // Two free choices, joined to one component by a pair that no best assignment has.
  const Assignment result =
      solved(2, 4, {{0, 0, 1, 0}, {0, 1, 1, 0}, {0, 2, 9, 0}, {1, 2, 1, 0}, {1, 3, 1, 0}});
  CHECK(result.pairs.empty());
  REQUIRE(result.ties.size() == 2);
  CHECK(result.ties[0].left == std::vector<std::uint32_t>{0});
  CHECK(result.ties[0].right == std::vector<std::uint32_t>{0, 1});
  CHECK(result.ties[1].left == std::vector<std::uint32_t>{1});
  CHECK(result.ties[1].right == std::vector<std::uint32_t>{2, 3});
}

TEST_CASE("nothing to assign") {
  CHECK(solved(0, 0, {}).pairs.empty());
  CHECK(solved(3, 2, {}).pairs.empty());
  CHECK(solved(3, 2, {}).ties.empty());
}

TEST_CASE("the largest amounts and distances stay exact") {
  // Sums that need more than 128 bits together, and differ in the last place.
  const int128 large = Decimal::parse("999999999999999999.999999999999")->units() * 2;
  constexpr std::int64_t far = std::int64_t{1} << 62;
  check(2, 2,
        {{0, 0, large, far}, {0, 1, large - 1, far - 1}, {1, 0, large, far - 1}, {1, 1, large - 1, far - 2}});
  check(2, 2, {{0, 0, large, far}, {0, 1, large - 1, far}, {1, 0, large, far}, {1, 1, large - 2, far}});
  check(2, 2, {{0, 0, large, far}, {0, 1, large, far}, {1, 0, large, far - 1}, {1, 1, large, far}});
}

TEST_CASE("what is matched and what is a tie is what all best assignments say") {
  std::mt19937 random(20261123);
  for (int round = 0; round < 20000; round++) {
    const auto lefts = static_cast<std::size_t>(1 + draw(random, 5));
    const auto rights = static_cast<std::size_t>(1 + draw(random, 5));
    const auto density = static_cast<unsigned>(1 + draw(random, 4));
    const auto residuals = static_cast<unsigned>(1 + draw(random, 4));  // few values: many ties
    const auto distances = static_cast<unsigned>(1 + draw(random, 3));
    const int128 unit = round % 3 == 0 ? 1 : 10'000'000'000;
    std::vector<AssignmentEdge> edges;
    for (std::uint32_t l = 0; l < lefts; l++) {
      for (std::uint32_t r = 0; r < rights; r++) {
        if (draw(random, 4) >= static_cast<int>(density)) continue;
        edges.push_back({l, r, unit * draw(random, residuals), 1'000'000 * draw(random, distances)});
      }
    }
    check(lefts, rights, edges);
  }
}

TEST_CASE("the order of the edges changes nothing") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; round++) {
    std::vector<AssignmentEdge> edges;
    for (std::uint32_t l = 0; l < 30; l++) {
      for (std::uint32_t r = 0; r < 25; r++) {
        if (draw(random, 3) == 0) edges.push_back({l, r, draw(random, 4), 0});
      }
    }
    const Assignment first = solved(30, 25, edges);
    std::shuffle(edges.begin(), edges.end(), random);
    const Assignment second = solved(30, 25, edges);
    CHECK(first.pairs == second.pairs);
    CHECK(tied(first, true) == tied(second, true));
    CHECK(tied(first, false) == tied(second, false));
  }
}

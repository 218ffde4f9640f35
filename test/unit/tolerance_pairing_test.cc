#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "core/matching/maximum_flow.h"
#include "core/matching/tolerance_pairing.h"

using namespace pg_reconcile::core;

namespace {

struct Point {
  int first;
  int second;
};

// |difference| <= limit in both columns.
struct Boxes final : Closeness {
  Boxes(std::vector<Point> l, std::vector<Point> r, int first, int second)
      : left(std::move(l)), right(std::move(r)), first_limit(first), second_limit(second) {}
  int leading_order(std::size_t l, std::size_t r) override { return left[l].first - right[r].first; }
  bool leading_within(std::size_t l, std::size_t r) override {
    return std::abs(left[l].first - right[r].first) <= first_limit;
  }
  bool others_within(std::size_t l, std::size_t r) override {
    others_asked++;
    return std::abs(left[l].second - right[r].second) <= second_limit;
  }
  std::vector<Point> left, right;
  int first_limit, second_limit;
  int others_asked = 0;
};

std::vector<std::uint64_t> ones(std::size_t count) {
  return std::vector<std::uint64_t>(count, 1);
}

std::uint64_t pairs_in(const std::vector<PairedCount>& pairs) {
  std::uint64_t sum = 0;
  for (const PairedCount& pair : pairs) sum += pair.count;
  return sum;
}

// The largest pairing, by trying everything: which rights are taken is a set of bits.
std::uint64_t most_pairs(std::size_t lefts, std::size_t rights,
                         const std::function<bool(std::size_t, std::size_t)>& close) {
  std::vector<int> best(std::size_t{1} << rights, -1);
  best[0] = 0;
  for (std::size_t l = 0; l < lefts; l++) {
    std::vector<int> next = best;
    for (std::size_t taken = 0; taken < best.size(); taken++) {
      if (best[taken] < 0) continue;
      for (std::size_t r = 0; r < rights; r++) {
        const std::size_t with = taken | (std::size_t{1} << r);
        if (with != taken && close(l, r)) next[with] = std::max(next[with], best[taken] + 1);
      }
    }
    best = next;
  }
  return static_cast<std::uint64_t>(*std::max_element(best.begin(), best.end()));
}

std::vector<Point> random_points(std::mt19937& random, std::size_t count, unsigned range) {
  std::vector<Point> points(count);
  for (Point& p : points) p = {static_cast<int>(random() % range), static_cast<int>(random() % range)};
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.first < b.first; });
  return points;
}

void check_valid(const std::vector<PairedCount>& pairs, Boxes& boxes, bool single_column) {
  std::vector<int> left_used(boxes.left.size());
  std::vector<int> right_used(boxes.right.size());
  for (const PairedCount& pair : pairs) {
    CHECK(pair.count == 1);
    CHECK(++left_used[pair.left] == 1);
    CHECK(++right_used[pair.right] == 1);
    CHECK(boxes.leading_within(pair.left, pair.right));
    if (!single_column) CHECK(boxes.others_within(pair.left, pair.right));
  }
}

}  // namespace

TEST_CASE("taking the nearest first would pair one, a maximum pairs two") {
  // 10 is nearest to 11, and 12 is only close to 11.
  NoInterrupts interrupts;
  Boxes boxes({{10, 0}, {12, 0}}, {{8, 0}, {11, 0}}, 2, 0);
  for (const bool single : {true, false}) {
    const auto pairs = pair_within_tolerance(ones(2), ones(2), boxes, single, interrupts);
    REQUIRE(pairs);
    CHECK(*pairs == std::vector<PairedCount>{{0, 0, 1}, {1, 1, 1}});
  }
}

TEST_CASE("nothing to pair") {
  NoInterrupts interrupts;
  Boxes boxes({{1, 0}}, {{5, 0}}, 3, 0);
  CHECK(pair_within_tolerance(ones(1), ones(1), boxes, true, interrupts)->empty());
  CHECK(pair_within_tolerance(ones(1), ones(1), boxes, false, interrupts)->empty());
  CHECK(pair_within_tolerance({}, ones(1), boxes, true, interrupts)->empty());
}

TEST_CASE("a class of many twins pairs in one step") {
  NoInterrupts interrupts;
  Boxes boxes({{10, 0}, {20, 0}}, {{11, 0}, {19, 0}}, 1, 0);
  const std::vector<std::uint64_t> left{500000, 3};
  const std::vector<std::uint64_t> right{400000, 7};
  for (const bool single : {true, false}) {
    const auto pairs = pair_within_tolerance(left, right, boxes, single, interrupts);
    CHECK(*pairs == std::vector<PairedCount>{{0, 0, 400000}, {1, 1, 3}});
  }
  CHECK(boxes.others_asked == 2);
}

TEST_CASE("one column: the walk pairs as many as trying everything") {
  std::mt19937 random(1);
  NoInterrupts interrupts;
  for (int round = 0; round < 3000; round++) {
    Boxes boxes(random_points(random, random() % 8, 20), random_points(random, random() % 8, 20),
                static_cast<int>(random() % 5), 0);
    const auto pairs =
        pair_within_tolerance(ones(boxes.left.size()), ones(boxes.right.size()), boxes, true, interrupts);
    REQUIRE(pairs);
    check_valid(*pairs, boxes, true);
    CHECK(pairs_in(*pairs) ==
          most_pairs(boxes.left.size(), boxes.right.size(),
                     [&](std::size_t l, std::size_t r) { return boxes.leading_within(l, r); }));
  }
}

TEST_CASE("several columns: augmenting paths pair as many as trying everything, and the same each time") {
  std::mt19937 random(2);
  NoInterrupts interrupts;
  for (int round = 0; round < 3000; round++) {
    Boxes boxes(random_points(random, random() % 8, 10), random_points(random, random() % 8, 10),
                static_cast<int>(random() % 5), static_cast<int>(random() % 5));
    const auto left = ones(boxes.left.size());
    const auto right = ones(boxes.right.size());
    const auto pairs = pair_within_tolerance(left, right, boxes, false, interrupts);
    REQUIRE(pairs);
    check_valid(*pairs, boxes, false);
    CHECK(pairs_in(*pairs) ==
          most_pairs(boxes.left.size(), boxes.right.size(), [&](std::size_t l, std::size_t r) {
            return boxes.leading_within(l, r) && boxes.others_within(l, r);
          }));
    CHECK(*pairs == *pair_within_tolerance(left, right, boxes, false, interrupts));
  }
}

TEST_CASE("more close pairs than may be looked at is said, not guessed") {
  NoInterrupts interrupts;
  Boxes boxes(std::vector<Point>(10, {1, 1}), std::vector<Point>(10, {1, 1}), 1, 1);
  CHECK(pair_within_tolerance(ones(10), ones(10), boxes, false, interrupts, 99) == std::nullopt);
  CHECK(pairs_in(*pair_within_tolerance(ones(10), ones(10), boxes, false, interrupts, 100)) == 10);
  CHECK(pairs_in(*pair_within_tolerance(ones(10), ones(10), boxes, true, interrupts, 0)) == 10);
}

TEST_CASE("a flow is taken back where that pairs more") {
  // 0 may pair with both rights, 1 and 2 with the first alone: 0 must give it up.
  NoInterrupts interrupts;
  BipartiteFlow flow(ones(3), ones(2));
  flow.allow(0, 0);
  flow.allow(0, 1);
  flow.allow(1, 0);
  flow.allow(2, 0);
  flow.maximise(interrupts);
  std::uint64_t sum = 0;
  flow.visit_pairs([&](std::size_t, std::size_t, std::uint64_t count) { sum += count; });
  CHECK(sum == 2);
}

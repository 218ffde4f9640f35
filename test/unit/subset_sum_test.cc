#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

#include "core/error.h"
#include "core/matching/subset_sum.h"

using namespace pg_reconcile::core;

namespace {

using Outcome = SubsetAnswer::Outcome;
using Members = std::vector<std::uint32_t>;

struct Case {
  std::vector<Decimal> amounts;
  std::int64_t target = 0;
  std::int64_t below = 0;  // how far a sum may lie below and above the target
  std::int64_t above = 0;
  std::size_t members_max = 12;
  std::int64_t work_max = 1'000'000;

  Case(std::initializer_list<std::int64_t> list, std::int64_t wanted) : target(wanted) {
    for (const std::int64_t amount : list) amounts.push_back(Decimal::from_units(amount));
  }
  [[nodiscard]] SubsetAnswer answer() const {
    NoInterrupts interrupts;
    return find_subset({amounts,
                        Decimal::from_units(target),
                        {Decimal::from_units(target - below), Decimal::from_units(target + above)},
                        members_max,
                        work_max},
                       interrupts);
  }
};

// All subsets of the least residual, as sets of bits.
std::vector<std::uint32_t> exhaustive(const Case& given) {
  std::vector<std::uint32_t> best;
  Decimal least;
  for (std::uint32_t taken = 1; taken < (1U << given.amounts.size()); taken++) {
    if (static_cast<std::size_t>(std::popcount(taken)) > given.members_max) continue;
    Decimal sum;
    for (std::size_t i = 0; i < given.amounts.size(); i++) {
      if ((taken >> i & 1) != 0) sum += given.amounts[i];
    }
    const Decimal over = sum - Decimal::from_units(given.target);
    if (over.units() < -given.below || over.units() > given.above) continue;
    if (best.empty() || over.magnitude() < least) best.clear();
    if (best.empty()) least = over.magnitude();
    if (over.magnitude() == least) best.push_back(taken);
  }
  return best;
}

void check(const Case& given) {
  const std::vector<std::uint32_t> best = exhaustive(given);
  const SubsetAnswer answer = given.answer();
  CHECK(std::is_sorted(answer.members.begin(), answer.members.end()));
  std::uint32_t members = 0;
  for (const std::uint32_t member : answer.members) members |= 1U << member;
  if (best.empty()) {
    CHECK(answer.outcome == Outcome::none);
    CHECK(answer.members.empty());
  } else if (best.size() == 1) {
    CHECK(answer.outcome == Outcome::unique);
    CHECK(members == best[0]);
  } else {
    CHECK(answer.outcome == Outcome::ambiguous);
    bool joined = false;
    for (const std::uint32_t a : best) {
      for (const std::uint32_t b : best) joined = joined || (members == (a | b));
    }
    CHECK(joined);
  }
}

// 0 to below - 1.
int draw(std::mt19937& random, unsigned below) {
  return static_cast<int>(random() % below);
}

}  // namespace

TEST_CASE("one subset adds up") {
  const SubsetAnswer answer = Case({500, 300, 700, 150}, 650).answer();
  CHECK(answer.outcome == Outcome::unique);
  CHECK(answer.members == Members{0, 3});
}

TEST_CASE("a single member is a subset, no member is none") {
  CHECK(Case({5, 3}, 5).answer().members == Members{0});
  CHECK(Case({5, -5, 7}, 0).answer().members == Members{0, 1});
  CHECK(Case({5, 7}, 0).answer().outcome == Outcome::none);
  CHECK(Case({}, 0).answer().outcome == Outcome::none);
}

TEST_CASE("two different subsets are ambiguous, and both are named") {
  const SubsetAnswer answer = Case({4, 6, 3, 7, 100}, 10).answer();
  CHECK(answer.outcome == Outcome::ambiguous);
  CHECK(answer.members == Members{0, 1, 2, 3});
}

TEST_CASE("members of equal amount are ambiguous, unless all of them are needed") {
  CHECK(Case({5, 5, 20}, 5).answer().outcome == Outcome::ambiguous);
  CHECK(Case({5, 5, 20}, 10).answer().members == Members{0, 1});
}

TEST_CASE("negative amounts take part") {
  const SubsetAnswer answer = Case({1000, -250, 80, -3}, 747).answer();
  CHECK(answer.outcome == Outcome::unique);
  CHECK(answer.members == Members{0, 1, 3});
  CHECK(Case({-10, -20, -40}, -60).answer().members == Members{1, 2});
}

TEST_CASE("with a tolerance the nearest sum wins, and two that are equally near are ambiguous") {
  Case near({100, 48, 53}, 100);
  near.below = near.above = 5;
  CHECK(near.answer().members == Members{0});
  near.amounts = {Decimal::from_units(98), Decimal::from_units(102), Decimal::from_units(997)};
  CHECK(near.answer().outcome == Outcome::ambiguous);
  near.above = 1;  // 102 is too far now
  CHECK(near.answer().members == Members{0});
}

TEST_CASE("no more members than allowed") {
  Case given({1, 2, 4, 8, 16, 32}, 31);
  given.members_max = 5;
  CHECK(given.answer().members == Members{0, 1, 2, 3, 4});
  given.members_max = 4;
  CHECK(given.answer().outcome == Outcome::none);
}

TEST_CASE("too many sums: given up, within the limit") {
  Case given({}, 0);
  std::mt19937_64 random(5);
  Decimal sum;
  for (int i = 0; i < 60; i++) {
    given.amounts.push_back(Decimal::from_units(static_cast<std::int64_t>(random() >> 20)));
    if (i % 2 == 0) sum += given.amounts.back();
  }
  given.target = static_cast<std::int64_t>(sum.units());
  given.members_max = 64;
  const SubsetAnswer answer = given.answer();
  CHECK(answer.outcome == Outcome::gave_up);
  CHECK(answer.work <= given.work_max);
  CHECK(answer.members.empty());
  // With few members the same sixty are no work.
  given.members_max = 3;
  given.target =
      static_cast<std::int64_t>((given.amounts[3] + given.amounts[41] + given.amounts[59]).units());
  CHECK(given.answer().members == Members{3, 41, 59});
}

TEST_CASE("out of reach needs no work, however many there are") {
  Case given({}, 1'000'000);
  for (int i = 0; i < 1000; i++) given.amounts.push_back(Decimal::from_units(7));
  const SubsetAnswer below = given.answer();
  CHECK(below.outcome == Outcome::none);
  CHECK(below.work == 0);
  given.target = 5;
  CHECK(given.answer().outcome == Outcome::none);
  CHECK(given.answer().work == 0);
}

TEST_CASE("equal amounts share their sums") {
  Case given({}, 90);
  for (int i = 0; i < 1000; i++) given.amounts.push_back(Decimal::from_units(10));
  const SubsetAnswer answer = given.answer();
  CHECK(answer.outcome == Outcome::ambiguous);
  CHECK(answer.members.size() == 18);
  CHECK(answer.work < 100'000);
}

TEST_CASE("the largest amounts add up exactly, and what doesn't fit is refused") {
  const Decimal large = *Decimal::parse("999999999999999999.999999999999");
  Case given({}, 0);
  for (int i = 0; i < 8; i++) given.amounts.push_back(large);
  given.amounts.push_back(*Decimal::parse("-0.000000000001"));
  NoInterrupts interrupts;
  Decimal target = given.amounts.back();
  for (int i = 0; i < 8; i++) target += large;
  const SubsetAnswer answer = find_subset({given.amounts, target, {target, target}, 12, 1000}, interrupts);
  CHECK(answer.members == Members{0, 1, 2, 3, 4, 5, 6, 7, 8});

  const Decimal half = Decimal::from_units(static_cast<int128>(~uint128{0} >> 2));
  const std::vector<Decimal> too_much(4, half);
  CHECK_THROWS_AS((void)find_subset({too_much, half, {half, half}, 12, 1000}, interrupts), Error);
}

TEST_CASE("what is found is what trying all subsets finds") {
  std::mt19937 random(20261123);
  for (int round = 0; round < 20000; round++) {
    Case given({}, 0);
    const auto count = static_cast<std::size_t>(draw(random, 9));
    const auto range = static_cast<unsigned>(1 + draw(random, 30));
    const bool negative = draw(random, 2) == 0;
    while (given.amounts.size() < count) {
      const int sign = negative && draw(random, 2) == 0 ? -1 : 1;
      given.amounts.push_back(Decimal::from_units(sign * (1 + draw(random, range))));
    }
    given.target = draw(random, 3 * range + 1) - (negative ? static_cast<int>(range) : 0);
    given.below = draw(random, 3);
    given.above = draw(random, 3);
    given.members_max = static_cast<std::size_t>(draw(random, 2) == 0 ? 12 : 2 + draw(random, 3));
    check(given);
  }
}

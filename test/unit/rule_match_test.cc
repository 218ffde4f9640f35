#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/error.h"
#include "core/matching/assignment.h"
#include "core/matching/duration.h"
#include "core/matching/rule_match.h"

using namespace pg_reconcile::core;

namespace {

using Outcome = RuleFinding::Outcome;
using Indexes = std::vector<std::uint32_t>;

RuleDefinition rule_of(const std::string& settings) {
  return MatchRuleSet::parse(R"([{"rule": "channel_ref"}, {"name": "r", "key": ["kind"], )" + settings + "}]")
      .rules.back();
}

Decimal money(const std::string& text) {
  return Decimal::parse(text).value();
}

struct Book {
  std::vector<RuleEntry> entries;
  Book() = default;
  Book(std::initializer_list<const char*> amounts) {
    for (const char* amount : amounts) add(money(amount));
  }
  RuleEntry& add(Decimal amount, std::optional<std::int64_t> at = {}, std::uint64_t block = 1) {
    RuleEntry entry;
    entry.block = block;
    entry.amount = amount;
    entry.at = at;
    entry.rank = static_cast<std::uint32_t>(entries.size());
    entries.push_back(entry);
    return entries.back();
  }
};

RuleMatches run(const RuleDefinition& rule, const Book& left, const Book& right,
                std::vector<StatusPair> statuses = {}) {
  NoInterrupts interrupts;
  return match_by_rule(rule, {left.entries, right.entries, statuses}, interrupts);
}

// "0-1 2,3-4 | ambiguous 5-6" by rank.
std::string told(const RuleMatches& matches, const Book& left, const Book& right) {
  const auto list = [](const Indexes& indexes, const Book& book) {
    std::string text;
    for (const std::uint32_t i : indexes)
      text += (text.empty() ? "" : ",") + std::to_string(book.entries[i].rank);
    return text;
  };
  std::string text;
  for (const RuleGroup& group : matches.groups) {
    if (!text.empty()) text += " ";
    text += list(group.left, left) + "-" + list(group.right, right);
  }
  for (const RuleFinding& finding : matches.findings) {
    text += finding.outcome == Outcome::ambiguous ? " | ambiguous " : " | gave up ";
    text += list(finding.left, left) + "-" + list(finding.right, right);
  }
  return text;
}

std::string told(const RuleDefinition& rule, const Book& left, const Book& right) {
  return told(run(rule, left, right), left, right);
}

int draw(std::mt19937& random, unsigned below) {
  return static_cast<int>(random() % below);
}

Book random_book(std::mt19937& random, std::size_t count, unsigned amounts, unsigned times, unsigned blocks) {
  Book book;
  for (std::size_t i = 0; i < count; i++) {
    RuleEntry& entry = book.add(Decimal::from_units(draw(random, amounts) - static_cast<int>(amounts / 4)),
                                draw(random, times) * microseconds_per_second,
                                static_cast<std::uint64_t>(1 + draw(random, blocks)));
    if (draw(random, 20) == 0) entry.at.reset();
    if (draw(random, 20) == 0) entry.block = 0;
    entry.currency = static_cast<std::uint16_t>(draw(random, 2));
    entry.source_status = static_cast<std::uint16_t>(draw(random, 4));
  }
  return book;
}

// The same entries under other places in memory and other hashes.
Book shuffled(const Book& book, std::mt19937& random) {
  Book other = book;
  std::shuffle(other.entries.begin(), other.entries.end(), random);
  for (RuleEntry& entry : other.entries) entry.block *= 0x9E3779B97F4A7C15ULL;
  return other;
}

// Of this process alone: others may keep the machine busy.
double seconds_of(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("pair: within tolerance, by the best assignment") {
  const RuleDefinition rule = rule_of(R"("rule": "pair", "amount": {"within": "0.05"})");
  // First come, first served would give 10.00 to 10.03 and leave two alone.
  CHECK(told(rule, {"10.00", "10.07"}, {"10.03", "9.96"}) == "0-1 1-0");
  const RuleMatches matches = run(rule, {"10.00"}, {"9.97"});
  REQUIRE(matches.groups.size() == 1);
  CHECK(matches.groups[0].residual == money("-0.03"));
  CHECK(told(rule, {"10.00"}, {"10.06"}).empty());
}

TEST_CASE("pair: two answers that are as good are ambiguous, and the rest is matched") {
  const RuleDefinition rule = rule_of(R"("rule": "pair")");
  CHECK(told(rule, {"5", "5", "7"}, {"5", "7"}) == "2-1 | ambiguous 0,1-0");
  CHECK(told(rule, {"5", "5"}, {"5", "5"}) == " | ambiguous 0,1-0,1");
}

TEST_CASE("pair: block, currency and kind of entries keep apart") {
  const RuleDefinition rule = rule_of(R"("rule": "pair")");
  Book left{"5", "5", "5"};
  Book right{"5", "5", "5"};
  left.entries[1].block = right.entries[1].block = 2;
  left.entries[2].currency = right.entries[2].currency = 3;
  CHECK(told(rule, left, right) == "0-0 1-1 2-2");
  CHECK(run(rule, left, right).groups[2].currency == 3);
  left.entries[0].block = right.entries[1].block = 0;
  CHECK(told(rule, left, right) == "2-2");
}

TEST_CASE("pair: the window is asymmetric, and the nearest in time wins") {
  const RuleDefinition rule = rule_of(
      R"("rule": "pair", "window": {"on": "occurred_at", "before": "1 second", "after": "10 seconds"})");
  constexpr std::int64_t second = microseconds_per_second;
  Book left;
  Book right;
  left.add(money("5"), 100 * second);
  right.add(money("5"), 98 * second);   // too early
  right.add(money("5"), 109 * second);  // near enough
  right.add(money("5"), 103 * second);  // nearer
  right.add(money("5"));                // takes no part
  CHECK(told(rule, left, right) == "0-2");
  right.entries[2].at = 111 * second;
  CHECK(told(rule, left, right) == "0-1");
  right.entries[1].at = 110 * second + 1;
  CHECK(told(rule, left, right).empty());
  right.entries[1].at = 99 * second;
  CHECK(told(rule, left, right) == "0-1");
}

TEST_CASE("pair: times at the ends of what there is don't overflow") {
  const RuleDefinition rule =
      rule_of(R"("rule": "pair", "window": {"on": "occurred_at", "before": "1 day", "after": "1 day"})");
  Book left;
  Book right;
  left.add(money("5"), std::numeric_limits<std::int64_t>::min());
  left.add(money("6"), std::numeric_limits<std::int64_t>::max());
  right.add(money("5"), std::numeric_limits<std::int64_t>::max());
  right.add(money("6"), std::numeric_limits<std::int64_t>::max() - 5);
  CHECK(told(rule, left, right) == "1-1");
}

TEST_CASE("pair: a status map says which words may meet") {
  const RuleDefinition rule = rule_of(R"("rule": "pair", "source_status": {"a": ["x", "y"], "b": ["y"]})");
  const std::vector<StatusPair> statuses = {{1, 11}, {1, 12}, {2, 12}};
  Book left{"5", "5", "5"};
  Book right{"5", "5", "5"};
  left.entries[0].source_status = 1;
  left.entries[1].source_status = 2;
  left.entries[2].source_status = 3;
  right.entries[0].source_status = 12;
  right.entries[1].source_status = 11;
  right.entries[2].source_status = 13;
  CHECK(told(run(rule, left, right, statuses), left, right) == "0-1 1-0");
  // Words that no entry has: nothing may meet.
  CHECK(told(run(rule, left, right), left, right).empty());
}

TEST_CASE("pair: what is admitted, and how it is assigned, is what looking at all pairs gives") {
  std::mt19937 random(20261123);
  const RuleDefinition rules[] = {
      rule_of(R"("rule": "pair", "amount": {"within": "0.000000000002"})"),
      rule_of(R"("rule": "pair", "amount": {"percent": "3"},
                 "window": {"on": "occurred_at", "before": "3 seconds", "after": "1 second"})"),
      rule_of(R"("rule": "pair", "source_status": {"a": ["b"]}, "amount": {"within": "0.000000000001"},
                 "window": {"on": "occurred_at", "before": "4 seconds", "after": "4 seconds"})")};
  NoInterrupts interrupts;
  for (int round = 0; round < 300; round++) {
    const RuleDefinition& rule = rules[round % 3];
    const bool large = round % 10 == 0;  // larger than what is looked at pair by pair
    const std::size_t count = large ? 450 : static_cast<std::size_t>(1 + draw(random, 30));
    const Book left = random_book(random, count, large ? 3000 : 40, large ? 2000 : 20, large ? 1 : 3);
    const Book right = random_book(random, count, large ? 3000 : 40, large ? 2000 : 20, large ? 1 : 3);
    const std::vector<StatusPair> statuses = rule.statuses.empty()
                                                 ? std::vector<StatusPair>{}
                                                 : std::vector<StatusPair>{{0, 1}, {0, 2}, {1, 2}, {3, 3}};
    std::vector<AssignmentEdge> edges;
    for (std::uint32_t l = 0; l < count; l++) {
      for (std::uint32_t r = 0; r < count; r++) {
        const RuleEntry& a = left.entries[l];
        const RuleEntry& b = right.entries[r];
        if (a.block == 0 || a.block != b.block || a.currency != b.currency) continue;
        std::int64_t later = 0;
        if (rule.window) {
          if (!a.at || !b.at) continue;
          later = *b.at - *a.at;
          if (later < -rule.window->before || later > rule.window->after) continue;
        }
        if (!statuses.empty() && std::none_of(statuses.begin(), statuses.end(), [&](const StatusPair& pair) {
              return pair.left == a.source_status && pair.right == b.source_status;
            })) {
          continue;
        }
        if (!rule.amount.accepts(a.amount, b.amount)) continue;
        edges.push_back({l, r, (b.amount - a.amount).magnitude().units(), std::abs(later)});
      }
    }
    const Assignment best = assign(count, count, edges, interrupts);
    const RuleMatches matches = run(rule, left, right, statuses);
    std::vector<Assignment::Pair> pairs;
    for (const RuleGroup& group : matches.groups) {
      REQUIRE(group.left.size() == 1);
      REQUIRE(group.right.size() == 1);
      pairs.push_back({group.left[0], group.right[0]});
      CHECK(group.residual == right.entries[group.right[0]].amount - left.entries[group.left[0]].amount);
    }
    CHECK(pairs == best.pairs);
    std::set<std::pair<Indexes, Indexes>> expected;
    for (const Assignment::Tie& tie : best.ties) expected.insert({tie.left, tie.right});
    std::set<std::pair<Indexes, Indexes>> found;
    for (const RuleFinding& finding : matches.findings) {
      CHECK(finding.outcome == Outcome::ambiguous);
      CHECK(finding.left_count == finding.left.size());
      found.insert({finding.left, finding.right});
    }
    CHECK(found == expected);
  }
}

TEST_CASE("pair: a component of more than 200 entries is given up, with the first of its entries") {
  const RuleDefinition rule = rule_of(R"("rule": "pair", "amount": {"within": "0.01"})");
  Book left{"7"};
  Book right{"7"};
  for (int i = 0; i < 250; i++) {  // a chain: each is near the next one
    left.add(Decimal::from_units(money("100").units() + i * money("0.02").units()));
    right.add(Decimal::from_units(money("100.01").units() + i * money("0.02").units()));
  }
  const RuleMatches matches = run(rule, left, right);
  REQUIRE(matches.groups.size() == 1);  // the others are no hindrance
  CHECK(matches.groups[0].left == Indexes{0});
  REQUIRE(matches.findings.size() == 1);
  CHECK(matches.findings[0].outcome == Outcome::gave_up);
  CHECK(matches.findings[0].left_count == 250);
  CHECK(matches.findings[0].right_count == 250);
  CHECK(matches.findings[0].left.size() == finding_entries_max);
  CHECK(matches.findings[0].left.front() == 1);
  CHECK(matches.findings[0].residual == money("2.5"));
}

TEST_CASE("group: shapes") {
  const Book one{"6"};
  const Book two{"2", "4"};
  const auto of = [](const char* shape) {
    return rule_of(R"("rule": "group", "shape": ")" + std::string(shape) + "\"");
  };
  CHECK(told(of("1:N"), one, two) == "0-0,1");
  CHECK(told(of("N:1"), one, two).empty());
  CHECK(told(of("N:1"), two, one) == "0,1-0");
  CHECK(told(of("1:N"), two, one).empty());
  CHECK(told(of("N:M"), two, {"1", "2", "3"}) == "0,1-0,1,2");
  for (const char* shape : {"1:N", "N:1", "N:M"}) CHECK(told(of(shape), one, one) == "0-0");
  CHECK(told(of("N:M"), two, {}).empty());
  CHECK(told(of("N:M"), two, {"1", "2", "4"}).empty());
}

TEST_CASE("group: sums agree within tolerance, and every time fits every other") {
  const RuleDefinition rule = rule_of(
      R"("rule": "group", "shape": "N:M", "amount": {"percent": "10", "cap": "1.00"},
         "window": {"on": "value_date", "before": "1 day", "after": "2 days"})");
  constexpr std::int64_t day = microseconds_per_day;
  Book left;
  Book right;
  left.add(money("4"), 10 * day);
  left.add(money("6"), 11 * day);
  right.add(money("12"), 10 * day);
  right.add(money("-1"), 12 * day);
  const RuleMatches matches = run(rule, left, right);
  REQUIRE(matches.groups.size() == 1);
  CHECK(matches.groups[0].residual == money("1"));
  right.entries[0].amount = money("12.01");
  CHECK(told(rule, left, right).empty());
  right.entries[0].amount = money("12");
  right.entries[1].at = 13 * day;  // three days after the first left
  CHECK(told(rule, left, right).empty());
  right.entries[1].at = 9 * day;  // two days before the second left
  CHECK(told(rule, left, right).empty());
  right.entries[1].at.reset();  // takes no part: 10 against 12
  CHECK(told(rule, left, right).empty());
}

TEST_CASE("group: a sum out of range is an error") {
  const RuleDefinition rule = rule_of(R"("rule": "group", "shape": "N:M")");
  Book left;
  const Decimal half = Decimal::from_units(static_cast<int128>(~uint128{0} >> 2));
  for (int i = 0; i < 3; i++) left.add(half);
  CHECK_THROWS_AS((void)run(rule, left, {"1"}), Error);
}

TEST_CASE("subset: unique, ambiguous, none") {
  const RuleDefinition left_one = rule_of(R"("rule": "subset", "one": "left")");
  CHECK(told(left_one, {"10", "7"}, {"6", "4", "100", "7"}) == "0-0,1 1-3");
  CHECK(told(left_one, {"10"}, {"6", "4", "7", "3"}) == " | ambiguous 0-0,1,2,3");
  CHECK(told(left_one, {"10"}, {"6", "5"}).empty());
  const RuleDefinition right_one = rule_of(R"("rule": "subset", "one": "right", "amount": {"percent": "1"})");
  CHECK(told(right_one, {"60", "40", "300"}, {"100.99"}) == "0,1-0");
  CHECK(run(right_one, {"60", "40", "300"}, {"100.99"}).groups[0].residual == money("0.99"));
  CHECK(told(right_one, {"60", "40", "300"}, {"101.01"}).empty());
}

TEST_CASE("subset: two entries that want the same member are both ambiguous") {
  const RuleDefinition rule = rule_of(R"("rule": "subset", "one": "left")");
  CHECK(told(rule, {"10", "11", "50"}, {"6", "4", "5", "50"}) == "2-3 | ambiguous 0-0,1 | ambiguous 1-0,2");
  CHECK(told(rule, {"10", "10"}, {"6", "4"}) == " | ambiguous 0-0,1 | ambiguous 1-0,1");
}

TEST_CASE("subset: amounts of 0 take no part") {
  const RuleDefinition rule = rule_of(R"("rule": "subset", "one": "left")");
  CHECK(told(rule, {"10", "0"}, {"6", "4", "0", "5"}) == "0-0,1");
}

TEST_CASE("subset: each member is within the window of the one") {
  constexpr std::int64_t day = microseconds_per_day;
  Book one;
  Book others;
  one.add(money("10"), 10 * day);
  for (const int at : {8, 9, 12, 13}) others.add(money("5"), at * day);
  const std::string window = R"("window": {"on": "value_date", "before": "1 day", "after": "2 days"})";
  CHECK(told(rule_of(R"("rule": "subset", "one": "left", )" + window), one, others) == "0-1,2");
  // right - left: now the one is right.
  const std::string turned = R"("window": {"on": "value_date", "before": "2 days", "after": "1 day"})";
  CHECK(told(rule_of(R"("rule": "subset", "one": "right", )" + turned), others, one) == "1,2-0");
}

TEST_CASE("subset: a block that is too much work is given up as one") {
  const RuleDefinition rule = rule_of(R"("rule": "subset", "one": "right", "work": 1000, "max_members": 64)");
  std::mt19937_64 random(3);
  Book left;
  for (int i = 0; i < 60; i++) left.add(Decimal::from_units(static_cast<std::int64_t>(random() >> 20)));
  Book right;
  right.add(left.entries[0].amount + left.entries[7].amount + left.entries[30].amount);
  right.add(left.entries[1].amount + left.entries[9].amount + left.entries[31].amount);
  const RuleMatches matches = run(rule, left, right);
  CHECK(matches.groups.empty());
  REQUIRE(matches.findings.size() == 1);
  CHECK(matches.findings[0].outcome == Outcome::gave_up);
  CHECK(matches.findings[0].left_count == 60);
  CHECK(matches.findings[0].right == Indexes{0, 1});
}

TEST_CASE("subset: a hard entry leaves the easy ones their work") {
  const RuleDefinition rule = rule_of(
      R"("rule": "subset", "one": "left", "work": 2000, "max_members": 64,
         "window": {"on": "occurred_at", "after": "10 seconds"})");
  constexpr std::int64_t second = microseconds_per_second;
  std::mt19937_64 random(3);
  Book left;
  Book right;
  left.add(Decimal::from_units(std::int64_t{1} << 45), 0);
  for (int i = 0; i < 60; i++)
    right.add(Decimal::from_units(static_cast<std::int64_t>(random() >> 20)), second);
  left.add(money("10"), 100 * second);
  right.add(money("6"), 101 * second);
  right.add(money("4"), 102 * second);
  const RuleMatches matches = run(rule, left, right);
  REQUIRE(matches.groups.size() == 1);
  CHECK(matches.groups[0].left == Indexes{1});
  REQUIRE(matches.findings.size() == 1);
  CHECK(matches.findings[0].outcome == Outcome::gave_up);
  CHECK(matches.findings[0].left == Indexes{0});
  CHECK(matches.findings[0].right_count == 60);
}

TEST_CASE("the order in memory and the hashes change nothing") {
  std::mt19937 random(11);
  const RuleDefinition rules[] = {
      rule_of(R"("rule": "pair", "amount": {"within": "0.000000000001"})"),
      rule_of(R"("rule": "group", "shape": "N:M", "amount": {"within": "0.000000000020"})"),
      rule_of(R"("rule": "subset", "one": "left", "max_members": 3)"),
      rule_of(R"("rule": "subset", "one": "right", "work": 1000, "amount": {"within": "0.000000000001"},
                 "window": {"on": "occurred_at", "before": "3 seconds"})")};
  int answers = 0;
  for (int round = 0; round < 400; round++) {
    const RuleDefinition& rule = rules[round % 4];
    const std::size_t count = static_cast<std::size_t>(1 + draw(random, 40));
    const Book left = random_book(random, count, 60, 20, 4);
    const Book right = random_book(random, count, 60, 20, 4);
    const std::string expected = told(rule, left, right);
    CHECK(told(rule, shuffled(left, random), shuffled(right, random)) == expected);
    answers += expected.empty() ? 0 : 1;
  }
  CHECK(answers > 200);
}

TEST_CASE("no entry is matched twice by one rule") {
  std::mt19937 random(13);
  for (int round = 0; round < 200; round++) {
    const RuleDefinition rule = rule_of(R"("rule": "subset", "one": "left", "max_members": 4)");
    const Book left = random_book(random, 30, 50, 20, 3);
    const Book right = random_book(random, 30, 20, 20, 3);
    std::set<std::uint32_t> lefts;
    std::set<std::uint32_t> rights;
    for (const RuleGroup& group : run(rule, left, right).groups) {
      Decimal sum;
      for (const std::uint32_t i : group.left) CHECK(lefts.insert(i).second);
      for (const std::uint32_t i : group.right) {
        CHECK(rights.insert(i).second);
        sum += right.entries[i].amount;
      }
      CHECK(sum == left.entries[group.left[0]].amount);
      CHECK(group.residual.is_zero());
    }
  }
}

TEST_CASE("a rule polls for interrupts and lets them through") {
  struct Stop final : Interrupts {
    void poll() override { throw Error(sqlstate::query_canceled, "stop"); }
  };
  for (const char* settings :
       {R"("rule": "pair")", R"("rule": "group", "shape": "N:M")", R"("rule": "subset", "one": "left")"}) {
    Stop stop;
    const Book book{"1"};
    CHECK_THROWS_AS((void)match_by_rule(rule_of(settings), {book.entries, book.entries, {}}, stop), Error);
  }
}

TEST_CASE("a hundred thousand entries of one key and one amount cost what sorting them costs") {
  constexpr int count = 100'000;
  Book left;
  Book right;
  for (int i = 0; i < count; i++) {
    left.add(money("9.90"), i * microseconds_per_second);
    right.add(money("9.90"), i * microseconds_per_second);
  }
  constexpr double limit = 20;  // takes some tenths of a second; all pairs would take minutes
  for (const char* settings :
       {R"("rule": "pair")",
        R"("rule": "pair", "window": {"on": "occurred_at", "before": "1 day", "after": "1 day"})",
        R"("rule": "pair", "window": {"on": "occurred_at", "before": "5 seconds", "after": "5 seconds"})",
        R"("rule": "group", "shape": "N:M")", R"("rule": "subset", "one": "left")",
        R"("rule": "subset", "one": "right", "window": {"on": "occurred_at", "before": "1 day"})"}) {
    RuleMatches matches;
    CHECK(seconds_of([&] { matches = run(rule_of(settings), left, right); }) < limit);
    const bool group = std::string(settings).find("group") != std::string::npos;
    const bool few_at_the_end = std::string(settings).find("right") != std::string::npos;
    if (group) {
      CHECK(matches.groups.size() == 1);
      CHECK(matches.findings.empty());
    } else if (few_at_the_end) {  // the last one has one candidate, the one before it two
      REQUIRE(matches.groups.size() == 1);
      CHECK(matches.groups[0].right == Indexes{count - 1});
      REQUIRE(matches.findings.size() >= 2);
    } else {
      CHECK(matches.groups.empty());
      REQUIRE(matches.findings.size() == 1);
      CHECK(matches.findings[0].outcome == Outcome::gave_up);
      CHECK(matches.findings[0].left_count == count);
      CHECK(matches.findings[0].right_count == count);
    }
  }
}

TEST_CASE("a hundred thousand different amounts under one key are paired") {
  constexpr int count = 100'000;
  Book left;
  Book right;
  for (int i = 0; i < count; i++) {
    left.add(Decimal::from_units(money("0.10").units() * i));
    right.add(Decimal::from_units(money("0.10").units() * i + money("0.03").units()));
  }
  std::mt19937 random(1);
  std::shuffle(left.entries.begin(), left.entries.end(), random);
  RuleMatches matches;
  CHECK(seconds_of([&] {
          matches = run(rule_of(R"("rule": "pair", "amount": {"within": "0.05"})"), left, right);
        }) < 20);
  CHECK(matches.groups.size() == count);
  CHECK(matches.findings.empty());
}

TEST_CASE("as many entries in components of the largest size are solved") {
  constexpr int count = 20'000;
  std::mt19937 random(1);
  Book left;
  Book right;
  for (int i = 0; i < count; i++) {
    const Decimal base = Decimal::from_units(money("10").units() * (i / 200));
    left.add(base + Decimal::from_units(money("0.01").units() * draw(random, 300)));
    right.add(base + Decimal::from_units(money("0.01").units() * draw(random, 300)));
  }
  RuleMatches matches;
  CHECK(seconds_of([&] {
          matches = run(rule_of(R"("rule": "pair", "amount": {"within": "3"})"), left, right);
        }) < 60);
  CHECK_FALSE(matches.findings.empty());
  for (const RuleFinding& finding : matches.findings) CHECK(finding.outcome == Outcome::ambiguous);
}

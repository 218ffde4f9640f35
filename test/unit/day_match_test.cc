#include "core/matching/day_match.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "test/unit/day_entries.h"

using namespace pg_reconcile::core;
using namespace day_entries;

namespace {

// The result in words, independent of places in memory: "a=b/1" a pair of pass 1, "!f" fees differ, "!r"
// references differ, "{a,b}={c}/4" a group, "a?" an open left entry, "?b" an open right one.
using Words = std::set<std::string>;

Words match(std::vector<Row> left, std::vector<Row> right, std::span<const MatchPass> passes = all_passes) {
  Words first;
  std::mt19937 random(1);
  for (int turn = 0; turn < 8; turn++) {
    const std::uint64_t seed = random();
    NoInterrupts interrupts;
    const DayMatch result = match_day({entries(left, seed), versions(left, seed), sources(left)},
                                      {entries(right, seed), versions(right, seed), sources(right)}, passes,
                                      reversal, interrupts);
    Words words;
    const auto listed = [](const std::vector<std::uint32_t>& indexes, const std::vector<Row>& rows) {
      std::set<std::string> names;
      for (const std::uint32_t i : indexes) names.insert(rows[i].name);
      std::string text;
      for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
      return "{" + text + "}";
    };
    for (const MatchedPair& pair : result.pairs) {
      words.insert(left[pair.left].name + "=" + right[pair.right].name + "/" + std::to_string(pair.pass) +
                   (pair.fee_differs ? "!f" : "") + (pair.reference_differs ? "!r" : ""));
    }
    for (const MatchedGroup& group : result.groups) {
      words.insert(listed(group.left, left) + "=" + listed(group.right, right) + "/" +
                   std::to_string(group.pass));
    }
    for (const std::uint32_t i : result.left_open) words.insert(left[i].name + "?");
    for (const std::uint32_t i : result.right_open) words.insert("?" + right[i].name);
    CHECK(std::is_sorted(result.left_open.begin(), result.left_open.end()));
    if (turn == 0) first = words;
    // Neither the seed nor the order in memory changes the answer.
    CHECK(words == first);
    std::shuffle(left.begin(), left.end(), random);
    std::shuffle(right.begin(), right.end(), random);
  }
  return first;
}

}  // namespace

TEST_CASE("pass 1 pairs equal references, kinds, amounts and currencies") {
  CHECK(match({{"a", "r1", "k1", "5"}}, {{"b", "r1", "k1", "5.00"}}) == Words{"a=b/1"});
  CHECK(match({{"a", "r1", "", "5"}}, {{"b", "r1", "k1", "5"}}) == Words{"a=b/1"});
  CHECK(match({{"a", "r1", "k1", "5", "x"}}, {{"b", "r1", "k2", "5", "y"}}) == Words{"a=b/1!r"});
  CHECK(match({{"a", "r1", "k1", "5"}}, {{"b", "r1", "k1", "5.01"}}) == Words{"a?", "?b"});
  CHECK(match({{"a", "r1", "k1", "5"}}, {{"b", "r1", "k1", "-5"}}) == Words{"a?", "?b"});
  CHECK(match({{"a", "r1", "k1", "5"}}, {{"b", "r1", "k1", "5", "k1", refund}}) == Words{"a?", "?b"});
  CHECK(match({{"a", "r1", "k1", "5"}}, {{"b", "r1", "k1", "5", "k1", payment, usd}}) == Words{"a?", "?b"});
}

TEST_CASE("of several with one reference, the one with the same key is taken first") {
  CHECK(match({{"a", "r", "k2", "5", "o", payment, cny, "", false, 9}},
              {{"b", "r", "k1", "5", "o", payment, cny, "", false, 1},
               {"c", "r", "k2", "5", "o", payment, cny, "", false, 2}}) == Words{"a=c/1", "?b"});
}

TEST_CASE("pass 2 pairs equal match keys, and says when references contradict") {
  CHECK(match({{"a", "", "k", "5"}}, {{"b", "r", "k", "5"}}) == Words{"a=b/2"});
  CHECK(match({{"a", "r1", "k", "5"}}, {{"b", "r2", "k", "5"}}) == Words{"a=b/2!r"});
}

TEST_CASE("a delta that takes its own row back is gone with it, whatever else the order holds") {
  const auto carried = [](const std::string& name, const std::string& amount, const std::string& key = "k") {
    return Row{name, "r", key, amount, "o", payment, cny, "", true};
  };
  const auto delta = [](const std::string& name, const std::string& amount, const std::string& key = "k") {
    return Row{name, "r", key, amount, "o"};
  };
  CHECK(match({carried("a", "5"), delta("a#1", "-5")}, {}) == Words{"{a,a#1}={}/3"});
  CHECK(match({}, {carried("a", "5"), delta("a#1", "-5"), carried("b", "7")}) == Words{"{}={a,a#1}/3", "?b"});
  CHECK(match({carried("a", "5"), carried("a#1", "-2"), delta("a#2", "-3")}, {}) ==
        Words{"{a,a#1,a#2}={}/3"});
  // Nor is the row what came late in the other book: it is not there any more.
  CHECK(match({carried("a", "5"), delta("a#1", "-5")}, {delta("b", "5")}) == Words{"{a,a#1}={}/3", "?b"});
  // Under another key it is another movement, and so is another row.
  CHECK(match({carried("a", "5"), delta("a#1", "-5"), delta("a#2", "5", "k2")}, {}) ==
        Words{"{a,a#1}={}/3", "a#2?"});
  CHECK(match({carried("a", "5"), delta("b#1", "-5")}, {}) == Words{"a?", "b#1?"});
  CHECK(match({carried("a", "5"), delta("a#1", "-4")}, {}) == Words{"a?", "a#1?"});
  CHECK(match({carried("a", "5"), delta("a#1", "-1")}, {delta("b", "4")}) == Words{"{a,a#1}={b}/4"});
}

TEST_CASE("NULL is equal to nothing") {
  CHECK(match({{"a", "", "", "5", "o1"}}, {{"b", "", "", "5", "o2"}}) == Words{"a?", "?b"});
  CHECK(match({{"a", "r", "", "5", "o1"}}, {{"b", "", "r", "5", "o2"}}) == Words{"a?", "?b"});
}

TEST_CASE("fees are compared only where both sides state them") {
  const auto with_fees = [](const std::string& left, const std::string& right) {
    return match({{"a", "r", "k", "5", "k", payment, cny, left}},
                 {{"b", "r", "k", "5", "k", payment, cny, right}});
  };
  CHECK(with_fees("0.10", "0.1") == Words{"a=b/1"});
  CHECK(with_fees("0.10", "0.2") == Words{"a=b/1!f"});
  CHECK(with_fees("0", "") == Words{"a=b/1"});
  CHECK(with_fees("", "0.2") == Words{"a=b/1"});
}

TEST_CASE("carried items wait for pass 3, today's pair first") {
  const Row old_left{"old", "r", "k", "5", "k", payment, cny, "", true, 1};
  CHECK(match({old_left}, {{"b", "r", "k", "5"}}) == Words{"old=b/3"});
  CHECK(match({old_left, {"a", "r", "k", "5", "k", payment, cny, "", false, 9}}, {{"b", "r", "k", "5"}}) ==
        Words{"a=b/1", "old?"});
  CHECK(match({old_left}, {{"b", "", "k", "5"}}) == Words{"old=b/3"});
  CHECK(match({old_left}, {{"b", "r", "", "5", "o"}}) == Words{"old=b/3"});
  constexpr MatchPass today_only[] = {{1, MatchRule::channel_ref}, {2, MatchRule::match_key}};
  CHECK(match({old_left}, {{"b", "r", "k", "5"}}, today_only) == Words{"old?", "?b"});
}

TEST_CASE("twins pair one to one, the earliest first, and ties the same way every time") {
  const auto twin = [](const char* name, std::int64_t at) {
    return Row{name, "r", "k", "5", "k", payment, cny, "", false, at};
  };
  CHECK(match({twin("a1", 1), twin("a2", 2)}, {twin("b1", 1), twin("b2", 2), twin("b3", 3)}) ==
        Words{"a1=b1/1", "a2=b2/1", "?b3"});
  // Nothing tells them apart but their names: match() has shuffled and reseeded them.
  CHECK(match({twin("a1", 1), twin("a2", 1), twin("a3", 1)}, {twin("b1", 1), twin("b2", 1)}).size() == 3);
}

TEST_CASE("pass 4 nets the rest of an order") {
  CHECK(match({{"a", "", "k", "100", "o"}}, {{"b", "x", "k", "60", "o"}, {"c", "y", "k", "40", "o"}}) ==
        Words{"{a}={b,c}/4"});
  CHECK(match({{"a", "", "k", "100", "o"}}, {{"b", "x", "k", "60", "o"}, {"c", "y", "k", "39.99", "o"}}) ==
        Words{"a?", "?b", "?c"});
  CHECK(match({{"a", "", "k", "100", "o"}}, {{"b", "x", "k", "60", "o"}, {"c", "y", "k", "40", "p"}}) ==
        Words{"a?", "?b", "?c"});
  CHECK(match({{"a", "", "k", "100", "o"}},
              {{"b", "x", "k", "60", "o"}, {"c", "y", "k", "40", "o", payment, usd}}) ==
        Words{"a?", "?b", "?c"});
  // A payment and its refund against what came to the same.
  CHECK(match({{"a", "", "k1", "100", "o"}, {"b", "", "k2", "-30", "o", refund}},
              {{"c", "", "k3", "70", "o"}}) == Words{"{a,b}={c}/4"});
  // Carried items take part.
  CHECK(match({{"a", "", "k", "100", "o", payment, cny, "", true}},
              {{"b", "x", "k", "60", "o", payment, cny, "", true}, {"c", "y", "k", "40", "o"}}) ==
        Words{"{a}={b,c}/4"});
}

TEST_CASE("one against one of an order is the same movement, unless the kinds contradict") {
  CHECK(match({{"a", "", "k1", "5", "o"}}, {{"b", "", "k2", "5", "o"}}) == Words{"a=b/4!r"});
  CHECK(match({{"a", "", "", "5", "o"}}, {{"b", "", "k2", "5", "o"}}) == Words{"a=b/4"});
  CHECK(match({{"a", "", "k1", "5", "o"}}, {{"b", "", "k2", "5", "o", refund}}) == Words{"a?", "?b"});
}

TEST_CASE("what one book alone has matches itself only through a reversal") {
  CHECK(match({{"a", "", "k1", "5", "o"}, {"b", "", "k2", "-5", "o", reversal}}, {}) == Words{"{a,b}={}/4"});
  CHECK(match({}, {{"a", "", "k1", "5", "o"}, {"b", "", "k2", "-5", "o", reversal}}) == Words{"{}={a,b}/4"});
  CHECK(match({{"a", "", "k1", "5", "o"}, {"b", "", "k2", "-5", "o", refund}}, {}) == Words{"a?", "b?"});
  CHECK(match({{"a", "", "k1", "5", "o"}, {"b", "", "k2", "-4", "o", reversal}}, {}) == Words{"a?", "b?"});
  CHECK(match({{"a", "", "k1", "0", "o"}, {"b", "", "k2", "0", "o"}}, {}) == Words{"a?", "b?"});
  CHECK(match({{"a", "", "k1", "0", "o", reversal}}, {}) == Words{"a?"});
}

TEST_CASE("nothing, and nothing on one side") {
  CHECK(match({}, {}) == Words{});
  CHECK(match({{"a", "r", "k", "0"}}, {}) == Words{"a?"});
  CHECK(match({{"a", "r", "k", "0"}}, {{"b", "r", "k", "0.00"}}) == Words{"a=b/1"});
  CHECK(match({{"a", "r", "k", "5"}}, {{"b", "r", "k", "5"}}, {}) == Words{"a?", "?b"});
}

TEST_CASE("amounts are compared to the last digit of 128 bits") {
  CHECK(match({{"a", "r", "k", "999999999999999999.999999999999"}},
              {{"b", "r", "k", "999999999999999999.999999999999"}}) == Words{"a=b/1"});
  CHECK(match({{"a", "r", "k", "999999999999999999.999999999999"}},
              {{"b", "r", "k", "999999999999999999.999999999998"}}) == Words{"a?", "?b"});
}

TEST_CASE("random days: every entry is in one place, and matches add up") {
  for (unsigned seed = 0; seed < 300; seed++) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto side = [&random](const char* prefix) {
      std::vector<Row> rows;
      const auto count = random() % 12;
      for (unsigned long i = 0; i < count; i++) {
        const std::string order = "o" + std::to_string(random() % 3);
        rows.push_back({prefix + std::to_string(i),
                        random() % 3 == 0 ? "" : "r" + std::to_string(random() % 4),
                        random() % 3 == 0 ? "" : "k" + std::to_string(random() % 4),
                        std::to_string(random() % 3 * 10), order, random() % 8 == 0 ? reversal : payment,
                        random() % 6 == 0 ? usd : cny, random() % 2 == 0 ? "" : std::to_string(random() % 2),
                        random() % 3 == 0, static_cast<std::int64_t>(random() % 3)});
      }
      return rows;
    };
    const std::vector<Row> left = side("l");
    const std::vector<Row> right = side("r");
    match(left, right);
    const auto l = entries(left, 0);
    const auto r = entries(right, 0);
    NoInterrupts interrupts;
    const DayMatch result =
        match_day({l, {}, sources(left)}, {r, {}, sources(right)}, all_passes, reversal, interrupts);
    std::vector<int> left_seen(l.size()), right_seen(r.size());
    for (const auto& pair : result.pairs) {
      left_seen[pair.left]++;
      right_seen[pair.right]++;
      CHECK(l[pair.left].amount == r[pair.right].amount);
      CHECK(l[pair.left].currency == r[pair.right].currency);
      CHECK(l[pair.left].kind == r[pair.right].kind);
      CHECK((pair.pass != 1 || (!l[pair.left].carried && !r[pair.right].carried)));
    }
    for (const auto& group : result.groups) {
      Decimal difference;
      for (const auto i : group.left) left_seen[i]++, difference -= l[i].amount;
      for (const auto i : group.right) right_seen[i]++, difference += r[i].amount;
      CHECK(difference.is_zero());
      CHECK(group.left.size() + group.right.size() > 1);
    }
    for (const auto i : result.left_open) left_seen[i]++;
    for (const auto i : result.right_open) right_seen[i]++;
    CHECK(std::all_of(left_seen.begin(), left_seen.end(), [](int n) { return n == 1; }));
    CHECK(std::all_of(right_seen.begin(), right_seen.end(), [](int n) { return n == 1; }));
    // Nothing is left that pass 1 to 3 would pair.
    for (const auto i : result.left_open) {
      for (const auto j : result.right_open) {
        const bool named = (l[i].channel_ref != 0 && l[i].channel_ref == r[j].channel_ref) ||
                           (l[i].match_key != 0 && l[i].match_key == r[j].match_key);
        CHECK_FALSE((named && l[i].amount == r[j].amount && l[i].kind == r[j].kind &&
                     l[i].currency == r[j].currency));
      }
    }
  }
}

TEST_CASE("fees are compared in one currency") {
  const Row ours{"i1", "r1", "o1", "10", "o1", payment, cny, "0.06"};
  Row theirs{"t1", "r1", "o1", "10", "o1", payment, cny, "0.08"};
  CHECK(match({ours}, {theirs}) == Words{"i1=t1/1!f"});
  theirs.fee_currency = usd;
  CHECK(match({ours}, {theirs}) == Words{"i1=t1/1"});
}

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "core/error.h"
#include "core/matching/duration.h"
#include "core/matching/match_rules.h"

using namespace pg_reconcile::core;

namespace {

// The set with one exact pass and these.
std::string with_exact(std::string_view rules) {
  return R"([{"rule": "channel_ref"}, )" + std::string(rules) + "]";
}

// "message | detail" of what is wrong with it.
std::string complaint(const std::string& json) {
  try {
    (void)MatchRuleSet::parse(json);
  } catch (const Error& error) {
    CHECK(std::string_view(error.state()) == "22023");
    CHECK(error.hint().find("docs/match-rules.md") != std::string::npos);
    return std::string(error.what()) + " | " + error.detail();
  }
  return "none";
}

std::string order(const std::string& json) {
  std::string names;
  for (const RuleDefinition& rule : MatchRuleSet::parse(json).rules) names += rule.name + " ";
  return names;
}

Decimal money(std::string_view text) {
  return Decimal::parse(text).value();
}

}  // namespace

TEST_CASE("a set is read as it is written") {
  const MatchRuleSet set = MatchRuleSet::parse(R"([
    {"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"},
    {"rule": "pair", "name": "near", "key": ["order_key", "currency", "attributes.shop id"],
     "kinds": {"left": ["payment", "refund"]}, "source_status": {"PAID": ["SUCCESS", "FINISHED"]},
     "amount": {"within": "0.05", "percent": "0.1", "cap": 1},
     "window": {"on": "occurred_at", "before": "2 days", "after": "1 hour 30 minutes"}},
    {"rule": "group", "name": "payouts", "key": ["value_date"], "shape": "1:N"},
    {"rule": "subset", "name": "parts", "key": [], "one": "right", "max_members": 3, "work": 5000,
     "window": {"on": "value_date", "after": "1 day"}, "suggest": true}])");
  REQUIRE(set.rules.size() == 7);
  CHECK(set.rules[2].kind == RuleKind::carried);
  CHECK(set.rules[2].name == "carried");
  CHECK(set.rules[2].settings == R"({"rule":"carried"})");

  const RuleDefinition& pair = set.rules[4];
  CHECK(pair.kind == RuleKind::pair);
  CHECK(pair.key == std::vector<KeyColumn>{{Field::order_key, ""}, {Field::order_key, "shop id"}});
  CHECK(pair.left_kinds == std::vector<std::string>{"payment", "refund"});
  CHECK(pair.right_kinds.empty());
  CHECK(pair.amount.within == money("0.05"));
  CHECK(pair.amount.percent == money("0.1"));
  CHECK(pair.amount.cap == money("1"));
  REQUIRE(pair.window);
  CHECK(pair.window->before == 2 * microseconds_per_day);
  CHECK(pair.window->after == 5400 * microseconds_per_second);
  CHECK_FALSE(pair.suggest);
  REQUIRE(pair.statuses.size() == 1);
  CHECK(pair.statuses[0].left == "PAID");
  CHECK(pair.statuses[0].right == std::vector<std::string>{"SUCCESS", "FINISHED"});
  CHECK(pair.tolerance == R"({"amount": {"within":"0.05","percent":"0.1","cap":1}, )"
                          R"("window": {"on":"occurred_at","before":"2 days","after":"1 hour 30 minutes"}})");

  CHECK(set.rules[5].shape == GroupShape::one_to_many);
  CHECK(set.rules[5].suggest);  // a date is no shared reference
  CHECK(set.rules[5].tolerance == "{}");
  CHECK(set.rules[6].one == RuleSide::right);
  CHECK(set.rules[6].max_members == 3);
  CHECK(set.rules[6].work == 5000);
}

TEST_CASE("the settings of the rules in their order are the same set") {
  const MatchRuleSet set =
      MatchRuleSet::parse(with_exact(R"({"rule": "pair", "name": "b", "key": [], "after": ["a"]},
                    {"rule": "pair", "name": "a", "key": ["attributes.x"], "window": {"on": "value_date", "after": "1 day"}})"));
  std::string again;
  for (const RuleDefinition& rule : set.rules) again += (again.empty() ? "[" : ",") + rule.settings;
  const MatchRuleSet second = MatchRuleSet::parse(again + "]");
  REQUIRE(second.rules.size() == 3);
  for (std::size_t i = 0; i < 3; i++) {
    CHECK(second.rules[i].name == set.rules[i].name);
    CHECK(second.rules[i].settings == set.rules[i].settings);
    CHECK(second.rules[i].tolerance == set.rules[i].tolerance);
  }
}

TEST_CASE("rules run as written, but not before those that they come after") {
  const auto rule = [](const std::string& name, const std::string& after) {
    return R"({"rule": "pair", "key": [], "name": ")" + name + R"(", "after": [)" + after + "]}";
  };
  CHECK(order(with_exact(rule("a", "") + "," + rule("b", "") + "," + rule("c", ""))) == "channel_ref a b c ");
  CHECK(order(with_exact(rule("a", R"("c")") + "," + rule("b", "") + "," + rule("c", ""))) ==
        "channel_ref b c a ");
  CHECK(order(with_exact(rule("a", R"("c", "channel_ref")") + "," + rule("b", R"("a")") + "," +
                         rule("c", ""))) == "channel_ref c a b ");
  CHECK(complaint(with_exact(rule("a", R"("b")") + "," + rule("b", R"("c")") + "," + rule("c", R"("b")"))) ==
        "match rule \"b\" is not valid | at $[2].after: the rules run in a cycle: \"b\" after \"c\" after "
        "\"b\"");
  CHECK(complaint(with_exact(rule("a", R"("a")"))) ==
        "match rule \"a\" is not valid | at $[1].after: the rules run in a cycle: \"a\" after \"a\"");
  CHECK(complaint(with_exact(rule("a", R"("x")"))) ==
        "match rule \"a\" is not valid | at $[1].after[0]: expected the name of a rule of this set, found "
        "\"x\"");
}

TEST_CASE("a set without an exact pass is refused") {
  const std::string expected =
      "the set of match rules is not valid | at $: no exact pass: expected a rule \"channel_ref\" or "
      "\"match_key\"";
  CHECK(complaint("[]") == expected);
  CHECK(complaint(R"([{"rule": "carried"}, {"rule": "net_order"}])") == expected);
  CHECK(complaint(R"([{"rule": "match_key"}])") == "none");
  CHECK(complaint(R"([{"rule": "pair", "name": "p", "key": []}, {"rule": "match_key"}])") ==
        "match rule \"match_key\" is not valid | at $[1]: exact passes (channel_ref, match_key, carried, "
        "net_order) "
        "come before all other rules");
}

TEST_CASE("names are there, and unique") {
  CHECK(complaint(R"([{"rule": "match_key"}, {"rule": "match_key"}])") ==
        "match rule \"match_key\" is not valid | at $[1].rule: this pass is in the set already");
  CHECK(complaint(with_exact(
            R"({"rule": "pair", "name": "p", "key": []}, {"rule": "pair", "name": "p", "key": []})")) ==
        "match rule \"p\" is not valid | at $[2].name: the set has a rule of this name already");
  CHECK(complaint(with_exact(R"({"rule": "pair", "name": "channel_ref", "key": []})")) ==
        "match rule \"channel_ref\" is not valid | at $[1].name: the set has a rule of this name already");
  CHECK(complaint(with_exact(R"({"rule": "pair", "key": []})")) ==
        "match rule \"pair\" is not valid | at $[1].name: expected a name, unique in the set, found nothing");
  CHECK(complaint(with_exact(R"({"rule": "pair", "name": "", "key": []})")) ==
        "match rule \"pair\" is not valid | at $[1].name: expected a name of 1 to 100 bytes, found \"\"");
  CHECK(complaint(with_exact("7")) == "match rule 2 is not valid | at $[1]: expected an object, found 7");
  CHECK(complaint(R"([{"rule": "channel_ref", "name": "x"}])") ==
        "match rule \"x\" is not valid | at $[0].name: unknown word; expected rule");
}

TEST_CASE("tolerances are exact, not negative, and whole") {
  const auto amount = [](const std::string& text) {
    return complaint(with_exact(R"({"rule": "pair", "name": "p", "key": [], "amount": )" + text + "}"));
  };
  const std::string at = "match rule \"p\" is not valid | at $[1].amount";
  CHECK(amount(R"({"within": "-0.01"})") ==
        at + ".within: expected a number that is not negative, such as \"0.05\", found \"-0.01\"");
  for (const char* fraction : {"0.5", "0.05", "-0.001", "1234567.89", "0.000000000001"}) {
    CHECK(amount(R"({"within": )" + std::string(fraction) + "}") ==
          at +
              ".within: expected a text such as \"0.05\" (a JSON number with a fraction would pass through "
              "floating point), found " +
              fraction);
  }
  CHECK(amount(R"({"within": true})").find(at + ".within: expected a text such as") == 0);
  for (const char* bad : {"NaN", "Infinity", "1e3", "", "0.0000000000001", "1,5"}) {
    CHECK(amount(R"({"within": ")" + std::string(bad) + "\"}") ==
          at +
              ".within: expected a decimal number of at most 18 digits and 12 decimals, such as \"0.05\", "
              "found \"" +
              bad + "\"");
  }
  CHECK(amount(R"({"cap": "1"})") == at + ".cap: \"cap\" limits \"percent\", which is not given");
  CHECK(amount(R"({"percent": "100.01"})") ==
        at + ".percent: expected a percentage from 0 to 100, found \"100.01\"");
  CHECK(amount(R"({"percent": "100", "cap": "0"})") == "none");
  CHECK(amount(R"({"relative": "1"})") == at + ".relative: unknown word; expected within, percent or cap");
  CHECK(amount(R"("0.05")") == at + ": expected an object, found \"0.05\"");
}

TEST_CASE("windows") {
  const auto window = [](const std::string& text) {
    return complaint(with_exact(R"({"rule": "pair", "name": "p", "key": [], "window": )" + text + "}"));
  };
  const std::string at = "match rule \"p\" is not valid | at $[1].window";
  CHECK(window(R"({"on": "value_date", "before": "2 days"})") == "none");
  CHECK(window(R"({"on": "value_date"})").find(at + ": expected \"before\", \"after\" or both") == 0);
  CHECK(window(R"({"before": "2 days"})") ==
        at + ".on: expected occurred_at, business_date or value_date, found nothing");
  CHECK(window(R"({"on": "value_date", "after": "12 hours"})") ==
        at + ".after: expected whole days, for a window on a date, found \"12 hours\"");
  CHECK(window(R"({"on": "occurred_at", "after": "-1 day"})").find(at + ".after: expected a duration") == 0);
  CHECK(window(R"({"on": "occurred_at", "after": "1 month"})").find(at + ".after: expected a duration") == 0);
  CHECK(window(R"({"on": "occurred_at", "after": 3})").find(at + ".after: expected a duration") == 0);
  CHECK(window(R"({"on": "created_at", "after": "1 day"})").find(at + ".on: expected occurred_at") == 0);
}

TEST_CASE("durations") {
  CHECK(parse_duration("2 days") == 2 * microseconds_per_day);
  CHECK(parse_duration(" 1 day  2 hours 3 minutes 4 seconds ") == 93784 * microseconds_per_second);
  CHECK(parse_duration("0 s") == 0);
  CHECK(parse_duration("3653 d") == duration_max);
  for (const char* bad : {"", " ", "2", "days", "2days", "1 day 1 day", "1.5 days", "3654 days", "-1 day",
                          "1 week", "99999999999999999999 days", "3653 days 1 second", "+1 day"}) {
    CHECK_FALSE(parse_duration(bad));
  }
}

TEST_CASE("keys, and who may apply matches without a shared reference") {
  const auto rule = [](const std::string& text) {
    return complaint(with_exact(R"({"name": "p", )" + text + "}"));
  };
  const std::string at = "match rule \"p\" is not valid | at $[1]";
  CHECK(rule(R"("rule": "pair")") ==
        at + ".key: expected an array of columns that must be equal, found nothing");
  CHECK(rule(R"("rule": "pair", "key": ["amount"])").find(at + ".key[0]: expected a column (order_key") == 0);
  CHECK(rule(R"("rule": "pair", "key": ["attributes."])").find(at + ".key[0]: expected a column") == 0);
  CHECK(rule(R"("rule": "pair", "key": ["kind", "kind"])") == at + ".key[1]: column \"kind\" is named twice");
  CHECK(rule(R"("rule": "group", "shape": "N:M", "key": ["account", "currency"])")
            .find(at + ".key: expected at least one column besides account and currency") == 0);
  CHECK(rule(R"("rule": "pair", "key": ["kind"], "suggest": false)")
            .find(at + ".suggest: expected true: without a shared reference") == 0);
  CHECK(rule(R"("rule": "pair", "key": ["attributes.a"], "suggest": false)") == "none");
  CHECK(rule(R"("rule": "pair", "key": [], "suggest": "yes")") ==
        at + ".suggest: expected true or false, found \"yes\"");
}

TEST_CASE("words that belong to one rule are refused in the others") {
  const auto rule = [](const std::string& text) {
    return complaint(with_exact(R"({"name": "p", "key": ["kind"], )" + text + "}"));
  };
  const std::string at = "match rule \"p\" is not valid | at $[1]";
  CHECK(rule(R"("rule": "pair", "shape": "1:N")").find(at + ".shape: unknown word") == 0);
  CHECK(rule(R"("rule": "group", "shape": "N:M", "source_status": {"a": ["b"]})")
            .find(at + ".source_status: unknown word") == 0);
  CHECK(rule(R"("rule": "group")") == at + ".shape: expected 1:N, N:1 or N:M (left:right), found nothing");
  CHECK(rule(R"("rule": "group", "shape": "2:1")") == at + ".shape: expected 1:N, N:1 or N:M, found \"2:1\"");
  CHECK(rule(R"("rule": "subset")").find(at + ".one: expected left or right") == 0);
  CHECK(rule(R"("rule": "subset", "one": "left", "max_members": 65)") ==
        at + ".max_members: expected an integer from 2 to 64, found 65");
  CHECK(rule(R"("rule": "subset", "one": "left", "work": 10)") ==
        at + ".work: expected an integer from 1000 to 10000000, found 10");
  CHECK(rule(R"("rule": "pear")") == at + ".rule: expected one of channel_ref, match_key, carried, "
                                          "net_order, pair, group, subset, found \"pear\"");
  CHECK(rule(R"("rule": "pair", "kinds": {"left": ["sale"]})")
            .find(at + ".kinds.left[0]: expected an entry kind") == 0);
  CHECK(rule(R"("rule": "pair", "kinds": {"left": []})").find(at + ".kinds.left: expected at least one") ==
        0);
  CHECK(rule(R"("rule": "pair", "kinds": {"both": []})").find(at + ".kinds.both: unknown word") == 0);
  CHECK(rule(R"("rule": "pair", "source_status": {})").find(at + ".source_status: expected at least one") ==
        0);
  CHECK(rule(R"("rule": "pair", "source_status": {"a": []})")
            .find(at + ".source_status.a: expected at least one") == 0);
  CHECK(rule(R"("rule": "pair", "after": [1])") == at + ".after[0]: expected a text, found 1");
}

TEST_CASE("what is no array of rules") {
  CHECK(complaint("{}") ==
        "the set of match rules is not valid | at $: expected an array of rules, found {}");
  CHECK(complaint("[").find("the set of match rules is no JSON | ") == 0);
}

TEST_CASE("tolerance: the greater of the absolute one and the capped percentage") {
  AmountTolerance tolerance;
  CHECK(tolerance.accepts(money("5"), money("5")));
  CHECK_FALSE(tolerance.accepts(money("5"), money("5.000000000001")));
  tolerance.within = money("0.05");
  tolerance.percent = money("1");
  tolerance.cap = money("2");
  CHECK(tolerance.allowed(money("1")) == money("0.05"));
  CHECK(tolerance.allowed(money("-100")) == money("1"));
  CHECK(tolerance.allowed(money("1000")) == money("2"));
  CHECK(tolerance.accepts(money("100"), money("101")));
  CHECK(tolerance.accepts(money("-100"), money("-99")));
  CHECK_FALSE(tolerance.accepts(money("100"), money("101.000000000001")));
  CHECK_FALSE(tolerance.accepts(money("101"), money("99.98")));  // the percentage is of the left amount
  CHECK(tolerance.accepts(money("0.03"), money("-0.02")));       // both next to nothing
  CHECK_FALSE(tolerance.accepts(money("0.06"), money("0")) == tolerance.accepts(money("0.05"), money("0")));
}

TEST_CASE("tolerance: a percentage of the largest sums stays exact") {
  AmountTolerance tolerance;
  tolerance.percent = money("33.333333333333");
  const Decimal large = Decimal::parse_sum("99999999999999999999999999.999999999999").value();
  CHECK(tolerance.allowed(large) == Decimal::parse_sum("33333333333332999999999999.999999999999").value());
  tolerance.percent = money("100");
  CHECK(tolerance.allowed(large) == large);
  CHECK_FALSE(tolerance.accepts(large, Decimal()));
  CHECK(tolerance.accepts(large, Decimal::from_units(1)));
}

TEST_CASE("tolerance: what accepts moves up with the amount, and lefts_of is the other direction") {
  for (const char* within : {"0", "0.000000000003", "0.000000000009"}) {
    for (const char* percent : {"", "7", "50", "100"}) {
      for (const char* cap : {"", "0.000000000002"}) {
        AmountTolerance tolerance;
        tolerance.within = money(within);
        if (*percent != '\0') tolerance.percent = money(percent);
        if (*cap != '\0' && tolerance.percent) tolerance.cap = money(cap);
        constexpr int most = 60;
        const AmountRange bounds{Decimal::from_units(-most), Decimal::from_units(most)};
        for (int l = -most; l < most; l++) {
          const AmountRange low = tolerance.rights_of(Decimal::from_units(l));
          const AmountRange high = tolerance.rights_of(Decimal::from_units(l + 1));
          CHECK(low.least <= high.least);
          CHECK(low.most <= high.most);
          CHECK(low.holds(Decimal::from_units(l)));
        }
        for (int r = -2 * most; r <= 2 * most; r++) {
          const Decimal right = Decimal::from_units(r);
          const AmountRange lefts = tolerance.lefts_of(right, bounds);
          for (int l = -most; l <= most; l++) {
            const Decimal left = Decimal::from_units(l);
            // As the rule is written.
            const bool near = (right - left).magnitude() <= tolerance.allowed(left);
            const bool tiny = left.magnitude() <= tolerance.within && right.magnitude() <= tolerance.within;
            const bool one_sign = (l > 0) == (r > 0) && (l < 0) == (r < 0);
            const bool expected = near && (one_sign || tiny);
            CHECK(tolerance.accepts(left, right) == expected);
            CHECK(lefts.holds(left) == expected);
          }
        }
      }
    }
  }
}

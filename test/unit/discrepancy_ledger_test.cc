#include "core/matching/discrepancy_ledger.h"

#include <doctest/doctest.h>

using namespace pg_reconcile::core;

namespace {

using Identities = std::map<DiscrepancyIdentity, DiscrepancyFacts>;
using Stored = std::map<DiscrepancyIdentity, StoredDiscrepancy>;

DiscrepancyIdentity payment(const std::string& key, std::int32_t ordinal = 1) {
  return {key, "payment", ordinal};
}

DiscrepancyFacts missing(const std::string& amount, const std::string& left_id) {
  DiscrepancyFacts facts;
  facts.kind = "missing_trade";
  facts.currency = "CNY";
  facts.difference = "-" + amount;
  facts.left_amount = amount;
  facts.left_entry = "{\"source_key\": \"" + left_id + "\"}";
  return facts;
}

// What the tables hold after the changes of a chain.
Stored applied(Stored stored, const std::vector<DiscrepancyChange>& changes) {
  for (const DiscrepancyChange& change : changes) {
    StoredDiscrepancy& item = stored[change.identity];
    if (item.discrepancy_id == 0) {
      item.discrepancy_id = static_cast<std::int64_t>(stored.size());
      item.first_run_id = change.first_run_id;
    }
    item.facts = change.facts;
    // As publish_discrepancies() does: whether it was settled is in the state, which the event gives.
    const bool adjusted = change.event == DiscrepancyEvent::resolved ||
                          (item.episode.adjusted && change.event != DiscrepancyEvent::cleared &&
                           change.event != DiscrepancyEvent::reopened);
    item.episode = {change.episode.opened_on, std::nullopt, adjusted};
    if (change.event != DiscrepancyEvent::opened) item.episode.cleared_on = change.episode.cleared_on;
    item.earlier = change.earlier;
  }
  return stored;
}

}  // namespace

TEST_CASE("a discrepancy opens once and stays while it is found") {
  DiscrepancyLedger ledger({}, 10);
  CHECK(ledger.take(10, 1, {{payment("a"), missing("5", "1/a")}}, {}).opened == 1);
  const DayFindings second = ledger.take(11, 2, {{payment("a"), missing("5", "1/a")}}, {});
  CHECK(second.opened == 0);
  CHECK(second.cleared == 0);
  CHECK(second.open == 1);
  const auto changes = ledger.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].event == DiscrepancyEvent::opened);
  CHECK(changes[0].episode.opened_on == 10);
  CHECK(changes[0].first_run_id == 1);
  CHECK_FALSE(changes[0].discrepancy_id);
}

TEST_CASE("what opens and clears within one chain leaves both events, in order") {
  DiscrepancyLedger ledger({}, 10);
  ledger.take(10, 1, {{payment("a"), missing("5", "1/a")}}, {});
  CHECK(ledger.take(11, 2, {}, {}).cleared == 1);
  const auto changes = ledger.changes();
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].event == DiscrepancyEvent::opened);
  CHECK(changes[1].event == DiscrepancyEvent::cleared);
  CHECK(changes[1].episode.cleared_on == 11);
}

TEST_CASE("the same chain again changes nothing, wherever it begins") {
  using Counts = std::map<Date, std::pair<std::int64_t, std::int64_t>>;
  const auto play = [](DiscrepancyLedger& ledger, Date from, std::int64_t run_id) {
    Counts counts;
    const auto take = [&](Date day, const Identities& findings, const Identities& adjusted) {
      if (from > day) return;
      const DayFindings found = ledger.take(day, run_id++, findings, adjusted);
      counts[day] = {found.opened, found.cleared};
    };
    const auto a = std::pair(payment("a"), missing("5", "1/a"));
    const auto b = std::pair(payment("b"), missing("6", "1/b"));
    const auto c = std::pair(payment("c"), missing("7", "1/c"));
    take(10, {a, b}, {});
    take(11, {a, c}, {});
    take(12, {c}, {a});
    take(13, {b, c}, {});
    take(14, {a, c}, {});
    take(15, {b, c}, {a});
    return counts;
  };
  DiscrepancyLedger first({}, 10);
  const Counts counts = play(first, 10, 1);
  const Stored stored = applied({}, first.changes());
  REQUIRE(stored.at(payment("a")).episode == DiscrepancyEpisode{14, 15, true});
  REQUIRE(stored.at(payment("a")).earlier == std::vector<DiscrepancyEpisode>{{10, 12, true}});
  REQUIRE(stored.at(payment("b")).episode == DiscrepancyEpisode{15, std::nullopt, false});
  REQUIRE(stored.at(payment("b")).earlier == std::vector<DiscrepancyEpisode>{{10, 11}, {13, 14}});
  for (const Date from : {10, 11, 12, 13, 14, 15, 16}) {
    CAPTURE(from);
    DiscrepancyLedger again(stored, from);
    // Also what the days opened and cleared is told the same, in whichever episode the chain begins.
    for (const auto& [day, opened_and_cleared] : play(again, from, 100))
      CHECK(opened_and_cleared == counts.at(day));
    CHECK(again.changes().empty());
  }
}

TEST_CASE("what was settled and moves to a later day is settled there") {
  Stored stored{{payment("a"), {7, missing("5", "1/a"), {10, 11, true}, {}, false, 1}}};
  DiscrepancyLedger without(stored, 10);
  without.take(10, 2, {}, {});
  without.take(11, 3, {}, {});
  stored = applied(stored, without.changes());
  REQUIRE_FALSE(stored.at(payment("a")).episode.adjusted);
  DiscrepancyLedger later(stored, 12);
  const DayFindings found = later.take(12, 4, {}, {{payment("a"), missing("5", "1/a")}});
  CHECK(found.opened == 1);
  CHECK(found.cleared == 1);
  const auto changes = later.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].event == DiscrepancyEvent::resolved);
  CHECK(changes[0].episode == DiscrepancyEpisode{12, 12, true});
  CHECK(changes[0].earlier.empty());
}

TEST_CASE("facts that change are one event, and the id stays") {
  Stored stored{{payment("a"), {7, missing("5", "1/a"), {10, std::nullopt, false}, {}, false, 1}}};
  DiscrepancyLedger ledger(stored, 11);
  ledger.take(11, 9, {{payment("a"), missing("6", "1/a")}}, {});
  const auto changes = ledger.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].event == DiscrepancyEvent::changed);
  CHECK(changes[0].discrepancy_id == 7);
  CHECK(changes[0].episode.opened_on == 10);
  CHECK(changes[0].first_run_id == 1);
  CHECK(changes[0].last_run_id == 9);
}

TEST_CASE("settled by adjustment is resolved, gone by itself is cleared, back again is reopened") {
  const StoredDiscrepancy open{7, missing("5", "1/a"), {10, std::nullopt, false}, {}, false, 1};
  {
    DiscrepancyLedger ledger({{payment("a"), open}}, 11);
    CHECK(ledger.take(11, 2, {}, {{payment("a"), open.facts}}).cleared == 1);
    REQUIRE(ledger.changes().size() == 1);
    CHECK(ledger.changes()[0].event == DiscrepancyEvent::resolved);
  }
  {
    DiscrepancyLedger ledger({{payment("a"), open}}, 11);
    CHECK(ledger.take(11, 2, {}, {}).cleared == 1);
    REQUIRE(ledger.changes().size() == 1);
    CHECK(ledger.changes()[0].event == DiscrepancyEvent::cleared);
  }
  StoredDiscrepancy cleared = open;
  cleared.episode.cleared_on = 11;
  DiscrepancyLedger ledger({{payment("a"), cleared}}, 12);
  CHECK(ledger.take(12, 3, {{payment("a"), open.facts}}, {}).opened == 1);
  REQUIRE(ledger.changes().size() == 1);
  CHECK(ledger.changes()[0].event == DiscrepancyEvent::reopened);
  CHECK(ledger.changes()[0].episode.opened_on == 12);
}

TEST_CASE("an adjustment taken back makes a resolved discrepancy a cleared one") {
  StoredDiscrepancy resolved{7, missing("5", "1/a"), {10, 11, true}, {}, false, 1};
  DiscrepancyLedger ledger({{payment("a"), resolved}}, 11);
  ledger.take(11, 2, {}, {});
  REQUIRE(ledger.changes().size() == 1);
  CHECK(ledger.changes()[0].event == DiscrepancyEvent::cleared);
}

TEST_CASE("what the chain does not find again never stood") {
  const StoredDiscrepancy open{7, missing("5", "1/a"), {11, std::nullopt, false}, {}, false, 1};
  DiscrepancyLedger ledger({{payment("a"), open}}, 10);
  ledger.take(10, 2, {}, {});
  ledger.take(11, 3, {}, {});
  const auto changes = ledger.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].event == DiscrepancyEvent::cleared);
  CHECK(changes[0].episode.cleared_on == 11);
  CHECK(DiscrepancyLedger(applied({{payment("a"), open}}, changes), 10).changes().empty());
}

TEST_CASE("a finding is known by its first entry, and a replaced entry hands its discrepancy on") {
  Stored stored;
  stored[payment("k", 1)] = {7, missing("5", "1/x"), {10, std::nullopt, false}, {}, false, 1};
  stored[payment("k", 2)] = {8, missing("5", "1/y"), {10, std::nullopt, false}, {}, true, 1};
  stored[payment("k", 3)] = {9, missing("5", "1/z"), {10, 11, false}, {}, false, 1};
  stored[payment("k", 1)].facts.first_entry = "1/x";
  stored[payment("k", 2)].facts.first_entry = "1/y";
  stored[payment("k", 3)].facts.first_entry = "1/z";
  DiscrepancyLedger ledger(stored, 12);
  CHECK(ledger.identify("k", "payment", "1/x") == payment("k", 1));
  CHECK(ledger.identify("k", "payment", "2/y") == payment("k", 2));  // 1/y is gone, and stood
  CHECK(ledger.identify("k", "payment", "2/z") == payment("k", 4));  // what was cleared is not handed on
  CHECK(ledger.identify("k", "payment", "2/y") == payment("k", 2));
  CHECK(ledger.identify("k", "refund", "1/x") == DiscrepancyIdentity{"k", "refund", 1});
}

TEST_CASE("what never stood ends on the day that it began, and a later chain leaves it alone") {
  Stored stored;
  stored[payment("a")] = {7, missing("5", "1/a"), {10, 14, false}, {}, false, 1};
  DiscrepancyLedger whole(stored, 10);
  whole.take(10, 2, {}, {});
  whole.take(11, 3, {}, {});
  const std::vector<DiscrepancyChange> changes = whole.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].event == DiscrepancyEvent::redated);
  CHECK(changes[0].episode.cleared_on == 10);
  DiscrepancyLedger later(applied(stored, changes), 11);
  later.take(11, 4, {}, {});
  CHECK(later.changes().empty());
}

TEST_CASE("found a day later is a new date, not a new discrepancy") {
  const StoredDiscrepancy open{7, missing("5", "1/a"), {10, std::nullopt, false}, {}, false, 1};
  DiscrepancyLedger ledger({{payment("a"), open}}, 10);
  ledger.take(10, 2, {}, {});
  ledger.take(11, 3, {{payment("a"), open.facts}}, {});
  REQUIRE(ledger.changes().size() == 1);
  CHECK(ledger.changes()[0].event == DiscrepancyEvent::redated);
  CHECK(ledger.changes()[0].episode.opened_on == 11);
}

TEST_CASE("what was settled and is not found again was not settled") {
  const StoredDiscrepancy settled{7, missing("5", "1/x"), {10, 11, true}, {}, false, 1};
  DiscrepancyLedger ledger({{payment("k"), settled}}, 10);
  ledger.take(10, 2, {}, {});
  const auto changes = ledger.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].event == DiscrepancyEvent::cleared);
  CHECK(DiscrepancyLedger(applied({{payment("k"), settled}}, changes), 10).changes().empty());
}

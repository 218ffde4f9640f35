#include "extension/run/day_writer.h"

#include <algorithm>
#include <utility>

#include "core/money/currency.h"

namespace pg_reconcile {
namespace {

using pg::Argument;

// Entries by their place: a FROM list for require_new_keys().
std::string located(const std::string& leaf) {
  return "unnest($6::text[]::tid[]) AS u (tuple) JOIN ONLY " + leaf + " e ON e.ctid = u.tuple";
}

}  // namespace

std::vector<Argument> DayWriter::leg_arguments() const {
  return {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
          Argument::date(day_)};
}

void DayWriter::require_new_keys(const char* stored, Side side, const std::string& rows,
                                 const std::vector<Argument>& arguments) {
  std::vector<Argument> all = leg_arguments();
  all.push_back(Argument::text(book_name(side)));
  all.insert(all.end(), arguments.begin(), arguments.end());
  spi_.run(std::string(
               "SELECT e.source_id, e.source_key, (SELECT s.name FROM reconcile.source s WHERE s.source_id = "
               "e.source_id), (SELECT string_agg(DISTINCT x.business_date::text, ', ' ORDER BY "
               "x.business_date::text) FROM reconcile.entry x WHERE x.book = $5 AND x.source_id = "
               "e.source_id AND x.source_key = e.source_key) FROM ") +
               rows + " JOIN reconcile." + stored +
               " k ON k.channel = $1 AND k.account = $2 AND k.leg = $3 AND k.book = $5 "
               "AND k.source_id = e.source_id AND k.source_key = e.source_key "
               "ORDER BY e.source_key COLLATE \"C\" LIMIT 1",
           all);
  if (spi_.rows() == 0) return;
  const std::string source =
      spi_.is_null(0, 2) ? std::to_string(spi_.int8(0, 0)) : "\"" + spi_.text(0, 2) + "\"";
  throw KeyStoredTwice(
      core::sqlstate::data_corrupted,
      "source " + source + " has two entries under the key \"" + spi_.text(0, 1) + "\"",
      "Account \"" + leg_.account + "\" at channel \"" + leg_.channel + "\", " + book_name(side) +
          " book, business dates " + spi_.text(0, 3) + ".",
      "SELECT * FROM reconcile.verify() lists every such key. Remove the entry that the source does "
      "not have, then run the day again.");
}

core::Decimal DayWriter::residual(const std::vector<std::uint32_t>& left,
                                  const std::vector<std::uint32_t>& right) const {
  core::Decimal sum;
  for (const std::uint32_t i : right) sum += right_.entries[i].amount;
  for (const std::uint32_t i : left) sum -= left_.entries[i].amount;
  return sum;
}

// With carried items, of several entries, by a configured rule or a decision, or with fees or references that
// differ.
std::vector<DayWriter::Stored> DayWriter::stored_matches(const core::DayMatch& match) const {
  std::vector<Stored> stored;
  const auto is_exact = [this](int pass) { return pass > 0 && core::is_exact(leg_.pass(pass).rule.kind); };
  for (const core::MatchedPair& pair : match.pairs) {
    const bool differs = pair.fee_differs || pair.reference_differs;
    if (differs || left_.entries[pair.left].carried || right_.entries[pair.right].carried ||
        !is_exact(pair.pass)) {
      stored.push_back({{pair.left}, {pair.right}, pair.pass, differs});
    }
  }
  for (const core::MatchedGroup& group : match.groups)
    stored.push_back({group.left, group.right, group.pass, false});
  return stored;
}

void DayWriter::write_matches(const core::DayMatch& match, const std::vector<DecidedMatch>& decisions) {
  const std::vector<Stored> stored = stored_matches(match);
  if (stored.empty()) return;
  const std::vector<std::int64_t> group_ids = insert_groups(stored, decisions);
  insert_items(Side::left, stored, group_ids);
  insert_items(Side::right, stored, group_ids);
}

std::vector<std::int64_t> DayWriter::insert_groups(const std::vector<Stored>& stored,
                                                   const std::vector<DecidedMatch>& decisions) {
  std::vector<std::int32_t> passes;
  std::vector<std::string> rules;
  std::vector<std::int32_t> versions;
  std::vector<std::string> currencies;
  std::vector<std::string> residuals;
  std::vector<std::int32_t> differs;
  std::vector<std::optional<std::string>> tolerances;
  std::vector<std::optional<std::string>> decision_ids;
  for (const Stored& group : stored) {
    const core::MatchEntry& first =
        group.left.empty() ? right_.entries[group.right[0]] : left_.entries[group.left[0]];
    const std::string currency = currencies_.text(first.currency);
    passes.push_back(group.pass);
    currencies.push_back(currency);
    residuals.push_back(core::amount_text(residual(group.left, group.right), currency));
    differs.push_back(group.differs ? 1 : 0);
    if (group.pass == 0) {
      // An entry is in one match: its first tells the decision.
      const auto decided =
          std::find_if(decisions.begin(), decisions.end(), [&group](const DecidedMatch& decision) {
            return decision.confirmed && decision.group.left == group.left &&
                   decision.group.right == group.right;
          });
      rules.push_back(decided->rule);
      versions.push_back(decided->version);
      tolerances.push_back(decided->tolerance);
      decision_ids.emplace_back(std::to_string(decided->decision_id));
    } else {
      const core::RuleDefinition& rule = leg_.pass(group.pass).rule;
      rules.push_back(rule.name);
      versions.push_back(leg_.rules_version);
      tolerances.push_back(core::is_exact(rule.kind) ? std::nullopt : std::optional(rule.tolerance));
      decision_ids.emplace_back();
    }
  }
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument :
       {Argument::int8(run_id_), Argument::int4_array(passes), Argument::text_array(rules),
        Argument::int4_array(versions), Argument::text_array(currencies), Argument::text_array(residuals),
        Argument::int4_array(differs), Argument::text_array(tolerances),
        Argument::text_array(decision_ids)}) {
    arguments.push_back(argument);
  }
  spi_.run(
      "WITH g AS (INSERT INTO reconcile.match_group (channel, account, leg, business_date, pass, rule, "
      "rule_version, currency, residual, differs, tolerance, decision_id, run_id) "
      "SELECT $1, $2, $3, $4, u.pass, u.rule, u.version, u.currency, u.residual::numeric, u.differs = 1, "
      "u.tolerance::jsonb, u.decision_id::bigint, $5 FROM unnest($6, $7, $8, $9, $10, $11, $12, $13) WITH "
      "ORDINALITY AS u (pass, rule, version, currency, residual, differs, tolerance, decision_id, n) "
      "ORDER BY u.n RETURNING group_id) SELECT group_id FROM g ORDER BY group_id",
      arguments);
  std::vector<std::int64_t> group_ids;
  for (std::uint64_t i = 0; i < spi_.rows(); i++) group_ids.push_back(spi_.int8(i, 0));
  return group_ids;
}

void DayWriter::insert_items(Side side, const std::vector<Stored>& stored,
                             const std::vector<std::int64_t>& group_ids) {
  LocatedRows rows;
  std::vector<std::int32_t> carried_sources;
  std::vector<std::string> carried_keys;
  std::vector<std::int64_t> carried_groups;
  for (std::size_t g = 0; g < stored.size(); g++) {
    for (const std::uint32_t i : side == Side::left ? stored[g].left : stored[g].right) {
      const EntryLocation& location = book(side).locations[i];
      if (book(side).entries[i].carried) {
        const CarriedItem& item = book(side).carried[location.tuple];
        carried_sources.push_back(item.source_id);
        carried_keys.push_back(item.source_key);
        carried_groups.push_back(group_ids[g]);
      } else {
        rows.add(location, group_ids[g]);
      }
    }
  }
  rows.for_each_leaf(spi_, [&](const std::string& leaf, const Argument& tuples, const Argument& numbers) {
    require_new_keys("match_item", side, located(leaf), {tuples});
    spi_.run(
        "INSERT INTO reconcile.match_item (group_id, channel, account, leg, book, source_id, source_key, "
        "amount, "
        "fee, entry) SELECT u.group_id, $1, $2, $3, e.book, e.source_id, e.source_key, e.amount, e.fee, "
        "to_jsonb(e) FROM unnest($4::text[]::tid[], $5) AS u (tuple, group_id) JOIN ONLY " +
            leaf + " e ON e.ctid = u.tuple",
        {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg), tuples,
         numbers});
  });
  if (!carried_keys.empty()) {
    require_new_keys("match_item", side, "unnest($6, $7) AS e (source_id, source_key)",
                     {Argument::int4_array(carried_sources), Argument::text_array(carried_keys)});
    std::vector<Argument> close = leg_arguments();
    for (const Argument& argument :
         {Argument::text(book_name(side)), Argument::int4_array(carried_sources),
          Argument::text_array(carried_keys), Argument::int8_array(carried_groups)}) {
      close.push_back(argument);
    }
    spi_.run(
        "WITH closed AS (UPDATE reconcile.open_item o SET closed_on = $4, closed_by = 'match' "
        "FROM unnest($6, $7, $8) AS u (source_id, source_key, group_id) "
        "WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book = $5 AND o.source_id = "
        "u.source_id "
        "AND o.source_key = u.source_key RETURNING u.group_id, o.*) "
        "INSERT INTO reconcile.match_item (group_id, channel, account, leg, book, source_id, source_key, "
        "amount, fee, "
        "entry) SELECT c.group_id, c.channel, c.account, c.leg, c.book, c.source_id, c.source_key, "
        "c.amount, c.fee, "
        "c.entry FROM closed c",
        close);
  }
}

void DayWriter::write_open_items(Side side, const std::vector<std::uint32_t>& open) {
  LocatedRows rows;
  for (const std::uint32_t i : open) {
    if (!book(side).entries[i].carried) rows.add(book(side).locations[i], 0);
  }
  rows.for_each_leaf(spi_, [&](const std::string& leaf, const Argument& tuples, const Argument&) {
    require_new_keys("open_item", side, located(leaf), {tuples});
    std::vector<Argument> arguments = leg_arguments();
    arguments.push_back(tuples);
    arguments.push_back(Argument::int4(leg_.version));
    arguments.push_back(Argument::text(side == Side::left ? "left" : "right"));
    spi_.run(
        "INSERT INTO reconcile.open_item (channel, account, leg, book, source_id, source_key, order_key, "
        "match_key, "
        "channel_ref, kind, amount, currency, fee, occurred_at, business_date, opened_on, due_date, entry) "
        "SELECT e.channel, e.account, $3, e.book, e.source_id, e.source_key, e.order_key, e.match_key, "
        "e.channel_ref, "
        "e.kind, e.amount, e.currency, e.fee, e.occurred_at, e.business_date, $4, "
        "reconcile.item_due_date(l.lags, $7, e.kind, e.business_date, e.occurred_at, l.edge_window, "
        "l.calendar, "
        "c.time_zone, c.day_start), to_jsonb(e) FROM unnest($5::text[]::tid[]) AS u (tuple) JOIN ONLY " +
            leaf +
            " e ON e.ctid = u.tuple CROSS JOIN reconcile.channel c CROSS JOIN reconcile.leg l "
            "WHERE c.channel = $1 AND e.account = $2 AND l.channel = $1 AND l.leg = $3 AND l.version = $6",
        arguments);
  });
}

std::vector<std::string> DayWriter::member_lists(Side side,
                                                 const std::vector<std::vector<std::uint32_t>>& lists) {
  // Members keep their order: each has a number.
  std::vector<std::string> members;
  LocatedRows rows;
  std::vector<std::int32_t> sources;
  std::vector<std::string> keys;
  std::vector<std::int64_t> numbers;
  for (const std::vector<std::uint32_t>& list : lists) {
    for (const std::uint32_t i : list) {
      const auto number = static_cast<std::int64_t>(members.size());
      members.emplace_back();
      const EntryLocation& location = book(side).locations[i];
      if (book(side).entries[i].carried) {
        sources.push_back(book(side).carried[location.tuple].source_id);
        keys.push_back(book(side).carried[location.tuple].source_key);
        numbers.push_back(number);
      } else {
        rows.add(location, number);
      }
    }
  }
  const auto take = [&] {
    for (std::uint64_t i = 0; i < spi_.rows(); i++) {
      members[static_cast<std::size_t>(spi_.int8(i, 0))] = spi_.text(i, 1);
    }
  };
  rows.for_each_leaf(spi_, [&](const std::string& leaf, const Argument& tuples, const Argument& of_leaf) {
    spi_.run(
        "SELECT u.number, reconcile.match_member(to_jsonb(e))::text FROM unnest($1::text[]::tid[], $2) AS u "
        "(tuple, number) JOIN ONLY " +
            leaf + " e ON e.ctid = u.tuple",
        {tuples, of_leaf});
    take();
  });
  if (!keys.empty()) {
    spi_.run(
        "SELECT u.number, reconcile.match_member(o.entry)::text FROM unnest($5, $6, $7) AS u (source_id, "
        "source_key, number) JOIN reconcile.open_item o ON o.channel = $1 AND o.account = $2 AND o.leg = $3 "
        "AND o.book = $4 AND o.source_id = u.source_id AND o.source_key = u.source_key",
        {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
         Argument::text(book_name(side)), Argument::int4_array(sources), Argument::text_array(keys),
         Argument::int8_array(numbers)});
    take();
  }
  std::vector<std::string> texts;
  std::size_t next = 0;
  for (const std::vector<std::uint32_t>& list : lists) {
    std::string text_of_list = "[";
    for (std::size_t i = 0; i < list.size(); i++) text_of_list += (i == 0 ? "" : ", ") + members[next++];
    texts.push_back(text_of_list + "]");
  }
  return texts;
}

// A suggestion that the day before made as well goes on; chains have taken back what days from their first on
// had made, and what none of them makes again goes with their end.
void DayWriter::write_suggestions(const std::vector<Suggestion>& suggestions) {
  if (suggestions.empty()) return;
  static constexpr const char* outcomes[] = {"suggested", "ambiguous", "gave_up"};
  std::vector<std::int32_t> passes;
  std::vector<std::string> rules;
  std::vector<std::string> outcome;
  std::vector<std::string> currencies;
  std::vector<std::optional<std::string>> residuals;
  std::vector<std::string> tolerances;
  std::vector<std::int64_t> left_counts;
  std::vector<std::int64_t> right_counts;
  std::vector<std::vector<std::uint32_t>> lefts;
  std::vector<std::vector<std::uint32_t>> rights;
  for (const Suggestion& suggestion : suggestions) {
    lefts.push_back(suggestion.left);
    rights.push_back(suggestion.right);
    const core::RuleDefinition& rule = leg_.pass(suggestion.pass).rule;
    const std::string currency = currencies_.text(suggestion.currency);
    passes.push_back(suggestion.pass);
    rules.push_back(rule.name);
    outcome.emplace_back(outcomes[static_cast<std::size_t>(suggestion.outcome)]);
    currencies.push_back(currency);
    residuals.push_back(suggestion.residual ? std::optional(core::amount_text(*suggestion.residual, currency))
                                            : std::nullopt);
    tolerances.push_back(rule.tolerance);
    left_counts.push_back(static_cast<std::int64_t>(suggestion.left_count));
    right_counts.push_back(static_cast<std::int64_t>(suggestion.right_count));
  }
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument :
       {Argument::int8(run_id_), Argument::int4(leg_.rules_version), Argument::int4_array(passes),
        Argument::text_array(rules), Argument::text_array(outcome), Argument::text_array(currencies),
        Argument::text_array(residuals), Argument::text_array(tolerances), Argument::int8_array(left_counts),
        Argument::int8_array(right_counts), Argument::text_array(member_lists(Side::left, lefts)),
        Argument::text_array(member_lists(Side::right, rights))}) {
    arguments.push_back(argument);
  }
  spi_.run(
      "WITH found AS MATERIALIZED (SELECT u.*, u.lefts::jsonb AS left_entries, u.rights::jsonb AS "
      "right_entries, reconcile.member_hash(u.lefts::jsonb, u.rights::jsonb) AS members "
      "FROM unnest($7, $8, $9, $10, $11, $12, $13, $14, $15, $16) WITH ORDINALITY AS u (pass, rule, outcome, "
      "currency, residual, tolerance, left_count, right_count, lefts, rights, n)), "
      "kept AS (UPDATE reconcile.match_suggestion s SET last_date = $4, run_id = $5, pass = f.pass "
      "FROM found f WHERE s.channel = $1 AND s.account = $2 AND s.leg = $3 AND s.last_date = $4 - 1 "
      "AND s.rule = f.rule AND s.rule_version = $6 AND s.outcome = f.outcome AND s.members = f.members "
      "AND s.left_count = f.left_count AND s.right_count = f.right_count RETURNING f.n) "
      "INSERT INTO reconcile.match_suggestion (channel, account, leg, business_date, last_date, pass, rule, "
      "rule_version, outcome, currency, residual, tolerance, left_count, right_count, left_entries, "
      "right_entries, members, run_id) SELECT $1, $2, $3, $4, $4, f.pass, f.rule, $6, f.outcome, f.currency, "
      "f.residual::numeric, f.tolerance::jsonb, f.left_count, f.right_count, f.left_entries, "
      "f.right_entries, "
      "f.members, $5 FROM found f WHERE f.n NOT IN (SELECT n FROM kept) ORDER BY f.n",
      arguments);
}

}  // namespace pg_reconcile

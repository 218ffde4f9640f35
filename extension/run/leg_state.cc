#include <map>
#include <optional>
#include <vector>

#include <boost/json.hpp>

#include "extension/run/day_reader.h"
#include "extension/run/leg_state.h"

namespace pg_reconcile {

using pg::Argument;
namespace json = boost::json;

namespace {

// [[day opened, day cleared, resolved], ...], days counted from 2000.
std::vector<core::DiscrepancyEpisode> episodes_from_json(const std::string& text) {
  std::vector<core::DiscrepancyEpisode> episodes;
  const json::value list = json::parse(text);
  for (const json::value& episode : list.as_array()) {
    episodes.push_back({static_cast<core::Date>(episode.at(0).as_int64()),
                        static_cast<core::Date>(episode.at(1).as_int64()), episode.at(2).as_bool()});
  }
  return episodes;
}

}  // namespace

std::vector<Argument> LegKey::arguments() const {
  return {Argument::text(channel), Argument::text(account), Argument::text(leg)};
}

std::vector<Argument> LegKey::arguments(core::Date day) const {
  return {Argument::text(channel), Argument::text(account), Argument::text(leg), Argument::date(day)};
}

void lock_leg(const LegKey& leg) {
  pg::Spi spi;
  spi.run(
      "SELECT pg_advisory_xact_lock(hashtext('pg_reconcile run'), hashtext($1 || E'\\x1f' || $2 || "
      "E'\\x1f' || $3))",
      leg.arguments());
  // A day can't be signed off while it runs.
  spi.run("SELECT reconcile.lock_account($1, $2, false)",
          {Argument::text(leg.channel), Argument::text(leg.account)});
}

void take_back(pg::Spi& spi, const LegKey& leg, core::Date first_day) {
  spi.run(
      "DELETE FROM reconcile.match_group g WHERE g.channel = $1 AND g.account = $2 AND g.leg = $3 "
      "AND g.business_date >= $4",
      leg.arguments(first_day));
  spi.run(
      "DELETE FROM reconcile.open_item o WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 "
      "AND o.opened_on >= $4",
      leg.arguments(first_day));
  spi.run(
      "UPDATE reconcile.open_item o SET closed_on = NULL, closed_by = NULL WHERE o.channel = $1 "
      "AND o.account = $2 AND o.leg = $3 AND o.closed_on >= $4",
      leg.arguments(first_day));
  take_back_suggestions(spi, leg, first_day);
}

void take_back_suggestions(pg::Spi& spi, const LegKey& leg, core::Date first_day) {
  spi.run(
      "UPDATE reconcile.match_suggestion s SET last_date = greatest(s.business_date, $4) - 1 "
      "WHERE s.channel = $1 AND s.account = $2 AND s.leg = $3 AND s.last_date >= $4",
      leg.arguments(first_day));
}

// Of what was cleared before the first day only the identity counts, and when: its entries stay where they
// are.
core::DiscrepancyLedger load_ledger(pg::Spi& spi, const LegKey& leg, core::Date first_day) {
  std::map<core::DiscrepancyIdentity, core::StoredDiscrepancy> stored;
  spi.run(
      "SELECT d.item_key, d.entry_kind, d.ordinal, d.discrepancy_id, d.kind, d.business_date, d.currency, "
      "trim_scale(d.difference), trim_scale(d.left_amount), d.left_currency, trim_scale(d.right_amount), "
      "d.right_currency, CASE WHEN w.entries THEN d.left_entry::text END, CASE WHEN w.entries THEN "
      "d.right_entry::text END, d.opened_on, d.cleared_on, "
      "d.state = 'resolved', d.first_run_id, d.first_entry, "
      "CASE WHEN d.cleared_on IS NULL OR d.state = 'resolved' AND d.cleared_on >= $4 THEN "
      "  (SELECT true FROM reconcile.entry e WHERE e.book = split_part(d.first_entry, '/', 1) "
      "   AND e.source_id = split_part(d.first_entry, '/', 2)::integer "
      "   AND e.source_key = regexp_replace(d.first_entry, '^[^/]*/[^/]*/', '') LIMIT 1) IS NULL "
      "ELSE false END, "
      "(SELECT jsonb_agg(jsonb_build_array((x.e ->> 'opened_on')::date - date '2000-01-01', "
      "  (x.e ->> 'cleared_on')::date - date '2000-01-01', x.e -> 'resolved') ORDER BY x.n)::text "
      " FROM jsonb_array_elements(d.earlier_episodes) WITH ORDINALITY AS x (e, n)) "
      "FROM reconcile.discrepancy d CROSS JOIN LATERAL (SELECT d.cleared_on IS NULL OR d.cleared_on >= $4 "
      "OR d.state = 'resolved' AS entries) w WHERE d.channel = $1 AND d.account = $2 AND d.leg = $3",
      leg.arguments(first_day));
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    core::StoredDiscrepancy item;
    item.discrepancy_id = spi.int8(i, 3);
    item.facts.kind = spi.text(i, 4);
    item.facts.business_date = static_cast<core::Date>(spi.int8(i, 5));
    item.facts.currency = spi.text(i, 6);
    item.facts.difference = money_text(spi.text_or_null(i, 7), item.facts.currency);
    item.facts.left_currency = spi.text_or_null(i, 9);
    item.facts.left_amount = money_text(spi.text_or_null(i, 8), item.facts.left_currency);
    item.facts.right_currency = spi.text_or_null(i, 11);
    item.facts.right_amount = money_text(spi.text_or_null(i, 10), item.facts.right_currency);
    item.facts.left_entry = spi.text_or_null(i, 12);
    item.facts.right_entry = spi.text_or_null(i, 13);
    item.episode.opened_on = static_cast<core::Date>(spi.int8(i, 14));
    if (!spi.is_null(i, 15)) item.episode.cleared_on = static_cast<core::Date>(spi.int8(i, 15));
    item.episode.adjusted = spi.boolean(i, 16);
    item.first_run_id = spi.int8(i, 17);
    item.facts.first_entry = spi.text(i, 18);
    item.replaceable = spi.boolean(i, 19);
    if (!spi.is_null(i, 20)) item.earlier = episodes_from_json(spi.text(i, 20));
    stored.emplace(
        core::DiscrepancyIdentity{spi.text(i, 0), spi.text(i, 1), static_cast<std::int32_t>(spi.int8(i, 2))},
        std::move(item));
  }
  return {std::move(stored), first_day};
}

}  // namespace pg_reconcile

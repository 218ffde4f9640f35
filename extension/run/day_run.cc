#include "extension/run/day_run.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/digest/row_hash.h"
#include "core/error.h"
#include "extension/run/control_query.h"
#include "extension/run/stored_rows.h"

namespace pg_reconcile {
namespace {

using pg::Argument;

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (!pg_strong_random(&seed, sizeof(seed))) {
    throw core::Error(core::sqlstate::internal_error, "could not draw a random seed", "",
                      "Check the server's random source.");
  }
  return seed;
}

core::Decimal decimal_at(const pg::Spi& spi, std::uint64_t row, int column) {
  return exact_decimal(spi.text(row, column));
}

}  // namespace

DayRun::DayRun(pg::Spi& spi, const pg::HeldSnapshot& snapshot, LegConfig leg, core::Date day,
               std::int64_t run_id)
    : spi_(spi), snapshot_(snapshot), leg_(std::move(leg)), day_(day) {
  result_.run_id = run_id;
  result_.day = day;
}

std::vector<Argument> DayRun::leg_arguments() const {
  return {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
          Argument::date(day_)};
}

DayResult DayRun::execute(core::DiscrepancyLedger& ledger) {
  Stopwatch watch;
  const std::uint64_t seed = random_seed();
  left_ = read_book_day(snapshot_, leg_, leg_.left_book, day_, seed, kinds_, currencies_);
  right_ = read_book_day(snapshot_, leg_, leg_.right_book, day_, seed, kinds_, currencies_);
  result_.read_s = watch.lap();

  pg::BackendInterrupts interrupts;
  const std::vector<core::MatchPass> passes = leg_.match_passes();
  const core::DayMatch match =
      core::match_day(left_.entries, right_.entries, passes, kinds_.code("reversal"), interrupts);
  count_matches(match);
  digest_matches(match);
  result_.match_s = watch.lap();

  write_matches(match);
  write_open_items(Side::left, match.left_open);
  write_open_items(Side::right, match.right_open);
  apply_adjustments();
  classify(ledger);
  result_.write_s = watch.lap();

  read_aggregates();
  read_previous();
  read_statements();
  read_control();
  result_.proof = core::prove_day(result_.figures);
  result_.prove_s = watch.lap();
  return std::move(result_);
}

void DayRun::count_matches(const core::DayMatch& match) {
  const auto count = [&](const core::MatchEntry& entry, bool on_left) {
    core::CurrencyFigures& f = figures(currencies_.text(entry.currency));
    (on_left ? f.left : f.right).matched.add(entry.amount);
  };
  for (const core::MatchedPair& pair : match.pairs) {
    const core::MatchEntry& l = left_.entries[pair.left];
    const core::MatchEntry& r = right_.entries[pair.right];
    count(l, true);
    count(r, false);
    core::CurrencyFigures& f = figures(currencies_.text(l.currency));
    f.residual += r.amount - l.amount;
    if (l.has_fee && r.has_fee) {
      f.left_fee += l.fee;
      f.right_fee += r.fee;
    }
  }
  for (const core::MatchedGroup& group : match.groups) {
    for (const std::uint32_t i : group.left) count(left_.entries[i], true);
    for (const std::uint32_t i : group.right) count(right_.entries[i], false);
  }
  result_.matched_pairs = static_cast<std::int64_t>(match.pairs.size());
  result_.matched_groups = static_cast<std::int64_t>(match.groups.size());
  for (const auto& [currency, sum] : left_.in) {
    figures(currency).left.detail_in = sum;
    result_.left_entries += sum.count;
  }
  for (const auto& [currency, sum] : right_.in) {
    figures(currency).right.detail_in = sum;
    result_.right_entries += sum.count;
  }
  for (const auto& [currency, sum] : left_.opening) figures(currency).left.opening = sum;
  for (const auto& [currency, sum] : right_.opening) figures(currency).right.opening = sum;
}

// Equal data gives an equal digest: what is hashed are the entries' identities, not their places nor their
// seeds.
void DayRun::digest_matches(const core::DayMatch& match) {
  core::RowHasher hasher;
  const auto add = [&hasher](std::uint64_t tie) { hasher.add(std::to_string(tie)); };
  for (const core::MatchedPair& pair : match.pairs) {
    add(left_.entries[pair.left].tie);
    add(right_.entries[pair.right].tie);
    result_.digest += hasher.finish();
  }
  for (const core::MatchedGroup& group : match.groups) {
    for (const std::uint32_t i : group.left) add(left_.entries[i].tie);
    hasher.add(std::nullopt);
    for (const std::uint32_t i : group.right) add(right_.entries[i].tie);
    result_.digest += hasher.finish();
  }
}

void DayRun::write_matches(const core::DayMatch& match) {
  // Stored are the matches that the entries of the day alone don't tell: with carried items, of several
  // entries, and those whose fees or references differ.
  struct Stored {
    std::vector<std::uint32_t> left;
    std::vector<std::uint32_t> right;
    int pass;
    bool differs;
  };
  std::vector<Stored> stored;
  for (const core::MatchedPair& pair : match.pairs) {
    const bool differs = pair.fee_differs || pair.reference_differs;
    if (differs || left_.entries[pair.left].carried || right_.entries[pair.right].carried) {
      stored.push_back({{pair.left}, {pair.right}, pair.pass, differs});
    }
  }
  for (const core::MatchedGroup& group : match.groups)
    stored.push_back({group.left, group.right, group.pass, false});
  if (stored.empty()) return;

  std::vector<std::int32_t> passes;
  std::vector<std::string> rules;
  std::vector<std::int32_t> versions;
  std::vector<std::string> currencies;
  std::vector<std::int32_t> differs;
  for (const Stored& group : stored) {
    const PassConfig& pass = leg_.pass(group.pass);
    const core::MatchEntry& first =
        group.left.empty() ? right_.entries[group.right[0]] : left_.entries[group.left[0]];
    passes.push_back(group.pass);
    rules.push_back(pass.rule);
    versions.push_back(pass.version);
    currencies.push_back(currencies_.text(first.currency));
    differs.push_back(group.differs ? 1 : 0);
  }
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument :
       {Argument::int8(result_.run_id), Argument::int4_array(passes), Argument::text_array(rules),
        Argument::int4_array(versions), Argument::text_array(currencies), Argument::int4_array(differs)}) {
    arguments.push_back(argument);
  }
  spi_.run(
      "WITH g AS (INSERT INTO reconcile.match_group (channel, account, leg, business_date, pass, rule, "
      "rule_version, "
      "currency, residual, differs, run_id) SELECT $1, $2, $3, $4, u.pass, u.rule, u.version, u.currency, 0, "
      "u.differs = 1, $5 FROM unnest($6, $7, $8, $9, $10) WITH ORDINALITY "
      "AS u (pass, rule, version, currency, differs, n) ORDER BY u.n RETURNING group_id) "
      "SELECT group_id FROM g ORDER BY group_id",
      arguments);
  std::vector<std::int64_t> group_ids;
  for (std::uint64_t i = 0; i < spi_.rows(); i++) group_ids.push_back(spi_.int8(i, 0));

  for (const Side side : {Side::left, Side::right}) {
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
}

void DayRun::write_open_items(Side side, const std::vector<std::uint32_t>& open) {
  LocatedRows rows;
  for (const std::uint32_t i : open) {
    if (!book(side).entries[i].carried) rows.add(book(side).locations[i], 0);
  }
  rows.for_each_leaf(spi_, [&](const std::string& leaf, const Argument& tuples, const Argument&) {
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

// Approved adjustments close the items of a discrepancy on the day that brings their sum to its difference.
void DayRun::apply_adjustments() {
  std::vector<Argument> arguments = leg_arguments();
  arguments.push_back(Argument::text(leg_.left_book));
  spi_.run(
      "WITH adjusted AS ("
      "  SELECT d.discrepancy_id, d.item_key, d.entry_kind, d.ordinal, d.kind, d.currency, d.difference, "
      "d.left_entry, "
      "         d.right_entry, sum(a.amount) AS amount, max(a.recon_date) AS day"
      "  FROM reconcile.discrepancy d JOIN reconcile.adjustment a ON a.discrepancy_id = d.discrepancy_id"
      "  WHERE d.channel = $1 AND d.account = $2 AND d.leg = $3 AND a.state = 'approved' AND a.recon_date <= "
      "$4"
      "    AND a.currency = d.currency"
      "  GROUP BY d.discrepancy_id HAVING sum(a.amount) = d.difference"
      "), items AS ("
      "  SELECT a.discrepancy_id, o.book, o.source_id, o.source_key, o.amount, o.currency"
      "  FROM adjusted a JOIN reconcile.open_item o ON o.channel = $1 AND o.account = $2 AND o.leg = $3"
      "    AND o.closed_on IS NULL AND a.day = $4 AND a.kind NOT IN ('fee_mismatch', 'reference_mismatch')"
      "    AND ((o.source_id = (a.left_entry ->> 'source_id')::integer AND o.source_key = a.left_entry ->> "
      "'source_key')"
      "      OR (o.source_id = (a.right_entry ->> 'source_id')::integer AND o.source_key = a.right_entry ->> "
      "'source_key'))"
      "), applied AS ("
      "  SELECT a.discrepancy_id, a.amount, a.currency FROM adjusted a JOIN items i ON i.discrepancy_id = "
      "a.discrepancy_id"
      "  GROUP BY a.discrepancy_id, a.amount, a.currency"
      "  HAVING sum(CASE WHEN i.book = $5 THEN -i.amount ELSE i.amount END) = a.amount"
      "), closed AS ("
      "  UPDATE reconcile.open_item o SET closed_on = $4, closed_by = 'adjustment'"
      "  FROM items i JOIN applied p ON p.discrepancy_id = i.discrepancy_id"
      "  WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book = i.book AND o.source_id = "
      "i.source_id"
      "    AND o.source_key = i.source_key"
      "  RETURNING o.book, o.currency, o.amount"
      ") "
      "SELECT 'closed', c.book, c.currency, count(*), sum(c.amount)::text, NULL::text, NULL::text, "
      "NULL::integer "
      "FROM closed c GROUP BY c.book, c.currency "
      "UNION ALL SELECT 'applied', NULL, p.currency, count(*), sum(p.amount)::text, NULL, NULL, NULL "
      "FROM applied p GROUP BY p.currency "
      "UNION ALL SELECT 'settled', NULL, NULL, NULL, NULL, a.item_key, a.entry_kind, a.ordinal FROM adjusted "
      "a "
      "WHERE a.kind IN ('fee_mismatch', 'reference_mismatch') "
      "  OR EXISTS (SELECT FROM applied p WHERE p.discrepancy_id = a.discrepancy_id)",
      arguments);
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    const std::string what = spi_.text(i, 0);
    if (what == "settled") {
      adjusted_.insert({spi_.text(i, 5), spi_.text(i, 6), static_cast<std::int32_t>(spi_.int8(i, 7))});
      continue;
    }
    core::CurrencyFigures& f = figures(spi_.text(i, 2));
    if (what == "applied") {
      f.adjustments += decimal_at(spi_, i, 4);
    } else {
      (spi_.text(i, 1) == leg_.left_book ? f.left : f.right)
          .adjusted.add(decimal_at(spi_, i, 4), spi_.int8(i, 3));
    }
  }
}

void DayRun::classify(core::DiscrepancyLedger& ledger) {
  enum {
    key,
    kind,
    ordinal,
    verdict,
    date,
    l_id,
    l_key,
    l_amount,
    l_currency,
    r_id,
    r_key,
    r_amount,
    r_currency,
    l_entry,
    r_entry,
    group_day
  };
  spi_.run(
      "SELECT item_key, entry_kind, ordinal, discrepancy_kind, business_date, left_source_id, "
      "left_source_key, "
      "trim_scale(left_amount), left_currency, right_source_id, right_source_key, trim_scale(right_amount), "
      "right_currency, left_entry::text, right_entry::text, group_day "
      "FROM reconcile.classify_items($1, $2, $3, $4, $5, $6)",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
       Argument::text(leg_.left_book), Argument::text(leg_.right_book), Argument::date(day_)});
  std::map<core::DiscrepancyIdentity, core::DiscrepancyFacts> findings;
  core::RowHasher hasher;
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    const std::optional<std::string> name = spi_.text_or_null(i, verdict);
    const std::optional<std::string> left = spi_.text_or_null(i, l_amount);
    const std::optional<std::string> right = spi_.text_or_null(i, r_amount);
    const bool of_match = !spi_.is_null(i, group_day);
    core::Decimal difference;  // right - left; of fees left - right
    if (left) difference -= exact_decimal(*left);
    if (right) difference += exact_decimal(*right);

    if (!of_match) {
      // Unmatched items: their amounts are what the proof calls T and X.
      const auto count = [&](const std::optional<std::string>& amount, int currency, bool on_left) {
        if (!amount) return;
        const core::Decimal value = exact_decimal(*amount);
        core::CurrencyFigures& f = figures(spi_.text(i, currency));
        (name ? f.discrepancy : f.in_transit).add(on_left ? value.negated() : value);
        if (!name) result_.in_transit++;
      };
      count(left, l_currency, true);
      count(right, r_currency, false);
    } else if (*name == "fee_mismatch") {
      difference = difference.negated();
      if (spi_.int8(i, group_day) == day_) figures(spi_.text(i, l_currency)).fee_discrepancy += difference;
    }
    if (!name) continue;

    const core::DiscrepancyIdentity identity{spi_.text(i, key), spi_.text(i, kind),
                                             static_cast<std::int32_t>(spi_.int8(i, ordinal))};
    if (of_match && adjusted_.contains(identity)) continue;
    core::DiscrepancyFacts facts;
    facts.kind = *name;
    facts.business_date = static_cast<core::Date>(spi_.int8(i, date));
    facts.left_amount = left;
    facts.right_amount = right;
    facts.left_currency = spi_.text_or_null(i, l_currency);
    facts.right_currency = spi_.text_or_null(i, r_currency);
    facts.currency = facts.right_currency ? *facts.right_currency : *facts.left_currency;
    const bool one_currency =
        !facts.left_currency || !facts.right_currency || *facts.left_currency == *facts.right_currency;
    if (one_currency) facts.difference = difference.to_string();
    facts.left_entry = spi_.text_or_null(i, l_entry);
    facts.right_entry = spi_.text_or_null(i, r_entry);
    for (const auto& field : {std::optional(identity.item_key), std::optional(identity.entry_kind), name,
                              facts.difference, std::optional(facts.currency)}) {
      hasher.add(field ? std::optional<std::string_view>(*field) : std::nullopt);
    }
    result_.digest += hasher.finish();
    findings.emplace(identity, std::move(facts));
  }
  result_.findings = ledger.take(day_, result_.run_id, std::move(findings), adjusted_);

  std::vector<Argument> arguments = leg_arguments();
  spi_.run(
      "SELECT o.book, o.currency, count(*), sum(o.amount)::text FROM reconcile.open_item o "
      "WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.opened_on <= $4 "
      "AND (o.closed_on IS NULL OR o.closed_on > $4) GROUP BY o.book, o.currency",
      arguments);
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    core::CurrencyFigures& f = figures(spi_.text(i, 1));
    (spi_.text(i, 0) == leg_.left_book ? f.left : f.right).closing = {spi_.int8(i, 2),
                                                                      decimal_at(spi_, i, 3)};
  }
}

// The aggregate path: the executor's own sums and digest over the same snapshot, by a query of its own.
void DayRun::read_aggregates() {
  spi_.run(
      "SELECT e.book, e.currency, count(*), sum(e.amount)::text, "
      "mod(sum(reconcile.row_hash(e.order_key, e.match_key, e.channel_ref, e.kind, "
      "trim_scale(e.amount)::text, "
      "e.currency, trim_scale(e.fee)::text)), 340282366920938463463374607431768211456)::text "
      "FROM reconcile.entry e WHERE e.channel = $1 AND e.account = $2 AND e.book IN ($3, $4) AND "
      "e.recon_date = $5 "
      "AND e.business_date <= $5 AND e.kind = ANY ($6) AND e.effective GROUP BY e.book, e.currency",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.left_book),
       Argument::text(leg_.right_book), Argument::date(day_), Argument::text_array(leg_.kinds)});
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    const bool on_left = spi_.text(i, 0) == leg_.left_book;
    const std::string currency = spi_.text(i, 1);
    core::CurrencyFigures& f = figures(currency);
    (on_left ? f.left : f.right).in = {spi_.int8(i, 2), decimal_at(spi_, i, 3)};
    const auto& digests = (on_left ? left_ : right_).digest;
    const auto at = digests.find(currency);
    if (at == digests.end() || core::to_string(at->second) != spi_.text(i, 4)) f.digests_agree = false;
  }
}

void DayRun::read_previous() {
  spi_.run(
      "WITH earlier AS (SELECT r.run_id, r.business_date, t.* FROM reconcile.run r JOIN reconcile.run_total "
      "t USING (run_id) "
      "  WHERE r.channel = $1 AND r.account = $2 AND r.leg = $3 AND r.current AND r.business_date < $4) "
      "SELECT e.currency, sum(e.right_in - e.left_in)::text, "
      "sum(e.residual + e.right_adjusted - e.left_adjusted)::text, "
      "coalesce(sum(e.in_transit) FILTER (WHERE e.business_date = l.day), 0)::text, "
      "coalesce(sum(e.discrepancy) FILTER (WHERE e.business_date = l.day), 0)::text "
      "FROM earlier e CROSS JOIN (SELECT max(business_date) AS day FROM earlier) l GROUP BY e.currency",
      leg_arguments());
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    core::CurrencyFigures& f = figures(spi_.text(i, 0));
    f.earlier_in = decimal_at(spi_, i, 1);
    f.earlier_explained = decimal_at(spi_, i, 2);
    f.opening_in_transit = decimal_at(spi_, i, 3);
    f.opening_discrepancy = decimal_at(spi_, i, 4);
  }
}

void DayRun::read_statements() {
  spi_.run(
      "SELECT d.currency, d.entries, d.amount::text "
      "FROM reconcile.statement_differences($1, $2, ARRAY[$3, $4], $5) d",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.left_book),
       Argument::text(leg_.right_book), Argument::date(day_)});
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    core::CurrencyFigures& f = figures(spi_.text(i, 0));
    f.statement_difference = decimal_at(spi_, i, 2);
    f.statement_entries_missing = spi_.int8(i, 1);
  }
}

void DayRun::read_control() {
  if (leg_.control_function.empty()) return;
  for (auto& [currency, f] : result_.figures) f.has_control = true;
  for (const auto& [currency, counted] : query_control(spi_, leg_, day_)) {
    core::CurrencyFigures& f = figures(currency);
    f.has_control = true;
    f.control = counted;
  }
}

}  // namespace pg_reconcile

#include "extension/run/day_run.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "core/digest/row_hash.h"
#include "core/error.h"
#include "core/money/currency.h"
#include "extension/pg/progress.h"
#include "extension/run/control_query.h"

namespace pg_reconcile {
namespace {

using pg::Argument;

constexpr const char* over_refund = "over_refund";

core::Decimal decimal_at(const pg::Spi& spi, std::uint64_t row, int column) {
  return exact_decimal(spi.text(row, column));
}

}  // namespace

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (!pg_strong_random(&seed, sizeof(seed))) {
    throw core::Error(core::sqlstate::internal_error, "could not draw a random seed", "",
                      "Check the server's random source.");
  }
  return seed;
}

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
  using pg::Phase;
  using pg::Progress;
  const SettledPairs settled =
      read_day({snapshot_, leg_, day_, seed, expected_rows(leg_.left_book), expected_rows(leg_.right_book),
                decided_identities(spi_, leg_, day_), settles_},
               kinds_, currencies_, left_, right_);
  result_.read_s = watch.lap();

  Progress::phase(Phase::matching);
  pg::BackendInterrupts interrupts;
  const std::vector<DecidedMatch> decisions = read_decisions(spi_, leg_, day_, left_, right_, currencies_);
  match_ = core::match_day(left_.match_book(), right_.match_book(), leg_.exact_passes(),
                           kinds_.code("reversal"), interrupts, confirmed_groups(decisions));
  const std::vector<Suggestion> suggestions =
      run_rules(snapshot_, spi_, leg_, left_, right_, seed, kinds_, decisions, match_);
  count_matches(match_, settled);
  result_.match_s = watch.lap();

  Progress::phase(Phase::writing);
  DayWriter writer(spi_, leg_, day_, result_.run_id, left_, right_, currencies_);
  writer.write_matches(match_, decisions);
  writer.write_open_items(Side::left, match_.left_open);
  writer.write_open_items(Side::right, match_.right_open);
  writer.write_suggestions(suggestions);
  return conclude(ledger, watch);
}

DayResult DayRun::conclude(core::DiscrepancyLedger& ledger, Stopwatch& watch) {
  using pg::Phase;
  using pg::Progress;
  Progress::phase(Phase::classifying);
  classify(ledger);
  result_.write_s = watch.lap();

  Progress::phase(Phase::proving);
  if (!aggregates_read_) read_aggregates();
  read_previous();
  read_statements();
  read_control();
  result_.proof = core::prove_day(result_.figures);
  Progress::phase(Phase::done);
  result_.prove_s = watch.lap();
  return std::move(result_);
}

// For run_progress: what the totals count for the day, and what is carried in.
std::int64_t DayRun::expected_rows(const std::string& book) {
  std::vector<Argument> arguments = leg_arguments();
  arguments.push_back(Argument::text(book));
  arguments.push_back(Argument::text_array(leg_.kinds));
  spi_.run(
      "SELECT (SELECT coalesce(sum(t.entries), 0) FROM reconcile.entry_total t WHERE t.channel = $1 "
      "AND t.account = $2 AND t.recon_date = $4 AND t.book = $5 AND t.kind = ANY ($6))::bigint + "
      "(SELECT count(*) FROM reconcile.open_item o WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 "
      "AND o.book = $5 AND o.opened_on < $4 AND (o.closed_on IS NULL OR o.closed_on >= $4))",
      arguments);
  return spi_.int8(0, 0);
}

void DayRun::count_matches(const core::DayMatch& match, const SettledPairs& settled) {
  for (std::size_t code = 0; code < match.figures.size(); code++) {
    const core::MatchedFigures& matched = match.figures[code];
    const bool is_used = matched.left.count != 0 || matched.right.count != 0 ||
                         matched.fees_not_compared != 0 || !matched.left_fee.is_zero() ||
                         !matched.right_fee.is_zero();
    if (!is_used) continue;
    core::CurrencyFigures& f = figures(currencies_.text(static_cast<std::uint16_t>(code)));
    f.left.matched = matched.left;
    f.right.matched = matched.right;
    f.residual = matched.residual;
    f.left_fee = matched.left_fee;
    f.right_fee = matched.right_fee;
    f.fees_not_compared = matched.fees_not_compared;
  }
  for (const auto& [currency, sum] : left_.settled) {
    figures(currency).left.matched.add(sum.amount, sum.count);
  }
  for (const auto& [currency, sum] : right_.settled) {
    figures(currency).right.matched.add(sum.amount, sum.count);
  }
  for (const auto& [currency, fees] : settled.fees) {
    figures(currency).left_fee += fees;
    figures(currency).right_fee += fees;
  }
  result_.match_digest = match.digest + settled.digest;
  result_.digest += result_.match_digest;
  result_.matched_pairs = static_cast<std::int64_t>(match.pairs.size()) + settled.pairs;
  result_.matched_groups = static_cast<std::int64_t>(match.groups.size());
  count_entries();
}

void DayRun::count_entries() {
  result_.left_digest = left_.digest;
  result_.right_digest = right_.digest;
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

std::vector<std::string> DayRun::refunded_orders() {
  std::set<std::string> orders(left_.refunded_orders.begin(), left_.refunded_orders.end());
  orders.insert(right_.refunded_orders.begin(), right_.refunded_orders.end());
  return {orders.begin(), orders.end()};
}

// What stands unmatched at the end of the day, and which stored matches differ, in a fixed order.
std::vector<DayRun::Finding> DayRun::read_findings(core::DiscrepancyLedger& ledger) {
  enum {
    key,
    kind,
    first_entry,
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
  // An order's refunds come last: what is wrong with one of them says more.
  spi_.run(
      "SELECT item_key, entry_kind, first_entry, discrepancy_kind, business_date, left_source_id, "
      "left_source_key, trim_scale(left_amount), left_currency, right_source_id, right_source_key, "
      "trim_scale(right_amount), right_currency, left_entry::text, right_entry::text, "
      "group_day FROM ("
      "SELECT 1 AS part, c.* FROM reconcile.classify_items($1, $2, $3, $4, $5, $6) c UNION ALL "
      "SELECT 2, o.* FROM reconcile.over_refunds($1, $2, $3, $4, $5, $6, $7, $8, $9) o) f "
      "ORDER BY part, business_date, first_entry COLLATE \"C\"",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
       Argument::text(leg_.left_book), Argument::text(leg_.right_book), Argument::date(day_),
       Argument::text_array(leg_.kinds), Argument::text_array(refunded_orders()),
       Argument::text_array(ledger.standing_entries(over_refund))});
  std::vector<Finding> findings;
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    Finding finding;
    finding.in_transit = spi_.is_null(i, verdict);
    finding.facts.first_entry = spi_.text(i, first_entry);
    if (!finding.in_transit) {
      finding.identity = ledger.identify(spi_.text(i, key), spi_.text(i, kind), finding.facts.first_entry);
    }
    if (!spi_.is_null(i, group_day)) finding.match_day = static_cast<core::Date>(spi_.int8(i, group_day));
    if (!spi_.is_null(i, l_id))
      finding.left = {static_cast<std::int32_t>(spi_.int8(i, l_id)), spi_.text(i, l_key)};
    if (!spi_.is_null(i, r_id))
      finding.right = {static_cast<std::int32_t>(spi_.int8(i, r_id)), spi_.text(i, r_key)};
    core::DiscrepancyFacts& facts = finding.facts;
    facts.kind = spi_.text(i, verdict);
    facts.business_date = static_cast<core::Date>(spi_.int8(i, date));
    facts.left_currency = spi_.text_or_null(i, l_currency);
    facts.right_currency = spi_.text_or_null(i, r_currency);
    facts.left_amount = money_text(spi_.text_or_null(i, l_amount), facts.left_currency);
    facts.right_amount = money_text(spi_.text_or_null(i, r_amount), facts.right_currency);
    facts.currency = facts.right_currency ? *facts.right_currency : *facts.left_currency;
    facts.left_entry = spi_.text_or_null(i, l_entry);
    facts.right_entry = spi_.text_or_null(i, r_entry);
    // Right minus left; of fees left minus right.
    if (facts.left_amount) finding.difference -= exact_decimal(*facts.left_amount);
    if (facts.right_amount) finding.difference += exact_decimal(*facts.right_amount);
    if (facts.kind == "fee_mismatch") finding.difference = finding.difference.negated();
    finding.one_currency =
        !facts.left_currency || !facts.right_currency || *facts.left_currency == *facts.right_currency;
    if (finding.one_currency) facts.difference = core::amount_text(finding.difference, facts.currency);
    findings.push_back(std::move(finding));
  }
  return findings;
}

// Approved adjustments close a discrepancy, items and all, on the day that brings their sum to its
// difference. What it is about is what the day's data says, not what was stored of it: a re-run comes to the
// same.
bool DayRun::apply_adjustments(const std::vector<Finding>& findings) {
  spi_.run(
      "SELECT d.item_key, d.entry_kind, d.ordinal, a.currency, sum(a.amount)::text "
      "FROM reconcile.adjustment a JOIN reconcile.discrepancy d USING (discrepancy_id) "
      "WHERE d.channel = $1 AND d.account = $2 AND d.leg = $3 AND a.state = 'approved' AND a.recon_date <= "
      "$4 "
      "GROUP BY d.item_key, d.entry_kind, d.ordinal, a.currency",
      leg_arguments());
  std::map<std::pair<core::DiscrepancyIdentity, std::string>, core::Decimal> sums;
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    const core::DiscrepancyIdentity identity{spi_.text(i, 0), spi_.text(i, 1),
                                             static_cast<std::int32_t>(spi_.int8(i, 2))};
    sums.emplace(std::pair(identity, spi_.text(i, 3)), decimal_at(spi_, i, 4));
  }
  std::vector<std::string> books;
  std::vector<std::int32_t> source_ids;
  std::vector<std::string> source_keys;
  for (const Finding& finding : findings) {
    if (finding.in_transit || !finding.one_currency) continue;
    const auto sum = sums.find({finding.identity, finding.facts.currency});
    if (sum == sums.end() || sum->second != finding.difference) continue;
    adjusted_.emplace(finding.identity, finding.facts);
    if (finding.match_day) continue;
    core::CurrencyFigures& f = figures(finding.facts.currency);
    f.adjustments += finding.difference;
    const auto close = [&](const std::optional<CarriedItem>& item, const std::string& book,
                           const std::optional<std::string>& amount, core::BookFigures& figures) {
      if (!item) return;
      books.push_back(book);
      source_ids.push_back(item->source_id);
      source_keys.push_back(item->source_key);
      figures.adjusted.add(exact_decimal(*amount));
    };
    close(finding.left, leg_.left_book, finding.facts.left_amount, f.left);
    close(finding.right, leg_.right_book, finding.facts.right_amount, f.right);
  }
  if (source_keys.empty()) return false;
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument :
       {Argument::text_array(books), Argument::int4_array(source_ids), Argument::text_array(source_keys)}) {
    arguments.push_back(argument);
  }
  spi_.run(
      "UPDATE reconcile.open_item o SET closed_on = $4, closed_by = 'adjustment' "
      "FROM unnest($5, $6, $7) AS u (book, source_id, source_key) "
      "WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book = u.book "
      "AND o.source_id = u.source_id AND o.source_key = u.source_key",
      arguments);
  return true;
}

void DayRun::classify(core::DiscrepancyLedger& ledger) {
  std::vector<Finding> findings = read_findings(ledger);
  if (apply_adjustments(findings)) findings = read_findings(ledger);
  std::map<core::DiscrepancyIdentity, core::DiscrepancyFacts> standing;
  std::set<std::tuple<bool, std::int32_t, std::string>> explained;  // entries: on the left?, source, key
  const auto is_explained = [&explained](const std::optional<CarriedItem>& item, bool on_left) {
    return item && explained.contains({on_left, item->source_id, item->source_key});
  };
  core::RowHasher hasher;
  for (Finding& finding : findings) {
    core::DiscrepancyFacts& facts = finding.facts;
    if (!finding.match_day) {
      // Unmatched items: their amounts are what the proof calls T and X.
      const auto count = [&](const std::optional<CarriedItem>& item, const std::optional<std::string>& amount,
                             const std::optional<std::string>& currency, bool on_left) {
        if (!item) return;
        const core::Decimal value = exact_decimal(*amount);
        core::CurrencyFigures& f = figures(*currency);
        (finding.in_transit ? f.in_transit : f.discrepancy).add(on_left ? value.negated() : value);
        if (finding.in_transit) result_.in_transit++;
      };
      count(finding.left, facts.left_amount, facts.left_currency, true);
      count(finding.right, facts.right_amount, facts.right_currency, false);
    } else if (facts.kind == "fee_mismatch" && *finding.match_day == day_) {
      figures(*facts.left_currency).fee_discrepancy += finding.difference;
    }
    if (finding.in_transit || (finding.match_day && adjusted_.contains(finding.identity))) continue;
    if (facts.kind != over_refund) {
      for (const auto* item : {&finding.left, &finding.right}) {
        if (*item) explained.emplace(item == &finding.left, (*item)->source_id, (*item)->source_key);
      }
    } else if (is_explained(finding.left, true) || is_explained(finding.right, false)) {
      continue;
    }
    for (const auto& field :
         {std::optional(finding.identity.item_key), std::optional(finding.identity.entry_kind),
          std::optional(facts.kind), facts.difference, std::optional(facts.currency)}) {
      hasher.add(field ? std::optional<std::string_view>(*field) : std::nullopt);
    }
    result_.digest += hasher.finish();
    standing.emplace(std::move(finding.identity), std::move(facts));
  }
  result_.findings = ledger.take(day_, result_.run_id, standing, adjusted_);

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

// The aggregate path: what ingestion has counted, in the same transactions that stored the entries. It reads
// no entry, so a row that came, went or changed without being counted shows as well as one that the detail
// path has missed.
void DayRun::read_aggregates() {
  aggregates_read_ = true;
  const std::string modulus = "340282366920938463463374607431768211456";
  spi_.run(
      "SELECT t.book, t.currency, sum(t.entries)::bigint, sum(t.amount)::text, mod(mod(sum(t.digest), " +
          modulus + ") + " + modulus + ", " + modulus +
          ")::text "
          "FROM reconcile.entry_total t WHERE t.channel = $1 AND t.account = $2 AND t.book IN ($3, $4) AND "
          "t.recon_date = $5 AND t.kind = ANY ($6) GROUP BY t.book, t.currency",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.left_book),
       Argument::text(leg_.right_book), Argument::date(day_), Argument::text_array(leg_.kinds)});
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    const bool on_left = spi_.text(i, 0) == leg_.left_book;
    const std::string currency = spi_.text(i, 1);
    core::CurrencyFigures& f = figures(currency);
    (on_left ? f.left : f.right).in = {spi_.int8(i, 2), decimal_at(spi_, i, 3)};
    const auto& digests = (on_left ? left_ : right_).digest;
    const auto at = digests.find(currency);
    // Rows that all went again leave a total of nothing.
    const core::uint128 detail = at == digests.end() ? core::uint128{0} : at->second;
    if (core::to_string(detail) != spi_.text(i, 4)) f.digests_agree = false;
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

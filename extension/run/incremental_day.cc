#include "extension/run/incremental_day.h"

#include <algorithm>
#include <utility>

#include "extension/pg/progress.h"
#include "extension/pg/settings.h"
#include "extension/run/day_writer.h"

namespace pg_reconcile {
namespace {

using pg::Argument;

core::CountAndAmount sum(const core::CountAndAmount& a, const core::CountAndAmount& b, int sign) {
  return {a.count + sign * b.count, sign > 0 ? a.amount + b.amount : a.amount - b.amount};
}

core::Decimal sum(core::Decimal a, core::Decimal b, int sign) {
  return sign > 0 ? a + b : a - b;
}

// The day's sums: those of the run before, less what it saw of the closure, and with what is there now.
void shift(BookDay& day, const BookDay& before, const std::map<std::string, CurrencyDetail>& prior,
           core::CountAndAmount CurrencyDetail::*in, core::uint128 CurrencyDetail::*digest) {
  for (const auto& [currency, count] : before.in) {
    day.in[currency] = sum(day.in[currency], count, -1);
    day.digest[currency] -= before.digest.at(currency);
  }
  for (const auto& [currency, detail] : prior) {
    day.in[currency] = sum(day.in[currency], detail.*in, 1);
    day.digest[currency] += detail.*digest;
  }
  std::erase_if(day.in, [](const auto& item) { return item.second == core::CountAndAmount{}; });
  std::erase_if(day.digest, [](const auto& item) { return item.second == 0; });
}

}  // namespace

std::string reason_against_incremental(pg::Spi& spi, const LegConfig& leg, core::Date day,
                                       const PriorRun& prior, const RunDetail& detail) {
  const std::string run = "run " + std::to_string(prior.run_id);
  if (!prior.of_this_cluster) return run + " was made in another cluster";
  if (!prior.detail) return run + " left nothing to go on from";
  if (prior.detail->settings != detail.settings) {
    return "the settings of leg, rules, channel or calendar have changed since " + run;
  }
  // A batch that failed has read what no change tells.
  spi.run(
      "SELECT max(r.run_id) FROM reconcile.run r WHERE r.channel = $1 AND r.account = $2 AND r.leg = $3 "
      "AND r.business_date = $4 AND r.state = 'failed' AND r.run_id > $5",
      {pg::Argument::text(leg.channel), pg::Argument::text(leg.account), pg::Argument::text(leg.leg),
       pg::Argument::date(day), pg::Argument::int8(prior.run_id)});
  if (!spi.is_null(0, 0)) return "run " + std::to_string(spi.int8(0, 0)) + " failed";
  return {};
}

IncrementalDay::IncrementalDay(pg::Spi& spi, const pg::HeldSnapshot& snapshot, LegConfig leg, core::Date day,
                               std::int64_t run_id, const PriorRun& prior, ChainChanges& chain)
    : DayRun(spi, snapshot, std::move(leg), day, run_id),
      prior_(prior),
      chain_(chain),
      reader_(spi_, leg_, day_, prior_, chain_),
      seed_(random_seed()) {}

DayResult IncrementalDay::execute(core::DiscrepancyLedger& ledger) {
  using pg::Phase;
  using pg::Progress;
  Stopwatch watch;
  Progress::phase(Phase::reading_left, -1);
  read_closure();
  result_.read_s = watch.lap();

  Progress::phase(Phase::matching);
  const core::DayMatch before = match_before();
  const std::vector<DecidedMatch> decisions = read_decisions(spi_, leg_, day_, left_, right_, currencies_);
  core::DayMatch after =
      match(left_, left_state_.closure, right_, right_state_.closure, confirmed_groups(decisions));
  const std::vector<Suggestion> suggestions =
      run_rules(snapshot_, spi_, leg_, left_, right_, seed_, kinds_, decisions, after);
  result_.matched_pairs = prior_.matched_pairs;
  result_.matched_groups = prior_.matched_groups;
  result_.match_digest = prior_.detail->match_digest;
  for (const auto& [currency, detail] : prior_.detail->currencies) {
    core::CurrencyFigures& f = figures(currency);
    f.left.matched = detail.left_matched;
    f.right.matched = detail.right_matched;
    f.residual = detail.residual;
    f.left_fee = detail.left_fee;
    f.right_fee = detail.right_fee;
    f.fees_not_compared = detail.fees_not_compared;
  }
  add_matches(before, -1);
  add_matches(after, 1);
  result_.digest += result_.match_digest;
  require_stored(before);
  add_totals();
  require_explained();
  result_.match_s = watch.lap();

  Progress::phase(Phase::writing);
  for (const auto& [book, open] :
       {std::pair(&left_state_, &after.left_open), std::pair(&right_state_, &after.right_open)}) {
    for (const std::uint32_t i : *open) open_.insert(book->members[i]);
  }
  note_rest();
  take_back();
  DayWriter writer(spi_, leg_, day_, result_.run_id, left_, right_, currencies_);
  writer.write_matches(after, decisions);
  writer.write_open_items(Side::left, newly_open(left_state_, after.left_open));
  writer.write_open_items(Side::right, newly_open(right_state_, after.right_open));
  writer.write_suggestions(suggestions);
  DayResult result = conclude(ledger, watch);
  note_adjusted();
  return result;
}

IncrementalDay::State IncrementalDay::state(Side side, std::optional<StoredEntry> ClosureMember::*of) const {
  State found;
  for (ClosureMember* member : closure_) {
    if (!(member->*of) || member->item.book != (side == Side::left ? leg_.left_book : leg_.right_book))
      continue;
    found.entries.push_back(&*(member->*of));
    found.members.push_back(member);
    if (!member->rest) found.closure = found.members.size();
  }
  return found;
}

void IncrementalDay::read_closure() {
  closure_ = reader_.read();
  left_before_state_ = state(Side::left, &ClosureMember::before);
  right_before_state_ = state(Side::right, &ClosureMember::before);
  left_state_ = state(Side::left, &ClosureMember::after);
  right_state_ = state(Side::right, &ClosureMember::after);
  left_before_ = collect_book_day(left_before_state_.entries, seed_, kinds_, currencies_);
  right_before_ = collect_book_day(right_before_state_.entries, seed_, kinds_, currencies_);
  left_ = collect_book_day(left_state_.entries, seed_, kinds_, currencies_);
  right_ = collect_book_day(right_state_.entries, seed_, kinds_, currencies_);
}

core::DayMatch IncrementalDay::match(const BookDay& left, std::size_t left_closure, const BookDay& right,
                                     std::size_t right_closure,
                                     const std::vector<core::MatchedGroup>& confirmed) {
  pg::BackendInterrupts interrupts;
  const auto within = [](const std::vector<std::uint32_t>& members, std::size_t closure) {
    return std::all_of(members.begin(), members.end(), [closure](std::uint32_t i) { return i < closure; });
  };
  for (const core::MatchedGroup& group : confirmed) {
    if (!within(group.left, left_closure) || !within(group.right, right_closure)) {
      throw FallBack{"a decision is about entries that nothing was known to have changed about"};
    }
  }
  core::DayMatch found = core::match_day(left.match_book(left_closure), right.match_book(right_closure),
                                         leg_.exact_passes(), kinds_.code("reversal"), interrupts, confirmed);
  // The rest is what exact passes leave, as it was.
  for (std::size_t i = left_closure; i < left.entries.size(); i++) {
    found.left_open.push_back(static_cast<std::uint32_t>(i));
  }
  for (std::size_t i = right_closure; i < right.entries.size(); i++) {
    found.right_open.push_back(static_cast<std::uint32_t>(i));
  }
  return found;
}

// As the run before saw it: what decisions and rules matched is what is stored.
core::DayMatch IncrementalDay::match_before() {
  std::map<const ClosureMember*, std::uint32_t> places;
  for (const State* book : {&left_before_state_, &right_before_state_}) {
    for (std::uint32_t i = 0; i < book->members.size(); i++) places[book->members[i]] = i;
  }
  std::vector<core::MatchedGroup> confirmed;
  std::vector<core::MatchedGroup> by_rules;
  for (const StoredMatch& stored : reader_.stored_matches()) {
    core::MatchedGroup group{{}, {}, stored.pass};
    for (const ClosureMember* member : stored.members) {
      (member->item.book == leg_.left_book ? group.left : group.right).push_back(places.at(member));
    }
    (stored.pass == 0 ? confirmed : by_rules).push_back(std::move(group));
  }
  core::DayMatch before =
      match(left_before_, left_before_state_.closure, right_before_, right_before_state_.closure, confirmed);
  const auto close = [this](std::vector<std::uint32_t>& open, std::vector<std::uint32_t> members) {
    std::sort(members.begin(), members.end());
    const std::size_t were_open = open.size();
    std::erase_if(
        open, [&members](std::uint32_t i) { return std::binary_search(members.begin(), members.end(), i); });
    if (open.size() + members.size() == were_open) return;
    throw FallBack{"what rules matched in run " + std::to_string(prior_.run_id) +
                   " is not what the passes before them leave"};
  };
  std::vector<std::uint32_t> lefts;
  std::vector<std::uint32_t> rights;
  for (core::MatchedGroup& group : by_rules) {
    lefts.insert(lefts.end(), group.left.begin(), group.left.end());
    rights.insert(rights.end(), group.right.begin(), group.right.end());
    core::add_match(before, left_before_.entries, right_before_.entries, std::move(group), false);
  }
  close(before.left_open, std::move(lefts));
  close(before.right_open, std::move(rights));
  return before;
}

void IncrementalDay::add_matches(const core::DayMatch& match, int sign) {
  for (std::size_t code = 0; code < match.figures.size(); code++) {
    const core::MatchedFigures& matched = match.figures[code];
    core::CurrencyFigures& f = figures(currencies_.text(static_cast<std::uint16_t>(code)));
    f.left.matched = sum(f.left.matched, matched.left, sign);
    f.right.matched = sum(f.right.matched, matched.right, sign);
    f.residual = sum(f.residual, matched.residual, sign);
    f.left_fee = sum(f.left_fee, matched.left_fee, sign);
    f.right_fee = sum(f.right_fee, matched.right_fee, sign);
    f.fees_not_compared += sign * matched.fees_not_compared;
  }
  result_.matched_pairs += sign * static_cast<std::int64_t>(match.pairs.size());
  result_.matched_groups += sign * static_cast<std::int64_t>(match.groups.size());
  result_.match_digest += sign > 0 ? match.digest : core::uint128{0} - match.digest;
}

// What the run before left of these entries must be what matching them as it saw them leaves.
void IncrementalDay::require_stored(const core::DayMatch& before) {
  std::vector<ItemKey> items;
  std::map<ItemKey, const ClosureMember*> of_the_day;
  for (const State* book : {&left_before_state_, &right_before_state_}) {
    for (const ClosureMember* member : book->members) {
      if (member->before->carried) continue;
      items.push_back(member->item);
      of_the_day[member->item] = member;
    }
  }
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument : item_arguments(items)) arguments.push_back(argument);
  spi_.run(
      "SELECT o.book, o.source_id, o.source_key FROM unnest($5, $6, $7) AS u (book, source_id, source_key) "
      "JOIN reconcile.open_item o ON o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book = u.book "
      "AND o.source_id = u.source_id AND o.source_key = u.source_key WHERE o.opened_on = $4",
      arguments, true);
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    stored_.insert(
        of_the_day.at({spi_.text(i, 0), static_cast<std::int32_t>(spi_.int8(i, 1)), spi_.text(i, 2)}));
  }
  const auto agrees = [this](const State& book, const std::vector<std::uint32_t>& open) {
    std::vector<char> is_open(book.members.size());
    for (const std::uint32_t i : open) is_open[i] = 1;
    for (std::size_t i = 0; i < book.members.size(); i++) {
      if (was_open(book.members[i]) != (is_open[i] != 0)) return false;
    }
    return true;
  };
  if (!agrees(left_before_state_, before.left_open) || !agrees(right_before_state_, before.right_open)) {
    throw FallBack{"what is stored of run " + std::to_string(prior_.run_id) +
                   " is not what the entries that it saw come to"};
  }
}

void IncrementalDay::add_totals() {
  shift(left_, left_before_, prior_.detail->currencies, &CurrencyDetail::left_in,
        &CurrencyDetail::left_digest);
  shift(right_, right_before_, prior_.detail->currencies, &CurrencyDetail::right_in,
        &CurrencyDetail::right_digest);
  std::vector<Argument> arguments = leg_arguments();
  arguments.push_back(Argument::text(leg_.left_book));
  arguments.push_back(Argument::text(leg_.right_book));
  left_.opening.clear();
  right_.opening.clear();
  spi_.run(
      "SELECT o.book = $5, o.currency, count(*), sum(o.amount)::text FROM reconcile.open_item o "
      "WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book IN ($5, $6) AND o.opened_on < $4 "
      "AND (o.closed_on IS NULL OR o.closed_on >= $4) GROUP BY 1, 2",
      arguments);
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    (spi_.boolean(i, 0) ? left_ : right_).opening[spi_.text(i, 1)] = {spi_.int8(i, 2),
                                                                      exact_decimal(spi_.text(i, 3))};
  }
  count_entries();
}

// Every change of the totals must be one that was read.
void IncrementalDay::require_explained() {
  read_aggregates();
  for (const auto& [currency, f] : result_.figures) {
    if (f.left.in == f.left.detail_in && f.right.in == f.right.detail_in && f.digests_agree) continue;
    throw FallBack{"the changes since run " + std::to_string(prior_.run_id) +
                   " do not explain the totals in " + currency};
  }
}

void IncrementalDay::reopen_matches(const std::vector<ItemKey>& items, const char* of_days) {
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument : item_arguments(items)) arguments.push_back(argument);
  // What the statement deletes is still there for its other parts.
  spi_.run(
      "WITH gone AS (DELETE FROM reconcile.match_group g USING (SELECT DISTINCT i.group_id FROM "
      "unnest($5, $6, $7) AS u (book, source_id, source_key) JOIN reconcile.match_item i ON i.channel = $1 "
      "AND i.account = $2 AND i.leg = $3 AND i.book = u.book AND i.source_id = u.source_id "
      "AND i.source_key = u.source_key) x WHERE g.group_id = x.group_id AND g.business_date " +
          std::string(of_days) +
          " $4 RETURNING g.group_id, g.business_date), member AS (SELECT i.*, gone.business_date FROM gone "
          "JOIN reconcile.match_item i USING (group_id)), reopened AS (UPDATE reconcile.open_item o "
          "SET closed_on = NULL, closed_by = NULL FROM member i WHERE o.channel = $1 AND o.account = $2 "
          "AND o.leg = $3 AND o.book = i.book AND o.source_id = i.source_id AND o.source_key = i.source_key "
          "AND o.closed_by = 'match' AND o.closed_on = i.business_date) "
          "SELECT i.book, i.source_id, i.source_key FROM member i",
      arguments);
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    chain_.items.insert({spi_.text(i, 0), static_cast<std::int32_t>(spi_.int8(i, 1)), spi_.text(i, 2)});
  }
}

// The items that adjustments closed on the day, and the orders they belong to.
void IncrementalDay::note_items() {
  for (std::uint64_t i = 0; i < spi_.rows(); i++) {
    chain_.items.insert({spi_.text(i, 0), static_cast<std::int32_t>(spi_.int8(i, 1)), spi_.text(i, 2)});
    chain_.orders.insert(spi_.text(i, 3));
  }
}

void IncrementalDay::reopen_adjusted() {
  spi_.run(
      "UPDATE reconcile.open_item o SET closed_on = NULL, closed_by = NULL WHERE o.channel = $1 AND "
      "o.account "
      "= $2 AND o.leg = $3 AND o.closed_on = $4 AND o.closed_by = 'adjustment' "
      "RETURNING o.book, o.source_id, o.source_key, o.order_key",
      leg_arguments());
  note_items();
}

void IncrementalDay::note_adjusted() {
  spi_.run(
      "SELECT o.book, o.source_id, o.source_key, o.order_key FROM reconcile.open_item o WHERE o.channel = $1 "
      "AND o.account = $2 AND o.leg = $3 AND o.closed_on = $4 AND o.closed_by = 'adjustment'",
      leg_arguments());
  note_items();
}

bool IncrementalDay::was_open(const ClosureMember* member) const {
  return member->before->carried ? !member->closed_before : stored_.contains(member);
}

// What rules match now and did not, or the other way round.
void IncrementalDay::note_rest() {
  for (const ClosureMember* member : closure_) {
    if (!member->rest || was_open(member) == open_.contains(member)) continue;
    chain_.items.insert(member->item);
    chain_.orders.insert(member->after->order_key);
  }
}

// An open item that stays as it is, and may be closed by a later day.
bool IncrementalDay::is_kept(const ClosureMember* member) const {
  return !member->changed && stored_.contains(member) && open_.contains(member);
}

std::vector<std::uint32_t> IncrementalDay::newly_open(const State& book,
                                                      const std::vector<std::uint32_t>& open) const {
  std::vector<std::uint32_t> found;
  for (const std::uint32_t i : open) {
    if (!is_kept(book.members[i])) found.push_back(i);
  }
  return found;
}

// Takes back what the run before wrote for the closure, and what it closed by adjustments: those are applied
// anew. Matches of later days lose what this day now matches; those days match the rest again.
void IncrementalDay::take_back() {
  reopen_adjusted();
  std::vector<ItemKey> all;
  std::vector<ItemKey> matched;
  std::vector<ItemKey> gone;
  for (const ClosureMember* member : closure_) {
    all.push_back(member->item);
    if (member->after && !open_.contains(member)) matched.push_back(member->item);
    const bool carried = (member->after ? member->after : member->before)->carried;
    if (!carried && !is_kept(member)) gone.push_back(member->item);
  }
  reopen_matches(all, "=");
  reopen_matches(matched, ">");
  std::vector<Argument> arguments = leg_arguments();
  for (const Argument& argument : item_arguments(gone)) arguments.push_back(argument);
  spi_.run(
      "DELETE FROM reconcile.open_item o USING unnest($5, $6, $7) AS u (book, source_id, source_key) "
      "WHERE o.channel = $1 AND o.account = $2 AND o.leg = $3 AND o.book = u.book AND o.source_id = "
      "u.source_id AND o.source_key = u.source_key AND o.opened_on >= $4",
      arguments);
}

// Of the orders whose refunds the day adds to, those that may have come to something else than before: what
// changed in them, what their discrepancies said, or what adjustments settled. Others keep saying nothing.
std::vector<std::string> IncrementalDay::refunded_orders() {
  std::set<std::string> candidates = chain_.orders;
  spi_.run(
      "SELECT substr(d.item_key, length('order:') + 1) FROM reconcile.discrepancy d WHERE d.channel = $1 AND "
      "d.account = $2 AND d.leg = $3 AND d.kind = 'over_refund' AND d.item_key LIKE 'order:%' "
      "UNION SELECT o.order_key FROM reconcile.adjustment a JOIN reconcile.discrepancy d USING "
      "(discrepancy_id) CROSS JOIN LATERAL (VALUES (d.left_entry ->> 'order_key'), (d.right_entry ->> "
      "'order_key')) AS o (order_key) WHERE d.channel = $1 AND d.account = $2 AND d.leg = $3 "
      "AND a.state = 'approved' AND a.recon_date <= $4 AND o.order_key IS NOT NULL",
      leg_arguments());
  for (std::uint64_t i = 0; i < spi_.rows(); i++) candidates.insert(spi_.text(i, 0));
  // Of the closure's orders all entries of the day are at hand.
  for (const ClosureMember* member : closure_) {
    if (member->rest) continue;
    for (const auto* state : {&member->before, &member->after}) {
      if (*state) candidates.erase((*state)->order_key);
    }
  }
  std::vector<std::string> orders = DayRun::refunded_orders();
  if (candidates.empty()) return orders;

  const std::string scope =
      "e.channel = $1 AND e.account = $2 AND e.book = ANY ($3) AND e.recon_date = $4 AND e.kind = ANY ($5) "
      "AND e.effective ";
  const pg::LocalSetting no_sequence("enable_seqscan", "off");
  const pg::LocalSetting no_bitmap("enable_bitmapscan", "off");
  spi_.run(
      "WITH late AS MATERIALIZED (SELECT e.order_key FROM reconcile.entry e WHERE " + scope +
          "AND e.recon_date <> e.business_date) SELECT k.key FROM unnest($6) AS k (key) CROSS JOIN LATERAL "
          "(SELECT FROM reconcile.entry e WHERE e.order_key = k.key AND " +
          scope +
          "AND e.business_date = $4 AND (e.kind = 'refund' OR e.amount < 0 AND e.kind IN ('payment', "
          "'reversal')) LIMIT 1) l UNION SELECT e.order_key FROM late e WHERE e.order_key = ANY ($6)",
      {Argument::text(leg_.channel), Argument::text(leg_.account),
       Argument::text_array(std::vector<std::string>{leg_.left_book, leg_.right_book}), Argument::date(day_),
       Argument::text_array(leg_.kinds),
       Argument::text_array(std::vector<std::string>(candidates.begin(), candidates.end()))});
  for (std::uint64_t i = 0; i < spi_.rows(); i++) orders.push_back(spi_.text(i, 0));
  return orders;
}

}  // namespace pg_reconcile

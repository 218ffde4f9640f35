#include "extension/statement/ingestion.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/statement/declarative_reader.h"
#include "extension/pg/entry_sink.h"
#include "extension/pg/progress.h"
#include "extension/pg/spi.h"
#include "extension/pg/subtransaction.h"
#include "extension/statement/container.h"
#include "extension/statement/file_store.h"
#include "extension/statement/row_intake.h"
#include "extension/statement/warning.h"
#include "extension/values/hex.h"

namespace pg_reconcile::pg {
namespace {

// What is thrown when rows were about to be written, and the file is, or may be, a re-issue.
struct MayBeReissue {};

constexpr const char* rows_taken_in = "rows taken in";
constexpr const char* errors_hint = "SELECT * FROM reconcile.statement_error says why, row by row.";

bool any_series(const std::vector<ReissueGroup>& groups) {
  return std::any_of(groups.begin(), groups.end(),
                     [](const ReissueGroup& group) { return !group.series.empty(); });
}

}  // namespace

Ingestion::Ingestion(FileSource source, const std::string& path, std::string file_name,
                     std::optional<core::Date> day)
    : source_(std::move(source)),
      day_(day),
      channel_(load_channel(source_.channel)),
      format_(load_format(source_.format, zones_)),
      file_(path) {
  arrived_.name = std::move(file_name);
  arrived_.bytes = file_.bytes();
  arrived_.format = format_.name;
  arrived_.format_version = format_.version;
}

std::optional<std::int64_t> Ingestion::already_there() {
  const auto found = find_statement(source_, arrived_);
  if (!found) return std::nullopt;
  if (found->state == "superseded") {
    warn("statement " + std::to_string(found->statement_id) +
         " has these bytes already, and another has taken its place");
  }
  if (found->state != "rejected") return found->statement_id;
  statement_ids_ = {found->statement_id};
  return std::nullopt;
}

void Ingestion::begin() {
  if (!statement_ids_.empty()) {
    begin_again(statement_ids_.front(), arrived_);
  } else {
    begin_next();
  }
}

std::int64_t Ingestion::begin_next() {
  statement_ids_.push_back(begin_statement(source_, arrived_, statement_ids_.size() + 1));
  return statement_ids_.back();
}

void Ingestion::read(core::RowSink& sink) {
  core::MappingDefaults defaults;
  defaults.channel = source_.channel;
  defaults.account = source_.account;
  defaults.book = source_.book;
  defaults.currency = channel_.currency;
  defaults.time_zone = channel_.time_zone;
  core::DeclarativeReader reader(format_.document, defaults, zones_);
  BackendInterrupts interrupts;
  try {
    const auto bytes = unwrap(file_, format_.document);
    summaries_ = reader.read(*bytes, arrived_.name, sink, interrupts);
  } catch (const UnusableFile& unusable) {
    throw Rejected{unusable.what()};
  }
  if (summaries_.front().rejected) throw Rejected{*summaries_.front().rejected};
  file_.require_unchanged();
}

// What can be said of the statements once all their rows are known.
void Ingestion::check() {
  for (std::size_t i = 0; i < summaries_.size(); i++) {
    core::StatementSummary& summary = summaries_[i];
    const std::string account = meta_text(i, "account");
    if (!source_.account.empty() && !account.empty() && account != source_.account) {
      throw Rejected{"it is of account \"" + account + "\", and source \"" + source_.name +
                     "\" is of account \"" + source_.account + "\""};
    }
    if (rows_[i].refused > 0) {
      summary.verdict = core::ControlVerdict::mismatch;
      summary.controls.push_back(
          {rows_taken_in, std::to_string(summary.entries), std::to_string(rows_[i].stored), false});
    }
    place_in_time(i);
  }
}

// The statement's day: what it says, else what the caller says, else the one day of all its rows.
void Ingestion::place_in_time(std::size_t statement) {
  core::StatementSummary& summary = summaries_[statement];
  const StatementRows& rows = rows_[statement];
  if (summary.business_date) return;
  if (day_) {
    summary.business_date = day_;
    return;
  }
  if (!rows.first && !rows.first_day) {
    if (summary.entries == 0) throw Rejected{"it has no rows, and nothing says which day it is of"};
    return;
  }
  if (!rows.first) {
    if (rows.first_day == rows.last_day) summary.business_date = rows.first_day;
    return;
  }
  Spi spi;
  spi.run(
      "SELECT d.first_day, d.last_day FROM (SELECT "
      "((timestamptz '2000-01-01 00:00:00+00' + $2 * interval '1 microsecond') AT TIME ZONE c.time_zone - "
      "c.day_start)::date, "
      "((timestamptz '2000-01-01 00:00:00+00' + $3 * interval '1 microsecond') AT TIME ZONE c.time_zone - "
      "c.day_start)::date "
      "FROM reconcile.channel c WHERE c.channel = $1) AS d (first_day, last_day)",
      {Argument::text(source_.channel), Argument::int8(*rows.first), Argument::int8(*rows.last)});
  const auto first = static_cast<core::Date>(spi.int8(0, 0));
  const auto last = static_cast<core::Date>(spi.int8(0, 1));
  if (std::min(first, rows.first_day.value_or(first)) == std::max(last, rows.last_day.value_or(last)))
    summary.business_date = first;
}

std::string Ingestion::meta_text(std::size_t statement, const char* name) const {
  const auto& meta = summaries_[statement].meta;
  const auto found = meta.find(name);
  return found == meta.end() ? std::string() : found->second;
}

Coverage Ingestion::coverage_of(std::size_t statement) const {
  const core::StatementSummary& summary = summaries_[statement];
  return {summary.account.value_or(source_.account),
          source_.book,
          summary.business_date,
          meta_text(statement, "period_start"),
          meta_text(statement, "period_end"),
          meta_text(statement, "part")};
}

// Statements of the file that cover the same, with what they may correct.
std::vector<ReissueGroup> Ingestion::groups() const {
  std::vector<Coverage> coverages;
  std::vector<ReissueGroup> groups;
  for (std::size_t i = 0; i < summaries_.size(); i++) {
    const Coverage coverage = coverage_of(i);
    const auto found = std::find(coverages.begin(), coverages.end(), coverage);
    if (found == coverages.end()) {
      groups.push_back({{i}, find_series(source_, coverage, statement_ids_.front())});
      coverages.push_back(coverage);
    } else {
      groups[static_cast<std::size_t>(found - coverages.begin())].statements.push_back(i);
    }
  }
  return groups;
}

// One reading: every row is a new entry. With `may_be_reissue`, throws MayBeReissue instead of writing rows
// that may be there already.
void Ingestion::take_in(bool may_be_reissue) {
  bool all_read = false;
  rows_.clear();
  KeptFile kept(source_.source_id, arrived_.sha256);
  kept.keep_original(file_, arrived_.name);
  RowIntake sink(
      source_, statement_ids_.front(), rows_, kept, [this] { return begin_next(); },
      [&](const StatementRows& rows) {
        if (may_be_reissue && !all_read && pg::may_be_reissue(source_, rows, day_)) throw MayBeReissue{};
      });
  Progress::phase(Phase::reading, std::nullopt, file_.bytes());
  read(sink);
  all_read = true;
  if (may_be_reissue) {
    // A short file: nothing is written yet, and what it covers is known.
    std::vector<core::StatementSummary> said = summaries_;
    check();
    if (any_series(groups())) throw MayBeReissue{};
    summaries_ = std::move(said);
  }
  sink.flush();
  check();
  Progress::phase(Phase::writing);
  finish_alone();
  kept.keep_normalised(format_.name, format_.version);
}

// Two readings: the differences enter. False when there is nothing that the file may correct.
bool Ingestion::take_changes_in() {
  const bool replaces = format_.document.reissue == core::FormatDocument::Reissue::replace;
  ReissuePlan plan(source_.source_id, replaces);
  rows_.clear();
  RowSurvey survey(source_, rows_, plan.content(), [&](const RowSurvey::Row& row) { plan.add(row); });
  Progress::phase(Phase::reading, std::nullopt, file_.bytes());
  read(survey);
  survey.flush();
  check();
  std::vector<ReissueGroup> found = groups();
  if (!any_series(found)) return false;

  Progress::phase(Phase::replacing);
  plan.compare(found, summaries_.size());
  if (replaces) decide(found);
  const std::vector<std::int64_t> removed = take_back(plan, found);

  Progress::phase(Phase::writing, std::nullopt, file_.bytes());
  const std::vector<core::StatementSummary> checked = summaries_;
  KeptFile kept(source_.source_id, arrived_.sha256);
  kept.keep_original(file_, arrived_.name);
  ChangeIntake changes(
      source_, statement_ids_.front(), kept, [this] { return begin_next(); }, plan);
  read(changes);
  changes.flush();
  summaries_ = checked;
  if (!replaces) count_what_is_new(changes.statements());
  for (std::size_t group = 0; group < found.size(); group++) finish(found[group], plan, removed[group]);
  kept.keep_normalised(format_.name, format_.version);
  return true;
}

void Ingestion::decide(std::vector<ReissueGroup>& groups) {
  for (ReissueGroup& group : groups) decide_group(group);
}

// What shares a row with the file is replaced by it. What shares none is another file of the day, unless it
// is empty.
void Ingestion::decide_group(ReissueGroup& group) {
  if (group.series.empty()) return;
  bool any_known = false;
  bool any_rows = false;
  for (const StatementSeries& series : group.series) {
    any_known = any_known || series.known > 0;
    any_rows = any_rows || series.rows > 0;
  }
  const bool related = any_known || !any_rows;
  for (StatementSeries& series : group.series) {
    series.replaced = related && (series.known > 0 || series.rows == 0);
    for (const StatementSeries::Live& live : series.live) {
      for (const std::size_t statement : group.statements) {
        if ((series.replaced || !related) && live.accepted &&
            summaries_[statement].verdict == core::ControlVerdict::mismatch) {
          throw Rejected{"its control totals do not agree, and it would replace statement " +
                         std::to_string(live.statement_id) + ", which was accepted"};
        }
      }
    }
  }
}

std::vector<std::int64_t> Ingestion::take_back(ReissuePlan& plan, const std::vector<ReissueGroup>& groups) {
  std::vector<std::int64_t> removed(groups.size());
  EntrySink sink(source_.source_id, std::nullopt);
  std::uint64_t done = 0;
  plan.for_each_vanished(groups, [&](std::size_t group, std::string_view key) {
    sink.remove(key);
    removed[group]++;
    if (++done % Progress::report_rows == 0) Progress::rows_done(done);
  });
  sink.flush();
  return removed;
}

// Statements that append add up to what they added: the rest is counted by the statements that brought it.
void Ingestion::count_what_is_new(const std::vector<StatementRows>& added) {
  for (std::size_t i = 0; i < rows_.size(); i++) {
    rows_[i].totals = added[i].totals;
    rows_[i].stored = added[i].stored;
  }
}

// Nothing says that it corrects what is there, and nothing that it doesn't: both stand, and the day waits.
std::string Ingestion::wait_for_a_decision(std::size_t statement, const ReissueGroup& group) {
  std::vector<std::string> others;
  for (const StatementSeries& series : group.series) {
    for (const StatementSeries::Live& live : series.live) others.push_back(std::to_string(live.statement_id));
  }
  std::string names = others.front();
  for (std::size_t i = 1; i < others.size(); i++) names += ", " + others[i];
  core::StatementSummary& summary = summaries_[statement];
  summary.verdict = core::ControlVerdict::mismatch;
  summary.controls.push_back({"rows that statement " + names + " has, too", "some", "0", false});
  return "it holds none of the rows of statement " + names +
         ", which it would replace: accept_statement() takes it as another file of the day, "
         "withdraw_statement() takes one of them back";
}

void Ingestion::finish(const ReissueGroup& group, const ReissuePlan& plan, std::int64_t removed) {
  const bool appends = format_.document.reissue == core::FormatDocument::Reissue::append;
  std::vector<std::int64_t> replaced;
  std::vector<std::int64_t> joined;
  std::optional<std::int64_t> series_id;
  for (const StatementSeries& series : group.series) {
    if (!series.replaced && !appends) continue;
    joined.insert(joined.end(), series.statements.begin(), series.statements.end());
    series_id = std::min(series_id.value_or(series.series_id), series.series_id);
    for (const StatementSeries::Live& live : series.live) {
      if (series.replaced) replaced.push_back(live.statement_id);
    }
  }
  std::optional<std::int64_t> supersedes;
  if (!replaced.empty()) supersedes = *std::max_element(replaced.begin(), replaced.end());
  for (const std::size_t i : group.statements) {
    FinishedStatement statement;
    statement.statement_id = statement_ids_[i];
    statement.coverage = coverage_of(i);
    if (!group.series.empty() && !series_id) statement.reason = wait_for_a_decision(i, group);
    statement.summary = &summaries_[i];
    statement.rows = &rows_[i];
    statement.series_id = series_id;
    statement.supersedes = supersedes;
    if (series_id) statement.changes = plan.changes(i);
    if (i == group.statements.front()) statement.removed = removed;
    finish_statement(statement);
  }
  if (series_id) join_series(joined, *series_id);
  if (supersedes) supersede_statements(replaced, statement_ids_[group.statements.front()]);
}

void Ingestion::finish_alone() {
  for (std::size_t i = 0; i < summaries_.size(); i++) {
    FinishedStatement statement;
    statement.statement_id = statement_ids_[i];
    statement.coverage = coverage_of(i);
    statement.summary = &summaries_[i];
    statement.rows = &rows_[i];
    finish_statement(statement);
  }
}

void Ingestion::tell_what_is_wrong(std::size_t i) const {
  const core::StatementSummary& summary = summaries_[i];
  const std::string statement =
      "statement " + std::to_string(statement_ids_[i]) + " (" + arrived_.name + ") ";
  const std::size_t lost = rows_[i].set_aside.size();
  if (summary.verdict != core::ControlVerdict::mismatch) {
    if (lost > 0)
      warn(statement + "is accepted without " + std::to_string(lost) + " of its rows", {}, errors_hint);
    return;
  }
  const bool totals_disagree =
      std::any_of(summary.controls.begin(), summary.controls.end(),
                  [](const core::ControlLine& line) { return !line.agrees && line.name != rows_taken_in; });
  if (totals_disagree || lost == 0) {
    warn(statement + "does not add up to its own totals", "No run takes it without force.", errors_hint);
  } else {
    warn(statement + "lacks " + std::to_string(lost) + " of its rows: they are set aside",
         "No run takes it without force.", errors_hint);
  }
}

void Ingestion::take_in_or_compare() {
  try {
    in_subtransaction([&] {
      refuse_other_books_file(source_, arrived_);
      take_in(true);
    });
    return;
  } catch (const MayBeReissue&) {
    statement_ids_.resize(1);
  }
  in_subtransaction([&] {
    if (take_changes_in()) return;
    take_in(false);
  });
}

void Ingestion::reject(const std::string& reason) {
  statement_ids_.resize(1);
  std::vector<SetAside> set_aside;
  for (const StatementRows& rows : rows_) {
    set_aside.insert(set_aside.end(), rows.set_aside.begin(), rows.set_aside.end());
  }
  reject_statement(statement_ids_.front(), reason,
                   summaries_.empty() ? core::StatementSummary() : summaries_.front(), set_aside, day_);
  warn("statement " + std::to_string(statement_ids_.front()) + " (" + arrived_.name + ") is rejected", reason,
       errors_hint);
}

std::int64_t Ingestion::run() {
  const Progress progress(Command::ingest, {source_.channel, source_.account, {}, day_});
  Progress::phase(Phase::hashing, std::nullopt, file_.bytes());
  arrived_.sha256 = hex(sha256(file_));
  Progress::phase(Phase::waiting_for_lock);
  if (const auto found = already_there()) return *found;
  begin();
  KeptFile(source_.source_id, arrived_.sha256).keep_original(file_, arrived_.name);
  try {
    take_in_or_compare();
  } catch (const Rejected& rejected) {
    reject(rejected.reason);
    return statement_ids_.front();
  }
  for (std::size_t i = 0; i < statement_ids_.size(); i++) {
    store_set_aside(statement_ids_[i], rows_[i].set_aside);
    tell_what_is_wrong(i);
  }
  return statement_ids_.front();
}

}  // namespace pg_reconcile::pg

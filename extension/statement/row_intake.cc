#include "extension/statement/row_intake.h"

#include <map>
#include <utility>

#include "extension/pg/progress.h"

namespace pg_reconcile::pg {

void require_account_of(const FileSource& source, const core::Entry& entry) {
  if (source.account.empty() || entry.account == source.account) return;
  throw Rejected{"it is of account \"" + entry.account + "\", and source \"" + source.name +
                 "\" is of account \"" + source.account + "\""};
}

RowIntake::RowIntake(const FileSource& source, std::int64_t statement_id,
                     std::vector<StatementRows>& statements, KeptFile& kept, BeginStatement begin_statement,
                     BeforeWriting before_writing)
    : source_(source),
      kept_(kept),
      begin_statement_(std::move(begin_statement)),
      before_writing_(std::move(before_writing)),
      statements_(statements) {
  begin(statement_id);
}

void RowIntake::begin(std::int64_t statement_id) {
  key_prefix_ = std::to_string(statement_id) + "/";
  entries_.emplace(source_.source_id, statement_id);
  statements_.emplace_back();
}

void RowIntake::next_statement() {
  flush();
  begin(begin_statement_());
}

void RowIntake::row(const core::RowPlace& place, std::string_view raw, core::Entry& entry) {
  require_account_of(source_, entry);
  statements_.back().see(entry);
  pending_.push_back({place, std::string(raw.substr(0, raw_bytes_max)), entry.currency, entry.kind,
                      entry.amount, entry.fee.value_or(core::Decimal())});
  kept_.row(place.row_no, entry);
  entries_->insert(key_prefix_ + std::to_string(place.row_no), entry, static_cast<std::size_t>(place.row_no));
  if (++seen_ % Progress::report_rows == 0) Progress::rows_done(seen_);
  if (pending_.size() >= flush_rows) flush();
}

void RowIntake::bad_row(const core::BadRow& bad) {
  statements_.back().set_aside.push_back(SetAside::of(bad));
}

void RowIntake::flush() {
  StatementRows& rows = statements_.back();
  if (before_writing_) std::exchange(before_writing_, nullptr)(rows);
  entries_->flush();
  std::map<std::int64_t, std::string> refused;
  for (EntrySink::Refused& row : entries_->take_refused()) {
    refused.emplace(static_cast<std::int64_t>(row.row), std::move(row.reason));
  }
  for (const Pending& row : pending_) {
    const auto reason = refused.find(row.place.row_no);
    if (reason != refused.end()) {
      rows.refuse(row.place, row.raw, reason->second);
    } else {
      rows.count(row.currency, row.kind, row.amount, row.fee);
    }
  }
  pending_.clear();
}

ChangeIntake::ChangeIntake(const FileSource& source, std::int64_t statement_id, KeptFile& kept,
                           BeginStatement begin_statement, ReissuePlan& plan)
    : source_(source), kept_(kept), begin_statement_(std::move(begin_statement)), plan_(plan) {
  begin(statement_id);
}

void ChangeIntake::begin(std::int64_t statement_id) {
  key_prefix_ = std::to_string(statement_id) + "/";
  entries_.emplace(source_.source_id, statement_id);
  statements_.emplace_back();
}

void ChangeIntake::next_statement() {
  flush();
  begin(begin_statement_());
}

void ChangeIntake::row(const core::RowPlace& place, std::string_view, core::Entry& entry) {
  if (++seen_ % Progress::report_rows == 0) Progress::rows_done(seen_);
  kept_.row(place.row_no, entry);
  const auto change = plan_.change_of(place.row_no);
  if (!change) return;
  statements_.back().count(entry.currency, entry.kind, entry.amount, entry.fee.value_or(core::Decimal()));
  if (change->stored_key.empty()) {
    entries_->insert(key_prefix_ + std::to_string(place.row_no), entry);
  } else {
    entries_->update(change->stored_key, entry);
  }
}

void ChangeIntake::flush() {
  entries_->flush();
  const auto refused = entries_->take_refused();
  if (refused.empty()) return;
  throw core::Error(
      core::sqlstate::object_not_in_prerequisite_state,
      "channels or accounts changed while the file was read",
      "A row that could be taken in a moment ago is refused now: " + refused.front().reason + ".",
      "Ingest the file again.");
}

}  // namespace pg_reconcile::pg

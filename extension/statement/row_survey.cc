#include "extension/statement/row_survey.h"

#include <set>
#include <utility>

#include "extension/pg/entry_places.h"
#include "extension/pg/progress.h"
#include "extension/statement/row_intake.h"

namespace pg_reconcile::pg {

RowSurvey::RowSurvey(const FileSource& source, std::vector<StatementRows>& statements,
                     core::EntryContent& content, Take take)
    : source_(source), statements_(statements), content_(content), take_(std::move(take)) {
  statements_.emplace_back();
}

void RowSurvey::row(const core::RowPlace& place, std::string_view raw, core::Entry& entry) {
  require_account_of(source_, entry);
  statements_.back().see(entry);
  pending_.push_back({place, std::string(raw.substr(0, raw_bytes_max)), entry});
  pending_bytes_ += raw.size();
  if (++seen_ % Progress::report_rows == 0) Progress::rows_done(seen_);
  if (pending_.size() >= batch_rows_max || pending_bytes_ >= batch_bytes_max) flush();
}

void RowSurvey::bad_row(const core::BadRow& bad) {
  statements_.back().set_aside.push_back(SetAside::of(bad));
}

void RowSurvey::next_statement() {
  flush();
  statements_.emplace_back();
}

// What the tables would refuse is set aside here: a row that is not stored differs from none.
void RowSurvey::flush() {
  if (pending_.empty()) return;
  std::set<AccountName> accounts;
  for (const Pending& row : pending_) accounts.emplace(row.entry.channel, row.entry.account);
  EntryPlaces places(accounts);
  std::string refused;
  const std::size_t statement = statements_.size() - 1;
  for (Pending& row : pending_) {
    const auto place = places.place({row.entry.channel, row.entry.account, row.entry.book, row.entry.status,
                                     row.entry.occurred_at, row.entry.business_date},
                                    refused);
    if (!place) {
      statements_[statement].refuse(row.place, row.raw, refused);
      continue;
    }
    row.entry.business_date = place->day;
    statements_[statement].count(row.entry.currency, row.entry.kind, row.entry.amount,
                                 row.entry.fee.value_or(core::Decimal()));
    take_({content_.content(row.entry), content_.identity(row.entry), row.place.row_no, statement});
  }
  pending_.clear();
  pending_bytes_ = 0;
}

}  // namespace pg_reconcile::pg

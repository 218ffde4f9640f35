#include "extension/statement/row_survey.h"

#include <utility>

#include "extension/pg/progress.h"
#include "extension/pg/spi.h"
#include "extension/statement/row_intake.h"

namespace pg_reconcile::pg {
namespace {

std::optional<std::string> stated(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace

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
  std::vector<std::optional<std::string>> channel;
  std::vector<std::optional<std::string>> account;
  std::vector<std::optional<std::string>> book;
  std::vector<std::optional<std::string>> status;
  std::vector<std::optional<std::int64_t>> occurred_at;
  std::vector<std::optional<std::int32_t>> business_date;
  for (const Pending& row : pending_) {
    channel.push_back(stated(row.entry.channel));
    account.push_back(stated(row.entry.account));
    book.push_back(stated(row.entry.book));
    status.push_back(stated(row.entry.status));
    occurred_at.push_back(row.entry.occurred_at);
    business_date.push_back(row.entry.business_date);
  }
  Spi spi;
  spi.run(
      "SELECT p.day, p.refused FROM reconcile.place_entries($1, $2, $3, $4, $5, $6) p ORDER BY "
      "p.batch_position",
      {Argument::text_array(channel), Argument::text_array(account), Argument::text_array(book),
       Argument::timestamptz_array(occurred_at), Argument::date_array(business_date),
       Argument::text_array(status)});
  const std::size_t statement = statements_.size() - 1;
  for (std::size_t i = 0; i < pending_.size(); i++) {
    Pending& row = pending_[i];
    if (const auto refused = spi.text_or_null(i, 1)) {
      statements_[statement].refuse(row.place, row.raw, *refused);
      continue;
    }
    row.entry.business_date = static_cast<core::Date>(spi.int8(i, 0));
    statements_[statement].count(row.entry.currency, row.entry.kind, row.entry.amount,
                                 row.entry.fee.value_or(core::Decimal()));
    take_({content_.content(row.entry), content_.identity(row.entry), row.place.row_no, statement});
  }
  pending_.clear();
  pending_bytes_ = 0;
}

}  // namespace pg_reconcile::pg

// Rows of a file become entries, through the sink's door: all of them, or those that a re-issue changes.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/entry_content.h"
#include "extension/pg/entry_sink.h"
#include "extension/statement/file_source.h"
#include "extension/statement/file_store.h"
#include "extension/statement/reissue.h"
#include "extension/statement/statement_rows.h"

namespace pg_reconcile::pg {

// Throws Rejected when a row is of another account than the source.
void require_account_of(const FileSource& source, const core::Entry& entry);

// Makes the next statement of the file; returns its number.
using BeginStatement = std::function<std::int64_t()>;

// Entries' source keys are <statement_id>/<row>.
class RowIntake final : public core::RowSink {
 public:
  // Called with the rows seen so far before the first entry is written; may throw.
  using BeforeWriting = std::function<void(const StatementRows&)>;

  // `statements`: what the rows come to, one element a statement of the file.
  RowIntake(const FileSource& source, std::int64_t statement_id, std::vector<StatementRows>& statements,
            KeptFile& kept, BeginStatement begin_statement, BeforeWriting before_writing);

  void row(const core::RowPlace& place, std::string_view raw, core::Entry& entry) override;
  void bad_row(const core::BadRow& bad) override;
  void next_statement() override;
  void flush();

 private:
  static constexpr std::size_t flush_rows = 10000;

  struct Pending {
    core::RowPlace place;
    std::string raw;
    std::string currency;
    std::string kind;
    core::Decimal amount;
    core::Decimal fee;
  };

  const FileSource& source_;
  KeptFile& kept_;
  BeginStatement begin_statement_;
  BeforeWriting before_writing_;
  std::string key_prefix_;
  std::optional<EntrySink> entries_;
  std::deque<Pending> pending_;
  std::vector<StatementRows>& statements_;
  std::uint64_t seen_ = 0;

  void begin(std::int64_t statement_id);
};

// The second reading of a re-issue: what differs is written, and what does not is left alone.
class ChangeIntake final : public core::RowSink {
 public:
  ChangeIntake(const FileSource& source, std::int64_t statement_id, KeptFile& kept,
               BeginStatement begin_statement, ReissuePlan& plan);

  void row(const core::RowPlace& place, std::string_view raw, core::Entry& entry) override;
  void bad_row(const core::BadRow&) override {}  // told by the first reading
  void next_statement() override;
  void flush();

  // What was written, one element a statement of the file.
  [[nodiscard]] const std::vector<StatementRows>& statements() const { return statements_; }

 private:
  const FileSource& source_;
  KeptFile& kept_;
  BeginStatement begin_statement_;
  ReissuePlan& plan_;
  std::string key_prefix_;
  std::optional<EntrySink> entries_;
  std::vector<StatementRows> statements_;
  std::uint64_t seen_ = 0;

  void begin(std::int64_t statement_id);
};

}  // namespace pg_reconcile::pg

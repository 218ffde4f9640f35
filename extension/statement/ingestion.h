// One ingestion, from the open file to its statements' final state, in the caller's transaction.
//
// The same bytes are one file for ever (SHA-256 per source). Entries are written inside a subtransaction: a
// file that turns out to be unusable takes all of them back and leaves a rejected statement that says why. A
// statement whose own totals do not agree keeps its good rows and is marked control_mismatch: no run takes it
// without force.
//
// A file is read once, and its rows are written as they come. When it covers what a statement that stands
// covers, that is taken back and the file is read twice: compared with what is stored (reissue.h), and
// then written where it differs. What a file covers may be said at its end: before the first rows are
// written, their days tell whether it may be a re-issue, and a wrong guess costs time alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/statement/entry_content.h"
#include "core/statement/format_document.h"
#include "extension/pg/time_zones.h"
#include "extension/statement/allowed_path.h"
#include "extension/statement/format_store.h"
#include "extension/statement/statement_store.h"

namespace pg_reconcile::pg {

class Ingestion {
 public:
  // `day`: what the caller says; it counts where the file says none.
  Ingestion(FileSource source, const std::string& path, std::string file_name, std::optional<core::Date> day);

  // Returns the file's first statement.
  std::int64_t run();

 private:
  FileSource source_;
  std::optional<core::Date> day_;
  TimeZones zones_;
  StoredChannel channel_;
  StoredFormat format_;
  OpenFile file_;
  ArrivedFile arrived_;
  std::vector<std::int64_t> statement_ids_;
  std::vector<core::StatementSummary> summaries_;
  std::vector<StatementRows> rows_;

  std::optional<std::int64_t> already_there();
  void begin();
  std::int64_t begin_next();
  void read(core::RowSink& sink);
  void check();
  void place_in_time(std::size_t statement);
  [[nodiscard]] Coverage coverage_of(std::size_t statement) const;
  [[nodiscard]] std::vector<ReissueGroup> groups() const;
  [[nodiscard]] std::string meta_text(std::size_t statement, const char* name) const;

  void take_in_or_compare();
  void take_in(bool may_be_reissue);
  bool take_changes_in();
  void decide(std::vector<ReissueGroup>& groups);
  void decide_group(ReissueGroup& group);
  std::vector<std::int64_t> take_back(ReissuePlan& plan, const std::vector<ReissueGroup>& groups);
  void count_what_is_new(const std::vector<StatementRows>& added);
  std::string wait_for_a_decision(std::size_t statement, const ReissueGroup& group);
  void finish(const ReissueGroup& group, const ReissuePlan& plan, std::int64_t removed);
  void finish_alone();
  void reject(const std::string& reason);
  void tell_what_is_wrong(std::size_t statement) const;
};

}  // namespace pg_reconcile::pg

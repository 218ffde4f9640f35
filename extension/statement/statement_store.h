// Statements as the tables hold them: found, begun, finished, rejected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/statement/statement.h"
#include "extension/statement/file_source.h"
#include "extension/statement/reissue.h"
#include "extension/statement/statement_rows.h"

namespace pg_reconcile::pg {

struct ArrivedFile {
  std::string name;
  std::string sha256;  // hexadecimal
  std::int64_t bytes = 0;
  std::string format;
  std::int32_t format_version = 0;
};

struct FoundStatement {
  std::int64_t statement_id;
  std::string state;
};

// The first statement of the same bytes. Whoever comes with the same file meanwhile waits, and then finds it.
std::optional<FoundStatement> find_statement(const FileSource& source, const ArrivedFile& file);

// Throws Rejected when the other book has the same bytes: a file that was taken for it would agree with
// itself, and the day would be proved.
void refuse_other_books_file(const FileSource& source, const ArrivedFile& file);

// A new statement in state loading. `file_part`: which one of the file it is, from 1.
std::int64_t begin_statement(const FileSource& source, const ArrivedFile& file, std::size_t file_part);
// What was rejected may be tried again: the format may have been mended since.
void begin_again(std::int64_t statement_id, const ArrivedFile& file);

// What a statement covers: statements of a source that cover the same may correct one another.
struct Coverage {
  std::string account;  // "": several
  std::string book;
  std::optional<core::Date> business_date;
  std::string period_start;  // yyyy-MM-dd, or ""
  std::string period_end;
  std::string part;

  friend bool operator==(const Coverage&, const Coverage&) = default;
};

// The series of statements that stand and cover the same, but for `except`.
std::vector<StatementSeries> find_series(const FileSource& source, const Coverage& coverage,
                                         std::int64_t except);
// Whether a statement that stands may be of the days of these rows, give or take what nobody knows yet.
bool may_be_reissue(const FileSource& source, const StatementRows& rows, std::optional<core::Date> day);

struct FinishedStatement {
  std::int64_t statement_id = 0;
  Coverage coverage;
  const core::StatementSummary* summary = nullptr;
  const StatementRows* rows = nullptr;
  std::string reason;  // why it waits, beside its totals
  std::optional<std::int64_t> series_id;
  std::optional<std::int64_t> supersedes;
  std::optional<StatementChanges> changes;
  std::int64_t removed = 0;
};

void finish_statement(const FinishedStatement& statement);
// These statements have been replaced, and are of the series now.
void supersede_statements(const std::vector<std::int64_t>& statements, std::int64_t by);
void join_series(const std::vector<std::int64_t>& statements, std::int64_t series_id);

void reject_statement(std::int64_t statement_id, const std::string& reason,
                      const core::StatementSummary& summary, const std::vector<SetAside>& rows,
                      std::optional<core::Date> day);
void store_set_aside(std::int64_t statement_id, const std::vector<SetAside>& rows);

}  // namespace pg_reconcile::pg

// The first reading of a file that may be a re-issue: nothing is written, every row is known by its hashes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/entry_content.h"
#include "extension/statement/file_source.h"
#include "extension/statement/statement_rows.h"

namespace pg_reconcile::pg {

class RowSurvey final : public core::RowSink {
 public:
  // What is known of one row of the file.
  struct Row {
    core::Hash128 content;
    std::optional<core::Hash128> identity;
    std::int64_t row_no = 0;
    std::size_t statement = 0;  // of the file, from 0
  };
  // Called for every row that can be taken in, in the file's order.
  using Take = std::function<void(const Row&)>;

  // `statements`: what the rows come to, one element a statement of the file.
  RowSurvey(const FileSource& source, std::vector<StatementRows>& statements, core::EntryContent& content,
            Take take);

  void row(const core::RowPlace& place, std::string_view raw, core::Entry& entry) override;
  void bad_row(const core::BadRow& bad) override;
  void next_statement() override;
  void flush();

 private:
  static constexpr std::size_t batch_rows_max = 10000;
  static constexpr std::size_t batch_bytes_max = 33554432;  // rows may be long: 1 MB each

  struct Pending {
    core::RowPlace place;
    std::string raw;
    core::Entry entry;
  };

  const FileSource& source_;
  std::vector<StatementRows>& statements_;
  core::EntryContent& content_;
  Take take_;
  std::vector<Pending> pending_;
  std::size_t pending_bytes_ = 0;
  std::uint64_t seen_ = 0;
};

}  // namespace pg_reconcile::pg

// A re-issued file against what is stored of the statements that it may correct: as a multiset.
//
// Rows of equal content are the same row, twins counted, wherever they stand in the file. What is stored and
// comes again keeps its entry; what does not come again is taken back; what is not stored comes. A vanished
// row and a new one that bear the same name, and no others do, are one row that has changed: it keeps its
// source key, and with it its place in discrepancies and decisions.
//
// Both sides are sorted, on disk beyond a bounded memory: a row takes its hashes and its key or number.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/entry_content.h"
#include "extension/pg/sorted_texts.h"
#include "extension/statement/row_survey.h"

namespace pg_reconcile::pg {

// What one row of the file changes.
struct RowChange {
  std::string stored_key;  // the entry that it changes; empty: it is a new one
};

// Statements that correct or continue one another: what is stored of any of them belongs to the newest.
struct StatementSeries {
  struct Live {
    std::int64_t statement_id;
    bool accepted;
  };
  std::int64_t series_id = 0;            // its first statement
  std::vector<std::int64_t> statements;  // all of them, also superseded ones
  std::vector<Live> live;                // those that stand
  // What the comparison tells:
  std::int64_t rows = 0;   // stored, before
  std::int64_t known = 0;  // of them, that the file has, changed or not
  // What follows from it:
  bool replaced = false;
};

// Statements of a file that cover the same of the same account, and what they may correct.
struct ReissueGroup {
  std::vector<std::size_t> statements;  // of the file, from 0
  std::vector<StatementSeries> series;
};

struct StatementChanges {
  std::int64_t kept = 0;
  std::int64_t changed = 0;
  std::int64_t added = 0;
};

class ReissuePlan {
 public:
  // `changes_rows`: a row of another content may be a new version of a stored one.
  ReissuePlan(std::int32_t source_id, bool changes_rows);

  [[nodiscard]] core::EntryContent& content() { return content_; }
  // What the first reading tells of a row.
  void add(const RowSurvey::Row& row);

  // Once, after it. Every statement of the file is in one group.
  void compare(std::vector<ReissueGroup>& groups, std::size_t statements);
  [[nodiscard]] const StatementChanges& changes(std::size_t statement) const { return changes_[statement]; }

  // Calls `remove` with the key of every vanished row of a series that is replaced.
  void for_each_vanished(const std::vector<ReissueGroup>& groups,
                         const std::function<void(std::size_t group, std::string_view source_key)>& remove);

  // In the second reading, in the file's order: what the row changes; nullopt: nothing.
  std::optional<RowChange> change_of(std::int64_t row_no);

 private:
  class Stream;
  struct Fresh;
  struct Stored;

  std::int32_t source_id_;
  bool changes_rows_;
  core::EntryContent content_;
  std::unique_ptr<SortedTexts> survey_;
  SortedTexts unpaired_fresh_;
  SortedTexts unpaired_stored_;
  SortedTexts vanished_;
  SortedTexts row_changes_;
  bool ended_ = false;
  std::int64_t next_row_ = 0;  // rows count from 1
  std::string next_key_;
  std::vector<StatementChanges> changes_;

  void group_survey(const std::vector<ReissueGroup>& groups, std::size_t statements);
  void read_stored(std::vector<ReissueGroup>& groups, SortedTexts& stored);
  void pair_by_content(std::vector<ReissueGroup>& groups, SortedTexts& stored);
  void pair_by_identity(std::vector<ReissueGroup>& groups);
  bool next_change();
  void note_change(const Fresh& row, std::string_view stored_key);
  void note_added(const Fresh& row, std::string_view stored_key);
  void note_vanished(const Stored& row);
};

}  // namespace pg_reconcile::pg

#include "extension/statement/reissue.h"

#include <algorithm>
#include <map>
#include <memory>

#include "extension/pg/random_secret.h"
#include "extension/statement/stored_rows.h"

namespace pg_reconcile::pg {
namespace {

constexpr int sort_memory_kb = 16384;  // each
constexpr std::size_t group_bytes = 4;
constexpr std::size_t hash_bytes = 16;
constexpr std::size_t name_bytes = 1 + hash_bytes;

// Numbers are written so that they sort as bytes do.
void put(std::string& bytes, std::uint64_t value, std::size_t size) {
  for (std::size_t i = size; i-- > 0;)
    bytes += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

std::uint64_t take(std::string_view& bytes, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; i++) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  bytes.remove_prefix(size);
  return value;
}

std::string_view take_bytes(std::string_view& bytes, std::size_t size) {
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

void put_hash(std::string& bytes, const core::Hash128& hash) {
  put(bytes, hash.high, sizeof(hash.high));
  put(bytes, hash.low, sizeof(hash.low));
}

// '\1' and the hash of its name, or '\0': nothing names it.
std::string name_text(const std::optional<core::Hash128>& identity) {
  std::string bytes(1, identity ? '\1' : '\0');
  put_hash(bytes, identity.value_or(core::Hash128()));
  return bytes;
}

}  // namespace

// A row of the file. Sorted by group and content (or by group and name), then by row.
struct ReissuePlan::Fresh {
  std::size_t group = 0;
  std::string middle;  // content and name, or name alone
  std::int64_t row_no = 0;
  std::size_t statement = 0;

  [[nodiscard]] std::string text() const {
    std::string bytes;
    put(bytes, group, group_bytes);
    bytes += middle;
    put(bytes, static_cast<std::uint64_t>(row_no), 8);
    put(bytes, statement, 4);
    return bytes;
  }
  static Fresh of(std::string_view bytes, std::size_t middle_bytes) {
    Fresh row;
    row.group = take(bytes, group_bytes);
    row.middle = take_bytes(bytes, middle_bytes);
    row.row_no = static_cast<std::int64_t>(take(bytes, 8));
    row.statement = take(bytes, 4);
    return row;
  }
};

// A stored row.
struct ReissuePlan::Stored {
  std::size_t group = 0;
  std::string middle;
  std::size_t series = 0;
  bool gone = false;
  std::string key;

  [[nodiscard]] std::string text() const {
    std::string bytes;
    put(bytes, group, group_bytes);
    bytes += middle;
    put(bytes, series, 4);
    put(bytes, gone ? 1 : 0, 1);
    return bytes + key;
  }
  static Stored of(std::string_view bytes, std::size_t middle_bytes) {
    Stored row;
    row.group = take(bytes, group_bytes);
    row.middle = take_bytes(bytes, middle_bytes);
    row.series = take(bytes, 4);
    row.gone = take(bytes, 1) != 0;
    row.key = bytes;
    return row;
  }
};

// A sorted side, the row at hand in sight. Rows meet by their first bytes.
class ReissuePlan::Stream {
 public:
  Stream(SortedTexts& texts, std::size_t meeting_bytes) : texts_(texts), meeting_bytes_(meeting_bytes) {
    texts_.sort();
    next();
  }
  void next() {
    const auto text = texts_.next();
    if (text) {
      current_.assign(*text);
    } else {
      ended_ = true;
    }
    if (++rows_ % poll_rows == 0) check_for_interrupts();
  }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] std::string_view text() const { return current_; }
  [[nodiscard]] std::string_view meeting() const { return text().substr(0, meeting_bytes_); }
  // Negative: this side's row comes first. A side that has ended comes last.
  [[nodiscard]] int compare(const Stream& other) const {
    if (ended_ || other.ended_) return static_cast<int>(ended_) - static_cast<int>(other.ended_);
    return meeting().compare(other.meeting());
  }

 private:
  static constexpr std::uint64_t poll_rows = 4096;

  SortedTexts& texts_;
  std::size_t meeting_bytes_;
  std::string current_;
  bool ended_ = false;
  std::uint64_t rows_ = 0;
};

ReissuePlan::ReissuePlan(std::int32_t source_id, bool changes_rows)
    : source_id_(source_id),
      changes_rows_(changes_rows),
      content_(random_secret()),
      survey_(std::make_unique<SortedTexts>(sort_memory_kb)),
      unpaired_fresh_(sort_memory_kb),
      unpaired_stored_(sort_memory_kb),
      vanished_(sort_memory_kb),
      row_changes_(sort_memory_kb) {}

// Until all of the file is read, a statement stands for its group.
void ReissuePlan::add(const RowSurvey::Row& row) {
  Fresh fresh;
  fresh.group = row.statement;
  put_hash(fresh.middle, row.content);
  fresh.middle += name_text(row.identity);
  fresh.row_no = row.row_no;
  fresh.statement = row.statement;
  survey_->add(fresh.text());
}

void ReissuePlan::group_survey(const std::vector<ReissueGroup>& groups, std::size_t statements) {
  std::vector<std::size_t> group_of(statements);
  bool all_alone = true;
  for (std::size_t group = 0; group < groups.size(); group++) {
    for (const std::size_t statement : groups[group].statements) {
      group_of[statement] = group;
      all_alone = all_alone && statement == group;
    }
  }
  if (all_alone) return;
  auto grouped = std::make_unique<SortedTexts>(sort_memory_kb);
  for (Stream rows(*survey_, group_bytes); !rows.ended(); rows.next()) {
    Fresh row = Fresh::of(rows.text(), hash_bytes + name_bytes);
    row.group = group_of[row.statement];
    grouped->add(row.text());
  }
  survey_ = std::move(grouped);
}

void ReissuePlan::read_stored(std::vector<ReissueGroup>& groups, SortedTexts& stored) {
  for (std::size_t group = 0; group < groups.size(); group++) {
    std::map<std::int64_t, std::size_t> series_of;
    std::vector<std::int64_t> statements;
    for (std::size_t series = 0; series < groups[group].series.size(); series++) {
      for (const std::int64_t statement : groups[group].series[series].statements) {
        series_of[statement] = series;
        statements.push_back(statement);
      }
    }
    if (statements.empty()) continue;
    read_stored_rows(source_id_, statements, [&](const StoredRow& row) {
      const std::size_t series = series_of.at(row.statement_id);
      const std::string name = name_text(content_.identity(row.entry));
      if (row.gone) {
        unpaired_stored_.add(Stored{group, name, series, true, row.source_key}.text());
        return;
      }
      groups[group].series[series].rows++;
      std::string middle;
      put_hash(middle, content_.content(row.entry));
      stored.add(Stored{group, middle + name, series, false, row.source_key}.text());
    });
  }
}

void ReissuePlan::pair_by_content(std::vector<ReissueGroup>& groups, SortedTexts& stored) {
  constexpr std::size_t middle_bytes = hash_bytes + name_bytes;
  Stream old_rows(stored, group_bytes + hash_bytes);
  Stream new_rows(*survey_, group_bytes + hash_bytes);
  while (!old_rows.ended() || !new_rows.ended()) {
    const int order = old_rows.compare(new_rows);
    if (order == 0) {
      const Stored kept = Stored::of(old_rows.text(), middle_bytes);
      groups[kept.group].series[kept.series].known++;
      changes_[Fresh::of(new_rows.text(), middle_bytes).statement].kept++;
    }
    if (order < 0) {
      Stored row = Stored::of(old_rows.text(), middle_bytes);
      row.middle.erase(0, hash_bytes);
      unpaired_stored_.add(row.text());
    }
    if (order > 0) {
      Fresh row = Fresh::of(new_rows.text(), middle_bytes);
      row.middle.erase(0, hash_bytes);
      unpaired_fresh_.add(row.text());
    }
    if (order <= 0) old_rows.next();
    if (order >= 0) new_rows.next();
  }
}

void ReissuePlan::note_change(const Fresh& row, std::string_view stored_key) {
  std::string text;
  put(text, static_cast<std::uint64_t>(row.row_no), 8);
  row_changes_.add(text.append(stored_key));
}

void ReissuePlan::note_vanished(const Stored& row) {
  if (row.gone) return;
  std::string text;
  put(text, row.group, group_bytes);
  put(text, row.series, 4);
  vanished_.add(text + row.key);
}

// One on each side, and no more: among several, which one became which is a guess.
void ReissuePlan::pair_by_identity(std::vector<ReissueGroup>& groups) {
  Stream old_rows(unpaired_stored_, group_bytes + name_bytes);
  Stream new_rows(unpaired_fresh_, group_bytes + name_bytes);
  while (!old_rows.ended() || !new_rows.ended()) {
    const int order = old_rows.compare(new_rows);
    std::optional<Stored> vanished;
    std::optional<Fresh> added;
    std::string meeting(order <= 0 ? old_rows.meeting() : new_rows.meeting());
    bool alone = order == 0 && changes_rows_ && meeting[group_bytes] != '\0';
    if (order <= 0) {
      vanished = Stored::of(old_rows.text(), name_bytes);
      old_rows.next();
    }
    if (order >= 0) {
      added = Fresh::of(new_rows.text(), name_bytes);
      new_rows.next();
    }
    for (; !old_rows.ended() && old_rows.meeting() == meeting; old_rows.next()) {
      alone = false;
      note_vanished(Stored::of(old_rows.text(), name_bytes));
    }
    for (; !new_rows.ended() && new_rows.meeting() == meeting; new_rows.next()) {
      alone = false;
      note_added(Fresh::of(new_rows.text(), name_bytes), "");
    }
    if (alone && !vanished->gone) {
      groups[vanished->group].series[vanished->series].known++;
      changes_[added->statement].changed++;
      note_change(*added, vanished->key);
      continue;
    }
    if (vanished && !alone) note_vanished(*vanished);
    if (added) note_added(*added, alone ? vanished->key : "");
  }
}

void ReissuePlan::note_added(const Fresh& row, std::string_view stored_key) {
  changes_[row.statement].added++;
  note_change(row, stored_key);
}

void ReissuePlan::compare(std::vector<ReissueGroup>& groups, std::size_t statements) {
  changes_.assign(statements, {});
  group_survey(groups, statements);
  {
    SortedTexts stored(sort_memory_kb);
    read_stored(groups, stored);
    pair_by_content(groups, stored);
  }
  survey_.reset();
  pair_by_identity(groups);
  vanished_.sort();
  row_changes_.sort();
}

void ReissuePlan::for_each_vanished(
    const std::vector<ReissueGroup>& groups,
    const std::function<void(std::size_t group, std::string_view source_key)>& remove) {
  while (const auto text = vanished_.next()) {
    std::string_view bytes = *text;
    const std::size_t group = take(bytes, group_bytes);
    const std::size_t series = take(bytes, 4);
    if (groups[group].series[series].replaced) remove(group, bytes);
  }
}

bool ReissuePlan::next_change() {
  const auto text = row_changes_.next();
  if (!text) return false;
  std::string_view bytes = *text;
  next_row_ = static_cast<std::int64_t>(take(bytes, 8));
  next_key_ = bytes;
  return true;
}

std::optional<RowChange> ReissuePlan::change_of(std::int64_t row_no) {
  while (!ended_ && next_row_ < row_no) ended_ = !next_change();
  if (ended_ || next_row_ != row_no) return std::nullopt;
  return RowChange{next_key_};
}

}  // namespace pg_reconcile::pg

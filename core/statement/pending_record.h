// A record that a framer is putting together out of several lines.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/statement/framer.h"
#include "core/statement/line_reader.h"

namespace pg_reconcile::core {

// Named texts in a fixed order. An empty text is a field that the record does not state.
class RecordFields {
 public:
  // `names` must outlive this object: a frame's constant list.
  explicit RecordFields(std::span<const std::string_view> names);

  void clear();
  void set(std::string_view name, std::string_view value);
  // Joins to what is there already.
  void append(std::string_view name, std::string_view value, std::string_view separator);
  [[nodiscard]] const std::string& get(std::string_view name) const { return values_[index_of(name)]; }
  [[nodiscard]] std::span<const RawField> fields();

 private:
  std::span<const std::string_view> names_;
  std::vector<std::string> values_;
  std::vector<RawField> fields_;

  [[nodiscard]] std::size_t index_of(std::string_view name) const;
};

// Why a line can't be used: nullptr when it can.
[[nodiscard]] const char* line_problem(const Line& line);

class PendingRecord {
 public:
  // A record longer than this is bad: no bank writes one.
  static constexpr std::size_t bytes_max = 1048576;

  explicit PendingRecord(std::span<const std::string_view> names) : fields(names) {}

  [[nodiscard]] bool open() const { return open_; }
  void begin(const Line& line);
  // A further line of it. A line that is no text, or one too many, spoils the record.
  void add(const Line& line);
  // The same where a line holds several records: its piece.
  void begin(const RowPlace& place, std::string_view bytes);
  void add(std::string_view bytes);
  // The record is bad; the first reason stays.
  void spoil(std::string_view column, std::string_view value, std::string_view reason);
  [[nodiscard]] bool spoilt() const { return !reason_.empty(); }
  // True: what follows of it is not kept any more.
  [[nodiscard]] bool full() const { return raw_.size() > bytes_max; }
  // Gives the record, or the bad row that it became, to the sink. True: it was a record.
  bool hand_over(FrameSink& sink, std::string_view type);
  void drop();

  RecordFields fields;

 private:
  bool open_ = false;
  RowPlace place_;
  std::string raw_;
  std::string column_;
  std::string value_;
  std::string reason_;
};

// A line that belongs to no record, set aside.
void set_line_aside(FrameSink& sink, const Line& line, std::string_view reason);

}  // namespace pg_reconcile::core

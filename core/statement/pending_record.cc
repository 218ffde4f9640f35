#include "core/statement/pending_record.h"

#include <algorithm>

#include "core/error.h"

namespace pg_reconcile::core {

RecordFields::RecordFields(std::span<const std::string_view> names) : names_(names), values_(names.size()) {
  for (std::string_view name : names) fields_.push_back({name, std::nullopt});
}

std::size_t RecordFields::index_of(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) {
    throw Error(sqlstate::internal_error, "a framer fills the field \"" + std::string(name) +
                                              "\", which is not in its list of columns");
  }
  return static_cast<std::size_t>(found - names_.begin());
}

void RecordFields::clear() {
  for (std::string& value : values_) value.clear();
}

void RecordFields::set(std::string_view name, std::string_view value) {
  values_[index_of(name)].assign(value);
}

void RecordFields::append(std::string_view name, std::string_view value, std::string_view separator) {
  std::string& text = values_[index_of(name)];
  if (!text.empty() && !value.empty()) text += separator;
  text += value;
}

std::span<const RawField> RecordFields::fields() {
  for (std::size_t i = 0; i < values_.size(); i++) {
    fields_[i].value.reset();
    if (!values_[i].empty()) fields_[i].value = values_[i];
  }
  return fields_;
}

const char* line_problem(const Line& line) {
  if (line.too_long) return "is longer than 1 MB";
  if (!line.valid) return "has bytes that are no valid text";
  return nullptr;
}

void PendingRecord::begin(const RowPlace& place, std::string_view bytes) {
  fields.clear();
  column_.clear();
  value_.clear();
  reason_.clear();
  open_ = true;
  place_ = place;
  raw_.assign(bytes);
}

void PendingRecord::begin(const Line& line) {
  begin(RowPlace{0, line.number, line.offset}, line.bytes);
  if (const char* problem = line_problem(line)) spoil("", "", problem);
}

void PendingRecord::add(std::string_view bytes) {
  if (!full()) {
    raw_ += '\n';
    raw_ += bytes;
  }
  if (full()) spoil("", "", "goes on for more than 1 MB");
}

void PendingRecord::add(const Line& line) {
  add(line.bytes);
  if (const char* problem = line_problem(line)) {
    spoil("", "", "has the line " + std::to_string(line.number) + ", which " + problem);
  }
}

void PendingRecord::spoil(std::string_view column, std::string_view value, std::string_view reason) {
  if (spoilt()) return;
  column_ = column;
  value_ = value;
  reason_ = reason;
}

bool PendingRecord::hand_over(FrameSink& sink, std::string_view type) {
  open_ = false;
  if (spoilt()) {
    BadRow row;
    row.place = place_;
    row.raw = raw_;
    row.column = column_;
    row.value = value_;
    row.reason = reason_;
    sink.bad(row);
    return false;
  }
  sink.record(FrameRecord{place_, raw_, type, fields.fields()});
  return true;
}

void PendingRecord::drop() {
  open_ = false;
}

void set_line_aside(FrameSink& sink, const Line& line, std::string_view reason) {
  const char* problem = line_problem(line);
  BadRow row;
  row.place = {0, line.number, line.offset};
  row.raw = line.bytes;
  row.reason = problem != nullptr ? std::string_view(problem) : reason;
  sink.bad_outside(row);
}

}  // namespace pg_reconcile::core

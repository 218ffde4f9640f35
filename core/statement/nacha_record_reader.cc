#include "core/statement/nacha_record_reader.h"

#include <algorithm>

#include "core/mapping/expression.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t chunk_bytes = 65536;

bool ends_line(char c) {
  return c == '\n' || c == '\r' || c == '\x1a';
}

}  // namespace

bool NachaRecordReader::fill() {
  if (position_ < buffer_.size()) return true;
  interrupts_.poll();
  base_ += static_cast<std::int64_t>(buffer_.size());
  buffer_.resize(chunk_bytes);
  buffer_.resize(source_.read({buffer_.data(), chunk_bytes}));
  position_ = 0;
  return !buffer_.empty();
}

// Also the blanks behind a record: a new one starts with a digit.
bool NachaRecordReader::skip_line_ends() {
  while (fill()) {
    const char c = buffer_[position_];
    if (!ends_line(c) && c != ' ') return true;
    if (c == '\n') line_++;
    position_++;
  }
  return false;
}

bool NachaRecordReader::next() {
  if (!skip_line_ends()) return false;
  place_ = {0, line_, base_ + static_cast<std::int64_t>(position_)};
  record_.clear();
  while (record_.size() < record_bytes && fill() && !ends_line(buffer_[position_])) {
    record_ += buffer_[position_];
    position_++;
  }
  size_ = record_.size();
  record_.resize(record_bytes, ' ');
  return true;
}

std::string_view NachaRecordReader::at(std::size_t first, std::size_t last) const {
  return mapping::trimmed(std::string_view(record_).substr(first - 1, last - first + 1));
}

bool NachaRecordReader::is_text() const {
  return std::all_of(record_.begin(), record_.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace pg_reconcile::core

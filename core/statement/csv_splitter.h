// A line of separated values, taken apart: RFC 4180 quotes or none, WeChat's prefix before every value, and
// rows that are too wide because someone wrote bare separators into a text.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_reconcile::core {

struct CsvShape {
  char separator = ',';
  char quote = '"';    // '\0': quotes are ordinary characters
  std::string prefix;  // "`": stands before every value of a row (not of the header); "" none
};

class CsvSplitter {
 public:
  static constexpr std::size_t fields_max = 4096;

  explicit CsvSplitter(CsvShape shape) : shape_(std::move(shape)) {}

  // Whether a quoted value that starts in `text` goes on in the next line.
  [[nodiscard]] bool is_open(std::string_view text) const;

  // The values, as views into `text` or into this object's buffers: until the next call. nullopt: malformed;
  // `problem` says why.
  const std::vector<std::string_view>* split(std::string_view text, std::string& problem);

  // Joins the surplus values of a row that should have `width` at position `free_text`, the one column in
  // which separators occur: everything before and after keeps its place.
  void rejoin(std::string_view text, std::size_t width, std::size_t free_text);

 private:
  CsvShape shape_;
  std::vector<std::string_view> fields_;
  std::vector<std::size_t> starts_;    // where each value starts in the text, prefix included
  std::deque<std::string> unescaped_;  // values that had doubled quotes; a deque does not move its strings

  bool split_plain(std::string_view text, std::string& problem);
  bool split_prefixed(std::string_view text);
};

}  // namespace pg_reconcile::core

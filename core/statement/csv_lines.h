// Lines of separated values: physical lines, and those whose quoted value goes on in the next.
#pragma once

#include <deque>
#include <string>

#include "core/statement/csv_splitter.h"
#include "core/statement/line_reader.h"

namespace pg_reconcile::core {

class CsvLines {
 public:
  CsvLines(LineReader& lines, const CsvSplitter& splitter) : lines_(lines), splitter_(splitter) {}

  // A physical line.
  bool next(Line& line);

  // Where `line` opens a quote: joins the lines up to its end. False, when that does not come within 100
  // lines and 1 MB: the lines are given back, and the quote costs its own line alone.
  bool complete(Line& line);

 private:
  static constexpr std::size_t record_lines_max = 100;
  static constexpr std::size_t record_bytes_max = 1048576;

  // A line that outlives the reader's buffer.
  struct HeldLine {
    std::string bytes;
    std::string text;
    Line line;
  };

  LineReader& lines_;
  const CsvSplitter& splitter_;
  std::deque<HeldLine> held_;
  HeldLine current_;
};

}  // namespace pg_reconcile::core

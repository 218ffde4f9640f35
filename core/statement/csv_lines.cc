#include "core/statement/csv_lines.h"

#include <iterator>
#include <utility>

namespace pg_reconcile::core {

bool CsvLines::next(Line& line) {
  if (held_.empty()) return lines_.next(line);
  current_ = std::move(held_.front());
  held_.pop_front();
  line = current_.line;
  line.bytes = current_.bytes;
  line.text = current_.text;
  return true;
}

bool CsvLines::complete(Line& line) {
  if (!splitter_.is_open(line.text)) return true;
  std::deque<HeldLine> taken;
  HeldLine first{std::string(line.bytes), std::string(line.text), line};  // next() moves the buffer on
  std::string text = first.text;
  std::string bytes = first.bytes;
  Line more;
  while (taken.size() < record_lines_max && text.size() < record_bytes_max && next(more)) {
    taken.push_back({std::string(more.bytes), std::string(more.text), more});
    if (!more.valid) break;
    text.append("\n").append(more.text);
    bytes.append("\n").append(more.bytes);
    if (splitter_.is_open(text)) continue;
    current_.text = std::move(text);
    current_.bytes = std::move(bytes);
    line.text = current_.text;
    line.bytes = current_.bytes;
    line.terminated = more.terminated;
    return true;
  }
  held_.insert(held_.begin(), std::make_move_iterator(taken.begin()), std::make_move_iterator(taken.end()));
  current_ = std::move(first);
  line.text = current_.text;
  line.bytes = current_.bytes;
  return false;
}

}  // namespace pg_reconcile::core

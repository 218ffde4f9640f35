#include "core/statement/line_frame.h"

#include <algorithm>

namespace pg_reconcile::core {

bool says_empty(const FormatDocument& format, LineReader& lines,
                const std::function<bool(const Line&)>& may_be_data) {
  if (format.empty_texts.empty()) return false;
  const auto file = lines.short_file();
  if (!file) return false;
  MemorySource source(*file);
  NoInterrupts interrupts;
  LineReader again(source, format.charsets, interrupts);
  bool said = false;
  for (Line line; again.next(line);) {
    if (!line.valid || may_be_data(line)) return false;
    said = said ||
           std::any_of(format.empty_texts.begin(), format.empty_texts.end(),
                       [&](const std::string& text) { return line.text.find(text) != std::string::npos; });
  }
  return said;
}

char read_line_end(const JsonNode& frame) {
  const auto word = frame.find("line_end");
  return word && word->text_in({"lf", "cr"}) == "cr" ? '\r' : '\n';
}

namespace {

BadRow bad_line(const Line& line, std::string_view reason) {
  BadRow row;
  row.place = {0, line.number, line.offset};
  row.raw = line.bytes;
  row.reason = reason;
  return row;
}

}  // namespace

void report_bad(FrameSink& sink, const Line& line, std::string_view reason) {
  sink.bad(bad_line(line, reason));
}

void report_outside(FrameSink& sink, const Line& line) {
  if (line.valid) return sink.outside(line.text);
  sink.bad_outside(bad_line(line, "is outside the data, and its bytes are no valid text"));
}

std::optional<std::string_view> unusable(const Line& line) {
  if (line.too_long) return "is longer than 1 MB";
  if (line.valid) return std::nullopt;
  return line.terminated ? "has bytes that are no valid text"
                         : "has bytes that are no valid text, and the file ends inside it";
}

}  // namespace pg_reconcile::core

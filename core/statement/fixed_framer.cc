#include "core/statement/fixed_framer.h"

#include <algorithm>

#include "core/mapping/expression.h"
#include "core/statement/fixed_layout.h"
#include "core/statement/line_frame.h"

namespace pg_reconcile::core {
namespace {

class FixedFramer final : public Framer {
 public:
  FixedFramer(const FormatDocument& format, FixedLayout layout, char line_end)
      : format_(format), layout_(std::move(layout)), line_end_(line_end) {}

  void read(ByteSource& source, std::string_view file_name, FrameSink& sink, Interrupts& interrupts) override;
  [[nodiscard]] std::vector<std::string> columns() const override { return layout_.names(); }

 private:
  FormatDocument format_;
  FixedLayout layout_;
  char line_end_;
  std::vector<RawField> fields_;

  // False: the data has ended.
  bool line(const Line& line, LineReader& lines, FrameSink& sink);
};

bool FixedFramer::line(const Line& line, LineReader& lines, FrameSink& sink) {
  if (line.valid && mapping::trimmed(line.text).empty()) return true;
  boost::cmatch match;
  if (line.valid && format_.stop && search(line.text, *format_.stop, match)) {
    report_outside(sink, line);
    return false;
  }
  if (line.valid && format_.comment && search(line.text, *format_.comment, match)) {
    report_outside(sink, line);
    return true;
  }
  std::string reason;
  if (const auto problem = unusable(line)) {
    report_bad(sink, line, *problem);
  } else if (!layout_.cut(line, lines, fields_, reason)) {
    report_bad(sink, line, reason);
  } else {
    sink.record({{0, line.number, line.offset}, line.bytes, "", fields_});
  }
  return true;
}

void FixedFramer::read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
                       Interrupts& interrupts) {
  LineReader lines(source, format_.charsets, interrupts, line_end_);
  const auto as_wide = [&](const Line& line) { return line.bytes.size() >= layout_.width(); };
  if (says_empty(format_, lines, as_wide)) return sink.empty();
  sink.columns("", "", layout_.names());
  bool in_data = true;
  Line line;
  while (!sink.stopped() && lines.next(line)) {
    if (in_data) {
      in_data = this->line(line, lines, sink);
    } else {
      report_outside(sink, line);
    }
  }
  if (sink.stopped()) return;
  if (lines.bytes_read() == 0) return sink.reject("it is empty: 0 bytes");
  if (format_.stop && format_.stop_required && in_data) {
    sink.control({"end mark", "", "the file ends before its end mark", false});
  }
}

}  // namespace

std::unique_ptr<Framer> make_fixed_framer(const FormatDocument& format) {
  const JsonNode& frame = *format.frame;
  frame.allow_only(
      {"type", "fields", "separator", "trim", "shorter", "comment", "line_end", "number_format"});
  const auto shorter = frame.find("shorter");
  FixedLayout layout =
      FixedLayout::read(frame.at("fields", "the record's fields: [{\"name\": ..., \"width\": ...}]"),
                        frame.find("separator") ? format.shape.separator : '\0', read_trim(frame),
                        shorter && shorter->boolean());
  return std::make_unique<FixedFramer>(format, std::move(layout), read_line_end(frame));
}

}  // namespace pg_reconcile::core

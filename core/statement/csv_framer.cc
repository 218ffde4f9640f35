#include "core/statement/csv_framer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/mapping/expression.h"
#include "core/statement/csv_lines.h"
#include "core/statement/line_frame.h"
#include "core/statement/table_header.h"

namespace pg_reconcile::core {
namespace {

// One reading of one file: preamble, header, rows, footer. A line at a time, whatever the size of the file.
class CsvReading {
 public:
  CsvReading(const FormatDocument& format, ByteSource& source, FrameSink& sink, Interrupts& interrupts)
      : format_(format),
        lines_(source, format.charsets, interrupts),
        splitter_(format.shape),
        records_(lines_, splitter_),
        sink_(sink) {}

  void run();

 private:
  enum class Part { preamble, data, footer };

  const FormatDocument& format_;
  LineReader lines_;
  CsvSplitter splitter_;
  CsvLines records_;
  FrameSink& sink_;
  Part part_ = Part::preamble;
  bool stop_seen_ = false;
  std::vector<std::string> columns_;
  std::vector<RawField> fields_;
  std::optional<std::size_t> free_text_;

  void begin_data(std::string_view line, std::vector<std::string> columns);
  [[nodiscard]] std::optional<std::vector<std::string>> header_of(std::string_view line);
  [[nodiscard]] bool may_be_data(const Line& line);
  bool try_header(const Line& line);
  void data_line(Line& line);
  void row(const Line& line);
  const std::vector<std::string_view>* values_of(const Line& line, std::string& reason);
  void finish();
};

void CsvReading::begin_data(std::string_view line, std::vector<std::string> columns) {
  columns_ = unique_columns(std::move(columns), format_.aliases);
  part_ = Part::data;
  if (format_.free_text) {
    const auto found = std::find(columns_.begin(), columns_.end(), *format_.free_text);
    if (found != columns_.end()) free_text_ = static_cast<std::size_t>(found - columns_.begin());
  }
  fields_.clear();
  for (const std::string& name : columns_) fields_.push_back({name, std::nullopt});
  sink_.columns("", line, columns_);
}

// The column names of a header line; nullopt: it is none.
std::optional<std::vector<std::string>> CsvReading::header_of(std::string_view line) {
  std::string problem;
  const auto* values = splitter_.split(line, problem);
  if (values == nullptr) return std::nullopt;
  return header_names(format_, *values);
}

bool CsvReading::try_header(const Line& line) {
  auto names = header_of(line.text);
  if (!names) return false;
  begin_data(line.text, std::move(*names));
  return true;
}

// A header, a row, or bytes that could be one. A row that the format no longer understands counts by its
// width.
bool CsvReading::may_be_data(const Line& line) {
  boost::cmatch match;
  if (format_.comment && search(line.text, *format_.comment, match)) return false;
  if (format_.column_names.empty() && header_of(line.text)) return true;
  constexpr std::size_t narrowest_row = 2;  // a sentence is one value
  const std::size_t width =
      format_.column_names.empty() ? format_.header_columns.size() : format_.column_names.size();
  std::string problem;
  const auto* values = splitter_.split(line.text, problem);
  return values != nullptr && values->size() >= std::max(width, narrowest_row);
}

void CsvReading::data_line(Line& line) {
  if (line.valid && mapping::trimmed(line.text).empty()) return;
  boost::cmatch match;
  if (line.valid && format_.stop && search(line.text, *format_.stop, match)) {
    part_ = Part::footer;
    stop_seen_ = true;
    return report_outside(sink_, line);
  }
  if (line.valid && format_.comment && search(line.text, *format_.comment, match))
    return report_outside(sink_, line);
  if (const auto problem = unusable(line)) return report_bad(sink_, line, *problem);
  if (!records_.complete(line)) return report_bad(sink_, line, "has a quoted value that never ends");
  row(line);
}

const std::vector<std::string_view>* CsvReading::values_of(const Line& line, std::string& reason) {
  const auto* values = splitter_.split(line.text, reason);
  if (values == nullptr) return nullptr;
  const std::size_t width = columns_.size();
  if (values->size() > width) {
    if (free_text_) {
      splitter_.rejoin(line.text, width, *free_text_);
      return values;
    }
    // Separators at the end of the row that nobody named are no values.
    const bool surplus_is_empty =
        std::all_of(values->begin() + static_cast<std::ptrdiff_t>(width), values->end(),
                    [](std::string_view value) { return value.empty(); });
    if (surplus_is_empty) return values;
  }
  if (values->size() == width) return values;
  reason = "has " + std::to_string(values->size()) + " values where the header has " + std::to_string(width);
  if (!line.terminated && values->size() < width) reason += ", and the file ends inside it";
  return nullptr;
}

void CsvReading::row(const Line& line) {
  std::string reason;
  const auto* values = values_of(line, reason);
  if (values == nullptr) return report_bad(sink_, line, reason);
  for (std::size_t i = 0; i < fields_.size(); i++) fields_[i].value = (*values)[i];
  sink_.record({{0, line.number, line.offset}, line.bytes, "", fields_});
}

void CsvReading::finish() {
  if (sink_.stopped()) return;
  if (lines_.bytes_read() == 0) return sink_.reject("it is empty: 0 bytes");
  if (part_ == Part::preamble) {
    std::string names;
    for (const std::string& name : format_.header_columns) names += (names.empty() ? "" : ", ") + name;
    sink_.reject("no header line with the columns " + names + " was found");
  } else if (format_.stop && format_.stop_required && !stop_seen_) {
    sink_.control({"end mark", "", "the file ends before its end mark", false});
  }
}

void CsvReading::run() {
  const auto may_hold_data = [this](const Line& line) { return may_be_data(line); };
  if (says_empty(format_, lines_, may_hold_data)) return sink_.empty();
  if (!format_.column_names.empty()) begin_data("", format_.column_names);
  Line line;
  while (!sink_.stopped() && records_.next(line)) {
    if (part_ == Part::data) {
      data_line(line);
    } else if (part_ == Part::footer || !line.valid || !try_header(line)) {
      report_outside(sink_, line);
    }
  }
  finish();
}

class CsvFramer final : public Framer {
 public:
  explicit CsvFramer(const FormatDocument& format) : format_(format) {}
  void read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
            Interrupts& interrupts) override {
    CsvReading(format_, source, sink, interrupts).run();
  }

 private:
  FormatDocument format_;
};

}  // namespace

std::unique_ptr<Framer> make_csv_framer(const FormatDocument& format) {
  format.frame->allow_only({"type", "separator", "quote", "prefix", "free_text", "comment", "number_format"});
  return std::make_unique<CsvFramer>(format);
}

}  // namespace pg_reconcile::core

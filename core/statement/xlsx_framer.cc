#include "core/statement/xlsx_framer.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/statement/charset.h"
#include "core/statement/table_header.h"
#include "core/statement/xlsx_package.h"
#include "core/statement/xlsx_rows.h"
#include "core/statement/xlsx_workbook.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t raw_bytes_max = 4096;
constexpr int preamble_rows_max = 1000;  // in which a sheet is known by its header

// A row as a line of the shape that the format declares: what its patterns look at, and what a person reads
// in the quarantine.
std::string line_of(const std::vector<std::string>& values, const CsvShape& shape) {
  if (values.size() == 1) return values.front();
  std::string line;
  for (std::size_t i = 0; i < values.size(); i++) {
    if (i > 0) line += shape.separator;
    const std::string& value = values[i];
    const bool quoted = shape.quote != '\0' && value.find_first_of(std::string{shape.separator, shape.quote,
                                                                               '\n'}) != std::string::npos;
    if (!quoted) {
      line += value;
      continue;
    }
    line += shape.quote;
    for (char c : value) {
      if (c == shape.quote) line += c;
      line += c;
    }
    line += shape.quote;
  }
  return line;
}

// One reading of one file.
class XlsxReading {
 public:
  XlsxReading(const FormatDocument& format, const std::optional<std::string>& sheet, FrameSink& sink,
              Interrupts& interrupts)
      : format_(format), wanted_(sheet), sink_(sink), interrupts_(interrupts) {}

  void run(ByteSource& source);

 private:
  enum class Part { preamble, data, footer };

  const FormatDocument& format_;
  const std::optional<std::string>& wanted_;
  FrameSink& sink_;
  Interrupts& interrupts_;
  Part part_ = Part::preamble;
  bool stop_seen_ = false;
  bool says_empty_ = false;
  std::vector<std::string> columns_;
  std::vector<RawField> fields_;

  [[nodiscard]] const XlsxSheet* choose(const XlsxPackage& package, const XlsxWorkbook& workbook);
  [[nodiscard]] bool has_header(const XlsxPackage& package, const XlsxWorkbook& workbook,
                                const XlsxSheet& sheet);
  [[nodiscard]] std::optional<std::vector<std::string>> header_of(const XlsxRow& row) const;
  void begin_data(std::string_view line, std::vector<std::string> columns);
  void take(XlsxRow& row);
  void data_row(const XlsxRow& row, const std::string& line);
  void bad(const XlsxRow& row, std::string_view line, std::string_view reason);
  void finish();
};

std::optional<std::vector<std::string>> XlsxReading::header_of(const XlsxRow& row) const {
  if (!row.problem.empty() || row.values.empty()) return std::nullopt;
  return header_names(format_, {row.values.begin(), row.values.end()});
}

bool XlsxReading::has_header(const XlsxPackage& package, const XlsxWorkbook& workbook,
                             const XlsxSheet& sheet) {
  auto source = package.open(sheet.part);
  if (source == nullptr) return false;
  XlsxRows rows(workbook, std::move(source), interrupts_);
  XlsxRow row;
  for (int i = 0; i < preamble_rows_max && rows.next(row); i++) {
    if (header_of(row)) return true;
    const std::string line = line_of(row.values, format_.shape);
    says_empty_ = says_empty_ ||
                  std::any_of(format_.empty_texts.begin(), format_.empty_texts.end(),
                              [&](const std::string& text) { return line.find(text) != std::string::npos; });
  }
  return false;
}

// The sheet that the format names; else the first that has the header, hidden ones last.
const XlsxSheet* XlsxReading::choose(const XlsxPackage& package, const XlsxWorkbook& workbook) {
  const auto& sheets = workbook.sheets();
  if (wanted_) {
    for (const XlsxSheet& sheet : sheets) {
      if (sheet.name == *wanted_) return &sheet;
    }
    std::string names;
    for (const XlsxSheet& sheet : sheets) names += (names.empty() ? "" : ", ") + printable(sheet.name, 60);
    sink_.reject("it has no sheet \"" + *wanted_ + "\"; its sheets: " + printable(names, 500));
    return nullptr;
  }
  if (!format_.column_names.empty()) {  // no header to know it by
    for (const XlsxSheet& sheet : sheets) {
      if (!sheet.hidden) return &sheet;
    }
  } else {
    for (const bool hidden : {false, true}) {
      for (const XlsxSheet& sheet : sheets) {
        if (sheet.hidden == hidden && has_header(package, workbook, sheet)) return &sheet;
      }
    }
  }
  if (says_empty_) {
    sink_.empty();
    return nullptr;
  }
  std::string names;
  for (const std::string& name : format_.header_columns) names += (names.empty() ? "" : ", ") + name;
  sink_.reject(sheets.empty() ? std::string("it has no sheet")
                              : "no sheet has a header row with the columns " + names);
  return nullptr;
}

void XlsxReading::begin_data(std::string_view line, std::vector<std::string> columns) {
  columns_ = unique_columns(std::move(columns), format_.aliases);
  part_ = Part::data;
  fields_.clear();
  for (const std::string& name : columns_) fields_.push_back({name, std::nullopt});
  sink_.columns("", line, columns_);
}

void XlsxReading::bad(const XlsxRow& row, std::string_view line, std::string_view reason) {
  BadRow bad;
  bad.place = {0, row.number, row.byte_offset};
  bad.raw = line;
  bad.reason = reason;
  sink_.bad(bad);
}

void XlsxReading::data_row(const XlsxRow& row, const std::string& line) {
  const std::string_view raw = std::string_view(line).substr(0, raw_bytes_max);
  if (!row.problem.empty()) return bad(row, raw, row.problem);
  if (row.values.size() > columns_.size()) {
    return bad(row, raw,
               "has " + std::to_string(row.values.size()) + " values where the header has " +
                   std::to_string(columns_.size()));
  }
  for (std::size_t i = 0; i < columns_.size(); i++) {
    fields_[i].value =
        i < row.values.size() ? std::optional<std::string_view>(row.values[i]) : std::string_view();
  }
  sink_.record({{0, row.number, row.byte_offset}, raw, "", fields_});
}

void XlsxReading::take(XlsxRow& row) {
  if (row.values.empty() && row.problem.empty()) return;
  const std::string line = line_of(row.values, format_.shape);
  if (part_ == Part::preamble) {
    if (auto names = header_of(row)) return begin_data(line, std::move(*names));
  }
  if (part_ == Part::data) {
    boost::cmatch match;
    const bool readable = row.problem.empty();
    if (readable && format_.stop && search(line, *format_.stop, match)) {
      part_ = Part::footer;
      stop_seen_ = true;
    } else if (!readable || !format_.comment || !search(line, *format_.comment, match)) {
      return data_row(row, line);
    }
  }
  sink_.outside(line);
}

void XlsxReading::finish() {
  if (sink_.stopped()) return;
  if (format_.stop && format_.stop_required && !stop_seen_)
    sink_.control({"end mark", "", "the sheet ends before its end mark", false});
}

void XlsxReading::run(ByteSource& source) {
  XlsxLimits limits;
  limits.part_bytes_max = format_.unwrap.bytes_max;
  limits.ratio_max = format_.unwrap.ratio_max;
  const XlsxPackage package(source, interrupts_, limits);
  const XlsxWorkbook workbook(package, interrupts_);
  const XlsxSheet* sheet = choose(package, workbook);
  if (sheet == nullptr) return;
  auto part = package.open(sheet->part);
  if (part == nullptr) return sink_.reject("the file lacks its sheet " + printable(sheet->name, 60));
  if (!format_.column_names.empty()) begin_data("", format_.column_names);
  XlsxRows rows(workbook, std::move(part), interrupts_);
  XlsxRow row;
  while (!sink_.stopped() && rows.next(row)) take(row);
  if (!rows.problem().empty())
    return sink_.reject("sheet " + printable(sheet->name, 60) + ": " + rows.problem());
  if (part_ == Part::preamble && !sink_.stopped())
    return sink_.reject("sheet " + printable(sheet->name, 60) +
                        " has no header row with the format's columns");
  finish();
}

class XlsxFramer final : public Framer {
 public:
  XlsxFramer(const FormatDocument& format, std::optional<std::string> sheet)
      : format_(format), sheet_(std::move(sheet)) {}
  void read(ByteSource& source, std::string_view /*file_name*/, FrameSink& sink,
            Interrupts& interrupts) override {
    try {
      XlsxReading(format_, sheet_, sink, interrupts).run(source);
    } catch (const XlsxProblem& problem) {
      sink.reject(problem.reason);
    }
  }

 private:
  FormatDocument format_;
  std::optional<std::string> sheet_;
};

}  // namespace

std::unique_ptr<Framer> make_xlsx_framer(const FormatDocument& format) {
  format.frame->allow_only({"type", "sheet", "comment", "number_format"});
  std::optional<std::string> sheet;
  if (const auto named = format.frame->find("sheet")) sheet = named->text();
  return std::make_unique<XlsxFramer>(format, std::move(sheet));
}

}  // namespace pg_reconcile::core

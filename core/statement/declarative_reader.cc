#include "core/statement/declarative_reader.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/mapping/expression.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t raw_bytes_max = 2048;
constexpr std::size_t record_lines_max = 100;
constexpr std::size_t warnings_max = 100;  // a file may repeat a bad line without end
constexpr std::size_t record_bytes_max = 1048576;

MappingDefaults complete(MappingDefaults defaults, const FormatDocument& format) {
  if (defaults.book.empty()) defaults.book = format.book;
  if (defaults.currency.empty()) defaults.currency = format.default_currency;
  if (defaults.time_zone.empty()) defaults.time_zone = format.default_time_zone;
  defaults.net_tolerance = format.net_tolerance;
  defaults.suspect_spreadsheets = true;
  return defaults;
}

// A line that outlives the reader's buffer.
struct HeldLine {
  std::string bytes;
  std::string text;
  Line line;
};

// One reading of one file.
class Reading {
 public:
  Reading(const FormatDocument& format, Normaliser& normaliser, ByteSource& source,
          std::string_view file_name, RowSink& sink, Interrupts& interrupts)
      : format_(format),
        normaliser_(normaliser),
        lines_(source, format.charsets, interrupts),
        splitter_(format.shape),
        tally_(format),
        sink_(sink),
        file_name_(file_name) {}

  StatementSummary run();

 private:
  enum class Part { preamble, data, footer };

  const FormatDocument& format_;
  Normaliser& normaliser_;
  LineReader lines_;
  CsvSplitter splitter_;
  ControlTally tally_;
  RowSink& sink_;
  std::string file_name_;
  StatementSummary summary_;
  Part part_ = Part::preamble;
  bool stop_seen_ = false;
  std::int64_t bad_data_rows_ = 0;
  std::deque<HeldLine> held_;
  HeldLine current_;

  std::vector<std::string> columns_;
  std::optional<std::size_t> free_text_;
  std::optional<std::size_t> record_column_;
  std::vector<RawField> fields_;  // the columns, then @kind, then what meta found
  std::string kind_;
  std::vector<std::pair<std::string, std::string>> meta_fields_;
  Entry entry_;
  Rejection rejection_;
  bool one_account_ = true;

  bool next(Line& line);
  void take_file_name();
  void take_meta(std::string_view line);
  void take_dates();
  bool begin_data(std::vector<std::string> columns);
  [[nodiscard]] std::optional<std::vector<std::string>> header_names(std::string_view line);
  [[nodiscard]] bool may_be_data(const Line& line);
  [[nodiscard]] bool says_empty();
  bool try_header(const Line& line);
  void outside_line(const Line& line);
  void data_line(Line& line);
  bool join_quoted(Line& line);
  void row(const Line& line);
  bool classify(std::string_view type, BadRow& bad, bool& skip);
  const std::vector<std::string_view>* values_of(const Line& line, std::string& reason);
  void bad(const Line& line, BadRow& bad, std::string_view reason, bool is_row);
  void finish();
};

bool Reading::next(Line& line) {
  if (held_.empty()) return lines_.next(line);
  current_ = std::move(held_.front());
  held_.pop_front();
  line = current_.line;
  line.bytes = current_.bytes;
  line.text = current_.text;
  return true;
}

void Reading::take_file_name() {
  for (const MetaRule& rule : format_.meta) {
    if (rule.place != MetaRule::Place::file_name || summary_.meta.contains(rule.name)) continue;
    boost::cmatch match;
    if (!search(file_name_, rule.pattern, match)) continue;
    std::string value = rule.value.value_or(match[1].str());
    if (rule.date_format) {
      const auto written = rule.date_format->parse(value);
      if (!written) continue;
      value = date_text(written->date);
    }
    summary_.meta.emplace(rule.name, std::move(value));
  }
}

void Reading::take_meta(std::string_view line) {
  for (const MetaRule& rule : format_.meta) {
    if (rule.place != MetaRule::Place::lines || summary_.meta.contains(rule.name)) continue;
    boost::cmatch match;
    if (!search(line, rule.pattern, match)) continue;
    std::string value = rule.value.value_or(match[1].str());
    if (rule.date_format) {
      const auto written = rule.date_format->parse(mapping::trimmed(value));
      if (!written) {
        if (summary_.warnings.size() < warnings_max) {
          summary_.warnings.push_back(rule.name + ": '" + value + "' is no date written as " +
                                      rule.date_format->pattern());
        }
        continue;
      }
      value = date_text(written->date);
    }
    summary_.meta.emplace(rule.name, std::move(value));
  }
}

// The one day of the statement: stated, or the period's when it has one day.
void Reading::take_dates() {
  const TimestampFormat iso = TimestampFormat::iso8601();
  const auto day = [&](const char* name) -> std::optional<Date> {
    const auto found = summary_.meta.find(name);
    if (found == summary_.meta.end()) return std::nullopt;
    const auto written = iso.parse(found->second);
    return written ? std::optional<Date>(written->date) : std::nullopt;
  };
  summary_.business_date = day("business_date");
  const auto start = day("period_start");
  const auto end = day("period_end");
  // Periods are written to the last day or to the midnight after it.
  if (!summary_.business_date && start && end && *end >= *start && *end - *start <= 1)
    summary_.business_date = start;
}

bool Reading::begin_data(std::vector<std::string> columns) {
  std::unordered_set<std::string> taken;
  std::unordered_map<std::string, int> repeats;  // a header may be one name, 4096 times
  for (std::string& column : columns) {
    const auto alias = format_.aliases.find(column);
    if (alias != format_.aliases.end()) column = alias->second;
    std::string name = column;
    for (int& n = repeats.try_emplace(column, 1).first->second; !taken.insert(name).second;) {
      name = column + " (" + std::to_string(++n) + ")";
    }
    column = std::move(name);
  }
  columns_ = std::move(columns);
  part_ = Part::data;
  tally_.bind(columns_);

  const auto position = [&](const std::string& name) -> std::optional<std::size_t> {
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    if (found == columns_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - columns_.begin());
  };
  if (format_.free_text) free_text_ = position(*format_.free_text);
  if (!format_.record.column.empty()) record_column_ = position(format_.record.column);
  std::string missing;
  const auto need = [&](const std::string& name) {
    if (name.starts_with("@") || format_.optional_columns.contains(name) || position(name)) return;
    missing += (missing.empty() ? "" : ", ") + name;
  };
  for (const std::string& name : normaliser_.columns()) need(name);
  if (!format_.record.column.empty()) need(format_.record.column);
  if (!missing.empty()) {
    summary_.rejected = "the header lacks columns that the format reads: " + missing;
    return false;
  }
  take_file_name();
  take_dates();
  fields_.clear();
  for (const std::string& name : columns_) fields_.push_back({name, std::nullopt});
  fields_.push_back({"@kind", std::nullopt});
  meta_fields_.emplace_back("@file_name", file_name_);
  for (const auto& [name, value] : summary_.meta) meta_fields_.emplace_back("@" + name, value);
  for (const auto& [name, value] : meta_fields_) fields_.push_back({name, std::string_view(value)});
  return true;
}

// The column names of a header line; nullopt: it is none.
std::optional<std::vector<std::string>> Reading::header_names(std::string_view line) {
  std::string problem;
  const auto* values = splitter_.split(line, problem);
  if (values == nullptr) return std::nullopt;
  std::vector<std::string> names;
  for (std::string_view value : *values) names.push_back(column_name(value));
  const auto known = [&](const std::string& wanted) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      const auto alias = format_.aliases.find(name);
      return name == wanted || (alias != format_.aliases.end() && alias->second == wanted);
    });
  };
  if (!std::all_of(format_.header_columns.begin(), format_.header_columns.end(), known)) return std::nullopt;
  return names;
}

bool Reading::try_header(const Line& line) {
  auto names = header_names(line.text);
  if (!names) return false;
  take_meta(line.text);  // which columns there are may say which part of the day this is
  begin_data(std::move(*names));
  return true;
}

// A header, a row, or bytes that could be one. A row that the format no longer understands counts by its
// width.
bool Reading::may_be_data(const Line& line) {
  if (!line.valid) return true;
  boost::cmatch match;
  if (format_.comment && search(line.text, *format_.comment, match)) return false;
  if (format_.column_names.empty() && header_names(line.text)) return true;
  constexpr std::size_t narrowest_row = 2;  // a sentence is one value
  const std::size_t width =
      format_.column_names.empty() ? format_.header_columns.size() : format_.column_names.size();
  std::string problem;
  const auto* values = splitter_.split(line.text, problem);
  return values != nullptr && values->size() >= std::max(width, narrowest_row);
}

// A short answer in place of a statement: one of the format's texts, and nothing that could be data. The text
// alone proves nothing: a customer may have written it into a row.
bool Reading::says_empty() {
  if (format_.empty_texts.empty()) return false;
  const auto file = lines_.short_file();
  if (!file) return false;
  MemorySource source(*file);
  NoInterrupts interrupts;
  LineReader lines(source, format_.charsets, interrupts);
  bool said = false;
  for (Line line; lines.next(line);) {
    if (may_be_data(line)) return false;
    said = said ||
           std::any_of(format_.empty_texts.begin(), format_.empty_texts.end(),
                       [&](const std::string& text) { return line.text.find(text) != std::string::npos; });
  }
  return said;
}

void Reading::outside_line(const Line& line) {
  if (!line.valid) {
    BadRow row;
    bad(line, row, "is outside the data, and its bytes are no valid text", false);
    return;
  }
  take_meta(line.text);
  tally_.read_line(line.text, splitter_);
}

void Reading::bad(const Line& line, BadRow& row, std::string_view reason, bool is_row) {
  const std::string raw = printable(line.bytes, raw_bytes_max);
  const std::string value = printable(row.value, raw_bytes_max);
  row.place = {is_row ? summary_.rows : 0, line.number, line.offset};
  row.raw = raw;
  row.value = value;
  row.reason = reason;
  summary_.bad_rows++;
  if (is_row) bad_data_rows_++;
  sink_.bad_row(row);
  if (format_.on_bad_row == FormatDocument::OnBadRow::reject_file) {
    summary_.rejected = "line " + std::to_string(line.number) +
                        " is bad, and the format rejects the file for that: " +
                        (row.field.empty() ? "it " : std::string(row.field) + " ") + std::string(reason);
  } else if (summary_.bad_rows >= DeclarativeReader::bad_rows_max) {
    summary_.rejected = "it has " + std::to_string(summary_.bad_rows) +
                        " bad rows: is it really in the format " + format_.name + "?";
  }
}

// A quoted value that goes on in the next line: joins the lines, or, when its end never comes, gives them
// back.
bool Reading::join_quoted(Line& line) {
  std::deque<HeldLine> taken;
  std::string text(line.text);
  std::string bytes(line.bytes);
  Line more;
  while (taken.size() < record_lines_max && text.size() < record_bytes_max && next(more)) {
    taken.push_back({std::string(more.bytes), std::string(more.text), more});
    if (!more.valid) break;
    text += '\n';
    text += more.text;
    bytes += '\n';
    bytes += more.bytes;
    if (splitter_.is_open(text)) continue;
    current_.text = std::move(text);
    current_.bytes = std::move(bytes);
    line.text = current_.text;
    line.bytes = current_.bytes;
    line.terminated = more.terminated;
    return true;
  }
  held_.insert(held_.begin(), std::make_move_iterator(taken.begin()), std::make_move_iterator(taken.end()));
  return false;
}

void Reading::data_line(Line& line) {
  if (line.valid && mapping::trimmed(line.text).empty()) return;
  boost::cmatch match;
  if (line.valid && format_.stop && search(line.text, *format_.stop, match)) {
    part_ = Part::footer;
    stop_seen_ = true;
    return outside_line(line);
  }
  if (line.valid && format_.comment && search(line.text, *format_.comment, match)) return outside_line(line);
  summary_.rows++;
  BadRow none;
  if (line.too_long) return bad(line, none, "is longer than 1 MB", true);
  if (!line.valid) {
    return bad(line, none,
               line.terminated ? "has bytes that are no valid text"
                               : "has bytes that are no valid text, and the file ends inside it",
               true);
  }
  if (splitter_.is_open(line.text)) {
    const std::string text(line.text);  // next() moves the reader's buffer on
    const std::string bytes(line.bytes);
    Line first = line;
    first.text = text;
    first.bytes = bytes;
    if (!join_quoted(first)) return bad(first, none, "has a quoted value that never ends", true);
    return row(first);
  }
  row(line);
}

const std::vector<std::string_view>* Reading::values_of(const Line& line, std::string& reason) {
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

bool Reading::classify(std::string_view type, BadRow& row, bool& skip) {
  const auto found = format_.record.kinds.find(std::string(type));
  if (found == format_.record.kinds.end()) {
    skip = format_.record.skip_unknown;
    row.field = "kind";
    row.column = format_.record.column;
    row.value = type;
    return skip;
  }
  skip = !found->second;
  kind_ = found->second.value_or("");
  return true;
}

void Reading::row(const Line& line) {
  BadRow row;
  std::string reason;
  const auto* values = values_of(line, reason);
  if (values == nullptr) return bad(line, row, reason, true);
  std::string_view type;
  bool skip = false;
  if (record_column_) {
    type = mapping::trimmed((*values)[*record_column_]);
    if (!classify(type, row, skip))
      return bad(line, row, "is a row type that the format does not know", true);
  }
  if (!skip) {
    for (std::size_t i = 0; i < columns_.size(); i++) fields_[i].value = (*values)[i];
    fields_[columns_.size()].value =
        record_column_ ? std::optional<std::string_view>(kind_) : std::optional<std::string_view>();
    const NormaliseOutcome outcome = normaliser_.normalise({fields_}, entry_, rejection_);
    if (outcome == NormaliseOutcome::rejected) {
      row.field = rejection_.field;
      row.column = rejection_.column;
      row.value = rejection_.value;
      return bad(line, row, rejection_.reason, true);
    }
    skip = outcome == NormaliseOutcome::skipped;
  }
  if (!tally_.weigh(type, *values, row, reason)) return bad(line, row, reason, true);
  tally_.add();
  if (skip) {
    summary_.skipped++;
    return;
  }
  if (!entry_.business_date) entry_.business_date = summary_.business_date;
  if (summary_.entries == 0) summary_.account = entry_.account;
  one_account_ = one_account_ && summary_.account == entry_.account;
  summary_.entries++;
  sink_.row({summary_.rows, line.number, line.offset}, line.bytes, entry_);
}

void Reading::finish() {
  if (part_ == Part::preamble && !summary_.rejected) {
    std::string names;
    for (const std::string& name : format_.header_columns) names += (names.empty() ? "" : ", ") + name;
    summary_.rejected = lines_.bytes_read() == 0 ? std::string("it is empty: 0 bytes")
                                                 : "no header line with the columns " + names + " was found";
  }
  take_file_name();
  if (!one_account_) summary_.account.reset();
  const auto account = summary_.meta.find("account");
  if (account != summary_.meta.end()) summary_.account = account->second;
  take_dates();
  std::string reason;
  const auto balance = [&](const char* name) -> std::optional<Decimal> {
    const auto found = summary_.meta.find(name);
    if (found == summary_.meta.end()) return std::nullopt;
    return format_.number_format.parse(mapping::trimmed(found->second), reason);
  };
  summary_.opening_balance = balance("opening_balance");
  summary_.closing_balance = balance("closing_balance");
  if (summary_.rejected) return;
  tally_.close(stop_seen_, summary_);
  if (bad_data_rows_ > 0 && summary_.verdict != ControlVerdict::mismatch) {
    // Nobody else would miss them: without totals of its own, the file's own rows are the total.
    summary_.controls.push_back(
        {"rows", std::to_string(summary_.rows), std::to_string(summary_.entries + summary_.skipped), false});
    summary_.verdict = ControlVerdict::mismatch;
  }
  if (summary_.verdict == ControlVerdict::missing) {
    if (format_.missing_control == FormatDocument::MissingControl::reject) {
      summary_.rejected = "it states no control totals";
    } else {
      summary_.warnings.emplace_back("the file states no control totals");
    }
  }
}

StatementSummary Reading::run() {
  if (says_empty()) {
    summary_.empty = true;
    take_file_name();
    take_dates();
    return summary_;
  }
  if (!format_.column_names.empty()) begin_data(format_.column_names);
  Line line;
  while (!summary_.rejected && next(line)) {
    if (part_ == Part::data) {
      data_line(line);
    } else if (part_ == Part::footer || !line.valid || !try_header(line)) {
      outside_line(line);
    }
  }
  finish();
  return summary_;
}

}  // namespace

DeclarativeReader::DeclarativeReader(FormatDocument format, MappingDefaults defaults, TimeZones& zones)
    : format_(std::move(format)),
      normaliser_(Normaliser::compile(format_.map_text, complete(std::move(defaults), format_), zones)) {}

StatementSummary DeclarativeReader::read(ByteSource& source, std::string_view file_name, RowSink& sink,
                                         Interrupts& interrupts) {
  return Reading(format_, normaliser_, source, file_name, sink, interrupts).run();
}

}  // namespace pg_reconcile::core

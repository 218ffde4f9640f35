#include "core/statement/declarative_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/mapping/expression.h"
#include "core/statement/control_tally.h"
#include "core/statement/framers.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t raw_bytes_max = 2048;
constexpr std::size_t warnings_max = 100;  // a file may repeat a bad line without end
constexpr std::size_t controls_max = 1000;
constexpr std::size_t meta_max = 1000;

MappingDefaults complete(MappingDefaults defaults, const FormatDocument& format) {
  if (defaults.book.empty()) defaults.book = format.book;
  if (defaults.currency.empty()) defaults.currency = format.default_currency;
  if (defaults.time_zone.empty()) defaults.time_zone = format.default_time_zone;
  defaults.net_tolerance = format.net_tolerance;
  defaults.suspect_spreadsheets = true;
  return defaults;
}

bool is_balance(std::string_view name) {
  return name == "opening_balance" || name == "closing_balance";
}

// One reading of one file.
class Reading final : public FrameSink {
 public:
  Reading(const FormatDocument& format, Normaliser& normaliser, std::string_view file_name, RowSink& sink)
      : format_(format), normaliser_(normaliser), sink_(sink), file_name_(file_name), tally_(format) {
    for (const MetaRule& rule : format.meta) {
      if (rule.place == MetaRule::Place::record) record_rules_.push_back(rule);
    }
    begin_statement();
  }

  std::vector<StatementSummary> finish();

  void meta(std::string_view name, std::string_view value) override;
  void record(const FrameRecord& record) override;
  void bad(const BadRow& row) override;
  void bad_outside(const BadRow& row) override;
  void control(ControlLine line) override;
  void warn(std::string text) override;
  void next_statement() override;
  void reject(std::string reason) override;
  [[nodiscard]] bool stopped() const override { return rejected_.has_value(); }
  void outside(std::string_view text) override;
  void columns(std::string_view type, std::string_view line, std::span<const std::string> names) override;
  void empty() override;
  void fact(const FrameRecord& framed) override;

 private:
  const FormatDocument& format_;
  Normaliser& normaliser_;
  RowSink& sink_;
  std::string file_name_;
  std::optional<std::string> rejected_;
  std::vector<StatementSummary> done_;
  std::set<std::string, std::less<>> columns_;  // of all record types that the file has named
  bool columns_checked_ = false;
  std::int64_t rows_ = 0;  // of the file
  std::int64_t bad_rows_ = 0;

  // The statement under way.
  StatementSummary summary_;
  std::optional<ControlTally> tally_;
  std::int64_t bad_data_rows_ = 0;
  bool said_ = false;  // anything has been said of it
  bool one_account_ = true;

  // What the map sees of the statement beside the record: "@kind", "@record", "@file_name" and the facts.
  std::map<std::string, std::string> context_texts_;
  std::map<std::string, std::string> facts_;  // "type.field" of records that are no rows
  std::vector<MetaRule> record_rules_;        // copies: expressions remember positions
  // What was known before the first statement began: every statement has it.
  std::map<std::string, std::string> file_facts_;
  std::map<std::string, std::string> file_meta_;
  bool in_statements_ = false;
  std::vector<RawField> context_;
  // Facts that only the file's name has told so far, and the rule that did.
  std::map<std::string, const MetaRule*, std::less<>> provisional_;
  bool context_stale_ = true;
  std::string kind_;
  std::size_t record_position_ = 0;
  Entry entry_;
  Rejection rejection_;

  [[nodiscard]] std::optional<std::string> said(MetaRule& rule, const RawRecord& record);
  void begin_statement();
  void close_statement();
  void store_meta(const std::string& name, std::string value);
  void take(const MetaRule& rule, std::string_view text);
  void take_dates();
  void check_columns();
  void refresh_context();
  void set_aside(BadRow row, std::int64_t row_no);
  bool classify(std::string_view type, BadRow& bad, bool& skip);
  [[nodiscard]] std::optional<Decimal> balance(const char* name) const;
};

void Reading::begin_statement() {
  summary_ = StatementSummary();
  summary_.meta = file_meta_;
  facts_ = file_facts_;
  provisional_.clear();
  tally_.emplace(format_);
  bad_data_rows_ = 0;
  said_ = false;
  one_account_ = true;
  context_stale_ = true;
  for (const MetaRule& rule : format_.meta) {
    if (rule.place != MetaRule::Place::file_name || summary_.meta.contains(rule.name)) continue;
    take(rule, file_name_);
    if (summary_.meta.contains(rule.name)) provisional_.emplace(rule.name, &rule);
  }
}

void Reading::store_meta(const std::string& name, std::string value) {
  if (summary_.meta.size() >= meta_max && !summary_.meta.contains(name)) return;
  summary_.meta.insert_or_assign(name, std::move(value));
  context_stale_ = true;
}

// What a pattern finds is taken once: a preamble comes before texts that look like it. What the preamble says
// comes before what the file is called, unless the format asks for the file's name first.
void Reading::take(const MetaRule& rule, std::string_view text) {
  if (summary_.meta.contains(rule.name)) {
    const auto named = provisional_.find(rule.name);
    if (named == provisional_.end() || named->second < &rule) return;
  }
  boost::cmatch match;
  if (!search(text, rule.pattern, match)) return;
  std::string value = rule.value.value_or(match[1].str());
  if (rule.date_format) {
    const auto written = rule.date_format->parse(mapping::trimmed(value));
    if (!written) {
      if (rule.place == MetaRule::Place::lines) {
        warn(rule.name + ": '" + value + "' is no date written as " + rule.date_format->pattern());
      }
      return;
    }
    value = date_text(written->date);
  } else if (is_balance(rule.name)) {
    std::string reason;
    const auto amount = format_.number_format.parse(mapping::trimmed(value), reason);
    if (!amount) return warn(rule.name + ": '" + value + "' " + reason);
    value = amount->to_string(2);
  }
  provisional_.erase(rule.name);
  store_meta(rule.name, std::move(value));
}

void Reading::meta(std::string_view name, std::string_view value) {
  said_ = true;
  store_meta(std::string(name), std::string(value));
}

void Reading::outside(std::string_view text) {
  for (const MetaRule& rule : format_.meta) {
    if (rule.place == MetaRule::Place::lines) take(rule, text);
  }
  tally_->read_line(text);
}

void Reading::fact(const FrameRecord& framed) {
  if (stopped()) return;
  said_ = said_ || in_statements_;
  for (auto it = facts_.lower_bound(std::string(framed.type) + "."); it != facts_.end();) {
    if (!it->first.starts_with(std::string(framed.type) + ".")) break;
    it = facts_.erase(it);
  }
  for (const RawField& field : framed.fields) {
    if (!field.value || facts_.size() >= meta_max) continue;
    facts_[std::string(framed.type).append(".").append(field.name)] = *field.value;
  }
  context_stale_ = true;
  const RawRecord record{framed.fields};
  for (MetaRule& rule : record_rules_) {
    if (rule.record != framed.type) continue;
    if (const auto value = said(rule, record)) store_meta(rule.name, *value);
  }
  tally_->read_fact(framed.type, record);
}

// What a record states; nothing, and a warning, where it is not written as the format says.
std::optional<std::string> Reading::said(MetaRule& rule, const RawRecord& record) {
  mapping::Context context;
  context.record = &record;
  mapping::Outcome outcome = mapping::Outcome::value;
  std::optional<std::string> value;
  if (is_balance(rule.name)) {
    std::optional<Decimal> amount;
    outcome = rule.said->amount(context, amount);
    if (amount) value = amount->to_string(2);
  } else if (rule.name == "business_date" || rule.name == "period_start" || rule.name == "period_end") {
    std::optional<std::int32_t> date;
    outcome = rule.said->date(context, date);
    if (date) value = date_text(*date);
  } else {
    mapping::Text text;
    outcome = rule.said->text(context, text);
    if (text && !mapping::trimmed(*text).empty()) value = mapping::trimmed(*text);
  }
  if (outcome == mapping::Outcome::value) return value;
  if (outcome == mapping::Outcome::rejected)
    warn(rule.name + ": '" + std::string(context.value) + "' " + context.reason);
  return std::nullopt;
}

void Reading::columns(std::string_view type, std::string_view line, std::span<const std::string> names) {
  for (const MetaRule& rule : format_.meta) {
    if (rule.place == MetaRule::Place::lines) take(rule, line);
  }
  provisional_.clear();
  columns_.insert(names.begin(), names.end());
  if (type.empty()) check_columns();
}

// What the map reads and no record type of the file has.
void Reading::check_columns() {
  columns_checked_ = true;
  if (columns_.empty()) return;
  std::string missing;
  const auto need = [&](const std::string& name) {
    if (name.starts_with("@") || format_.optional_columns.contains(name) || columns_.contains(name)) return;
    missing += (missing.empty() ? "" : ", ") + name;
  };
  for (const std::string& name : normaliser_.columns()) need(name);
  if (!format_.record.column.empty()) need(format_.record.column);
  if (!missing.empty()) reject("the header lacks columns that the format reads: " + missing);
}

void Reading::refresh_context() {
  take_dates();
  context_texts_.clear();
  context_texts_["@file_name"] = file_name_;
  for (const auto& [name, value] : summary_.meta) context_texts_["@" + name] = value;
  context_texts_.insert(facts_.begin(), facts_.end());
  context_.clear();
  context_.push_back({"@kind", std::nullopt});
  context_.push_back({"@record", std::nullopt});
  for (const auto& [name, value] : context_texts_) {
    if (name != "@kind" && name != "@record") context_.push_back({name, std::string_view(value)});
  }
  context_stale_ = false;
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

void Reading::set_aside(BadRow row, std::int64_t row_no) {
  said_ = true;
  const std::string raw = printable(row.raw, raw_bytes_max);
  const std::string value = printable(row.value, raw_bytes_max);
  row.place.row_no = row_no;
  row.raw = raw;
  row.value = value;
  summary_.bad_rows++;
  bad_rows_++;
  if (row_no != 0) bad_data_rows_++;
  sink_.bad_row(row);
  if (format_.on_bad_row == FormatDocument::OnBadRow::reject_file) {
    reject("line " + std::to_string(row.place.line) + " is bad, and the format rejects the file for that: " +
           (row.field.empty() ? "it " : std::string(row.field) + " ") + std::string(row.reason));
  } else if (bad_rows_ >= DeclarativeReader::bad_rows_max) {
    reject("it has " + std::to_string(bad_rows_) + " bad rows: is it really in the format " + format_.name +
           "?");
  }
}

void Reading::bad(const BadRow& row) {
  if (stopped()) return;
  summary_.rows++;
  set_aside(row, ++rows_);
}

void Reading::bad_outside(const BadRow& row) {
  if (!stopped()) set_aside(row, 0);
}

bool Reading::classify(std::string_view type, BadRow& row, bool& skip) {
  const auto found = format_.record.kinds.find(type);
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

void Reading::record(const FrameRecord& framed) {
  if (stopped()) return;
  if (!columns_checked_) check_columns();
  if (stopped()) return;
  said_ = true;
  provisional_.clear();
  if (context_stale_) refresh_context();
  summary_.rows++;
  rows_++;
  context_[1].value = framed.type;
  const RawRecord record{framed.fields, context_};
  BadRow row;
  row.place = framed.place;
  row.raw = framed.raw;
  const auto bad_record = [&](std::string_view reason) {
    row.reason = reason;
    set_aside(row, rows_);
  };

  std::string_view type = framed.type;
  if (!format_.record.column.empty()) {
    const RawField* field = record.find(format_.record.column, record_position_);
    if (field != nullptr && field->value) type = mapping::trimmed(*field->value);
  }
  bool skip = false;
  context_[0].value.reset();
  if (!format_.record.kinds.empty()) {
    if (!classify(type, row, skip)) return bad_record("is a row type that the format does not know");
    context_[0].value = kind_;
  }
  if (!skip) {
    const NormaliseOutcome outcome = normaliser_.normalise(record, entry_, rejection_);
    if (outcome == NormaliseOutcome::rejected) {
      row.field = rejection_.field;
      row.column = rejection_.column;
      row.value = rejection_.value;
      return bad_record(rejection_.reason);
    }
    skip = outcome == NormaliseOutcome::skipped;
  }
  std::string reason;
  if (!tally_->weigh(type, record, row, reason)) return bad_record(reason);
  tally_->add();
  if (skip) {
    summary_.skipped++;
    return;
  }
  if (!entry_.business_date) entry_.business_date = summary_.business_date;
  if (summary_.entries == 0) summary_.account = entry_.account;
  one_account_ = one_account_ && summary_.account == entry_.account;
  summary_.entries++;
  sink_.row({rows_, framed.place.line, framed.place.byte_offset}, framed.raw, entry_);
}

void Reading::control(ControlLine line) {
  said_ = true;
  if (summary_.controls.size() < controls_max) {
    summary_.controls.push_back(std::move(line));
  } else if (summary_.controls.size() == controls_max) {
    summary_.controls.push_back(
        {"totals", "more than " + std::to_string(controls_max), "the rest of them is not compared", false});
  }
}

void Reading::warn(std::string text) {
  if (summary_.warnings.size() < warnings_max) summary_.warnings.push_back(std::move(text));
}

void Reading::reject(std::string reason) {
  if (!rejected_) rejected_ = std::move(reason);
}

void Reading::empty() {
  said_ = true;
  summary_.empty = true;
}

std::optional<Decimal> Reading::balance(const char* name) const {
  const auto found = summary_.meta.find(name);
  return found == summary_.meta.end() ? std::nullopt : Decimal::parse(found->second);
}

// What the statement says of itself is known now.
void Reading::close_statement() {
  if (!one_account_) summary_.account.reset();
  const auto account = summary_.meta.find("account");
  if (account != summary_.meta.end()) summary_.account = account->second;
  take_dates();
  summary_.opening_balance = balance("opening_balance");
  summary_.closing_balance = balance("closing_balance");
  if (stopped() || summary_.empty) return;
  tally_->close(summary_);
  if (bad_data_rows_ > 0 && summary_.verdict != ControlVerdict::mismatch) {
    // Nobody else would miss them: without totals of its own, the file's own rows are the total.
    summary_.controls.push_back(
        {"rows", std::to_string(summary_.rows), std::to_string(summary_.entries + summary_.skipped), false});
    summary_.verdict = ControlVerdict::mismatch;
  }
  if (summary_.verdict == ControlVerdict::missing) {
    if (format_.missing_control == FormatDocument::MissingControl::reject) {
      reject("it states no control totals");
    } else {
      warn("the file states no control totals");
    }
  }
}

void Reading::next_statement() {
  if (!in_statements_ && !said_) {
    file_facts_ = facts_;
    file_meta_ = summary_.meta;
  }
  in_statements_ = true;
  if (stopped() || !said_) return;
  close_statement();
  if (done_.size() + 1 >= DeclarativeReader::statements_max) {
    return reject("it has more than " + std::to_string(DeclarativeReader::statements_max) + " statements");
  }
  done_.push_back(std::move(summary_));
  begin_statement();
  sink_.next_statement();
}

std::vector<StatementSummary> Reading::finish() {
  if (!stopped() && !summary_.empty && !columns_checked_) check_columns();
  close_statement();
  done_.push_back(std::move(summary_));
  if (rejected_) {
    for (StatementSummary& statement : done_) statement.rejected = rejected_;
  }
  return std::exchange(done_, {});
}

}  // namespace

DeclarativeReader::DeclarativeReader(FormatDocument format, MappingDefaults defaults, TimeZones& zones)
    : format_(std::move(format)),
      normaliser_(Normaliser::compile(format_.map_text, complete(std::move(defaults), format_), zones)),
      framer_(make_framer(format_)) {}

std::vector<StatementSummary> DeclarativeReader::read(ByteSource& source, std::string_view file_name,
                                                      RowSink& sink, Interrupts& interrupts) {
  Reading reading(format_, normaliser_, file_name, sink);
  framer_->read(source, file_name, reading, interrupts);
  return reading.finish();
}

}  // namespace pg_reconcile::core

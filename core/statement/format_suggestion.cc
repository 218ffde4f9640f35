#include "core/statement/format_suggestion.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "core/error.h"
#include "core/mapping/expression.h"
#include "core/statement/charset.h"
#include "core/statement/column_guess.h"
#include "core/statement/csv_splitter.h"
#include "core/statement/format_document.h"
#include "core/statement/line_reader.h"

namespace pg_reconcile::core {
namespace {

namespace json = boost::json;
using mapping::trimmed;

constexpr std::size_t lines_max = 2000;
constexpr std::size_t columns_max = 512;

// GB18030 has most bytes that are no ASCII in pairs; Latin-1 has them alone between letters.
Charset charset_of(std::string_view bytes) {
  if (const auto mark = byte_order_mark(bytes)) return mark->charset;
  if (is_valid_utf8_prefix(bytes)) return Charset::utf8;
  const auto zeros = [&](std::size_t from) {
    std::size_t count = 0;
    for (std::size_t i = from; i < bytes.size(); i += 2) count += bytes[i] == '\0' ? 1U : 0U;
    return count;
  };
  if (zeros(1) * 4 > bytes.size()) return Charset::utf16le;
  if (zeros(0) * 4 > bytes.size()) return Charset::utf16be;
  std::size_t alone = 0;
  std::size_t in_runs = 0;
  for (std::size_t i = 0; i < bytes.size();) {
    std::size_t end = i;
    while (end < bytes.size() && static_cast<unsigned char>(bytes[end]) >= 0x80) end++;
    (end - i == 1 ? alone : in_runs) += end - i;
    i = std::max(end, i + 1);
  }
  return in_runs > alone ? Charset::gb18030 : Charset::latin1;
}

std::vector<std::string> lines_of(std::string_view bytes, Charset charset, bool torn_end) {
  MemorySource source(bytes);
  NoInterrupts interrupts;
  LineReader reader(source, {charset}, interrupts);
  std::vector<std::string> lines;
  for (Line line; lines.size() < lines_max && reader.next(line);) {
    if (torn_end && !line.terminated) break;
    if (line.valid && !line.too_long) lines.emplace_back(line.text);
  }
  return lines;
}

std::vector<std::string> split(const std::string& line, const CsvShape& shape) {
  CsvSplitter splitter(shape);
  std::string problem;
  const auto* values = splitter.split(line, problem);
  std::vector<std::string> out;
  if (values == nullptr || values->size() > columns_max) return out;
  for (std::string_view value : *values) out.emplace_back(trimmed(value));
  return out;
}

// A table: lines of one width, and where they begin and end.
struct Table {
  CsvShape shape;
  std::size_t width = 0;
  std::size_t score = 0;
  std::size_t first = 0;  // of the lines that are wide enough
  std::vector<std::vector<std::string>> rows;
};

Table table_of(const std::vector<std::string>& lines, const CsvShape& shape) {
  Table table;
  table.shape = shape;
  std::vector<std::vector<std::string>> all;
  std::map<std::size_t, std::size_t> widths;
  for (const std::string& line : lines) {
    all.push_back(split(line, shape));
    if (all.back().size() > 1) widths[all.back().size()]++;
  }
  for (const auto& [width, count] : widths) {
    const std::size_t score = count * (width - 1);
    if (score > table.score) table.score = score, table.width = width;
  }
  bool found = false;
  for (std::size_t i = 0; i < all.size(); i++) {
    if (table.width == 0 || all[i].size() != table.width) continue;
    if (!found) table.first = i;
    found = true;
    table.rows.push_back(std::move(all[i]));
  }
  return table;
}

Table best_table(const std::vector<std::string>& lines) {
  Table best;
  for (char separator : {',', ';', '\t', '|'}) {
    for (char quote : {'"', '\0'}) {
      CsvShape shape;
      shape.separator = separator;
      shape.quote = quote;
      Table table = table_of(lines, shape);
      if (table.score > best.score) best = std::move(table);
    }
  }
  // A mark before every value, as WeChat has it: the lines of the most rows start with it.
  std::size_t marked = 0;
  for (const auto& row : best.rows) marked += row.front().starts_with('`') ? 1U : 0U;
  if (marked * 2 > best.rows.size()) {
    CsvShape shape = best.shape;
    shape.prefix = "`";
    shape.quote = '\0';
    best = table_of(lines, shape);
  }
  return best;
}

bool looks_like_header(const std::vector<std::string>& row) {
  std::size_t named = 0;
  for (const std::string& value : row) {
    if (value.empty()) continue;
    const ColumnGuess guess = guess_column({"", {value}});
    if (!guess.number_format.empty() || !guess.date_format.empty()) return false;
    named++;
  }
  return named * 2 > row.size();
}

// Names as the reader of the file makes them: trimmed, narrow parentheses, repeated ones numbered.
std::vector<std::string> column_names(const std::vector<std::string>& header) {
  std::vector<std::string> names;
  for (const std::string& value : header) {
    const std::string plain = column_name(value);
    std::string name = plain;
    for (int n = 2; std::find(names.begin(), names.end(), name) != names.end(); n++) {
      name = plain + " (" + std::to_string(n) + ")";
    }
    names.push_back(name);
  }
  return names;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}/").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

class Suggestion {
 public:
  Suggestion(const Table& table, Charset charset, const std::vector<std::string>& last_lines);
  [[nodiscard]] std::string document();

 private:
  struct Column {
    std::string name;
    std::string_view field;
    ColumnGuess guess;
    std::size_t filled = 0;
  };

  const Table& table_;
  Charset charset_;
  const std::vector<std::string>& last_lines_;
  bool has_header_;
  std::vector<Column> columns_;
  std::vector<std::string> notes_;
  std::vector<std::string> used_;  // columns by which the header is known
  json::object map_;

  [[nodiscard]] const Column* by_field(std::string_view field) const;
  void use(const Column& column);
  json::object column(const Column& column);
  json::object amount(const Column& column);
  void map_identifiers();
  void map_kind_and_status();
  void map_amounts();
  void map_time();
  [[nodiscard]] json::object header() const;
  [[nodiscard]] std::optional<std::string> stop() const;
};

Suggestion::Suggestion(const Table& table, Charset charset, const std::vector<std::string>& last_lines)
    : table_(table),
      charset_(charset),
      last_lines_(last_lines),
      has_header_(looks_like_header(table.rows.front())) {
  std::vector<std::string> names = column_names(table.rows.front());
  for (std::size_t i = 0; i < table.width; i++) {
    if (!has_header_) names[i] = "column " + std::to_string(i + 1);
    ColumnValues values{names[i], {}};
    for (std::size_t r = has_header_ ? 1 : 0; r < table.rows.size(); r++) {
      if (!table.rows[r][i].empty()) values.values.push_back(table.rows[r][i]);
    }
    columns_.push_back({names[i], has_header_ ? field_of_name(names[i]) : std::string_view(),
                        guess_column(values), values.values.size()});
  }
}

const Suggestion::Column* Suggestion::by_field(std::string_view field) const {
  for (const Column& column : columns_) {
    if (column.field == field && column.filled > 0) return &column;
  }
  return nullptr;
}

void Suggestion::use(const Column& column) {
  if (std::find(used_.begin(), used_.end(), column.name) == used_.end()) used_.push_back(column.name);
}

json::object Suggestion::column(const Column& column) {
  use(column);
  return {{"column", column.name}, {"trim", true}};
}

json::object Suggestion::amount(const Column& column) {
  use(column);
  json::object out{{"column", column.name}};
  if (column.guess.number_format != "1234.56" && !column.guess.number_format.empty()) {
    out["format"] = column.guess.number_format;
  }
  return out;
}

void Suggestion::map_identifiers() {
  const Column* order = by_field("order_key");
  const Column* reference = by_field("channel_ref");
  if (order == nullptr && reference == nullptr) {
    for (const Column& column : columns_) {
      if (column.guess.is_identifier && column.field.empty()) {
        order = &column;
        notes_.push_back("order_key is guessed: " + column.name);
        break;
      }
    }
  }
  if (order == nullptr) order = reference;
  if (order == nullptr) {
    notes_.emplace_back("no column looks like an order's number");
    map_["order_key"] = json::object{{"const", nullptr}};
  } else {
    map_["order_key"] = column(*order);
    const Column* refund = by_field("refund_no");
    if (refund != nullptr) {
      use(*refund);
      map_["match_key"] = json::object{
          {"concat", json::array{order->name,
                                 json::object{{"column", refund->name}, {"null_if", json::array{"", "0"}}}}},
          {"separator", "/"},
          {"skip_empty", true},
          {"trim", true}};
    } else {
      map_["match_key"] = column(*order);
    }
  }
  const Column* account = by_field("account");
  if (account != nullptr && !account->guess.distinct.empty()) {
    map_["account"] = column(*account);
  } else {
    map_["account"] = json::object{{"column", "@account"}};  // the source's
  }
  if (reference != nullptr) map_["channel_ref"] = column(*reference);
  if (const Column* original = by_field("original_ref")) map_["original_ref"] = column(*original);
}

void Suggestion::map_kind_and_status() {
  const Column* kind = by_field("kind");
  if (kind != nullptr && !kind->guess.distinct.empty()) {
    json::object words;
    for (const std::string& word : kind->guess.distinct) {
      const std::string_view known = kind_of_word(word);
      if (!known.empty()) words[word] = known;
    }
    json::object rule = column(*kind);
    rule["map"] = words;
    rule["else"] = "other";
    map_["kind"] = rule;
    if (words.size() < kind->guess.distinct.size())
      notes_.push_back("kinds of " + kind->name + " that are not in its map become other");
  } else {
    map_["kind"] = json::object{{"const", "payment"}};
    notes_.emplace_back("every row is taken for a payment");
  }
  const Column* status = by_field("status");
  map_["status"] = json::object{{"const", "success"}};
  if (status == nullptr || status->guess.distinct.empty()) return;
  json::object words;
  for (const std::string& word : status->guess.distinct) {
    const std::string_view known = status_of_word(word);
    if (!known.empty()) words[word] = known;
  }
  if (words.empty())
    return notes_.push_back("no word of " + status->name + " is known: every row counts as success");
  if (words.size() < status->guess.distinct.size())
    notes_.push_back("rows with other words in " + status->name + " are set aside: add them to its map");
  json::object rule = column(*status);
  rule["map"] = words;
  rule["default"] = "success";
  map_["status"] = rule;
  map_["source_status"] = column(*status);
}

void Suggestion::map_amounts() {
  const Column* credit = by_field("credit");
  const Column* debit = by_field("debit");
  const Column* amount_column = by_field("amount");
  if (amount_column == nullptr && (credit == nullptr || debit == nullptr)) {
    for (const Column& column : columns_) {
      if (!column.guess.number_format.empty() && column.field.empty() && column.guess.distinct.size() != 1) {
        amount_column = &column;
        notes_.push_back("amount is guessed: " + column.name);
        break;
      }
    }
    if (amount_column == nullptr) amount_column = credit != nullptr ? credit : debit;
    if (amount_column == nullptr) amount_column = by_field("settle_amount");
    if (amount_column == nullptr) amount_column = by_field("net");
  }
  if (credit != nullptr && debit != nullptr) {
    use(*credit);
    use(*debit);
    json::object rule{
        {"columns", json::array{credit->name, debit->name}}, {"abs", true}, {"sign", "two_columns"}};
    const std::string& format =
        credit->guess.number_format.empty() ? debit->guess.number_format : credit->guess.number_format;
    if (!format.empty() && format != "1234.56") rule["format"] = format;
    map_["amount"] = rule;
  } else if (amount_column != nullptr) {
    json::object rule = amount(*amount_column);
    const Column* direction = by_field("direction");
    json::array negative;
    if (direction != nullptr) {
      for (const std::string& word : direction->guess.distinct) {
        const bool out = word == "支出" || word == "支" || word == "借" || word == "D" || word == "DR" ||
                         word == "Debit" || word == "DBIT" || word == "debit" || word == "DEBIT" ||
                         word == "out" || word == "OUT" || word == "S";
        if (out) negative.emplace_back(word);
      }
    }
    if (!negative.empty()) {
      use(*direction);
      rule["sign"] = json::object{{"mark_column", direction->name}, {"negative", negative}};
    } else {
      rule["sign"] = json::object{{"by", "kind"}, {"negative", json::array{"refund", "chargeback"}}};
    }
    map_["amount"] = rule;
  } else {
    throw Error(
        sqlstate::invalid_parameter_value, "no format can be suggested for this file",
        "It has a table of " + std::to_string(table_.width) + " columns, and none of them holds amounts.",
        "Write the document by hand: docs/formats.md; reconcile.file_format has examples.");
  }
  for (const char* field : {"fee", "net", "settle_amount"}) {
    const Column* found = by_field(field);
    if (found != nullptr && !found->guess.number_format.empty()) map_[field] = amount(*found);
  }
  if (map_.contains("fee") && map_.contains("net")) map_.at("fee").as_object()["net_decides"] = true;
  const Column* currency = by_field("currency");
  const bool codes =
      currency != nullptr && std::all_of(currency->guess.distinct.begin(), currency->guess.distinct.end(),
                                         [](const std::string& code) { return code.size() == 3; });
  if (codes && !currency->guess.distinct.empty()) {
    map_["currency"] = column(*currency);
  } else {
    map_["currency"] = json::object{{"column", "@currency"}};  // the channel's
  }
}

void Suggestion::map_time() {
  const Column* date = nullptr;
  for (const Column& column : columns_) {
    if (column.guess.date_format.empty() || column.field == "value_date" || column.field == "order_key" ||
        column.field == "channel_ref")
      continue;
    const bool better = date == nullptr || (date->field != "date" && column.field == "date") ||
                        (date->field == column.field && !date->guess.has_time && column.guess.has_time);
    if (better) date = &column;
  }
  if (date == nullptr) {
    map_["business_date"] = json::object{{"column", "@business_date"}};
    notes_.emplace_back(
        "no column holds dates: the day is taken from the file's name (yyyy-MM-dd or yyyyMMdd)");
    return;
  }
  if (!date->guess.also_fits.empty()) {
    notes_.push_back(date->name + " may be written " + date->guess.also_fits +
                     ", too: look at days after the 12th");
  }
  const Column* time = by_field("time");
  json::object rule{{"column", date->name}};
  use(*date);
  if (date->guess.date_format != "iso8601") rule["format"] = date->guess.date_format;
  if (!date->guess.has_time && time != nullptr && time != date) {
    use(*time);
    const std::string pattern = date->guess.date_format == "iso8601" ? "yyyy-MM-dd" : date->guess.date_format;
    map_["occurred_at"] = json::object{{"concat", json::array{date->name, time->name}},
                                       {"separator", " "},
                                       {"format", json::array{pattern + " HH:mm:ss", pattern + " HH:mm"}}};
  } else {
    map_[date->guess.has_time ? "occurred_at" : "business_date"] = rule;
  }
  const Column* value_date = by_field("value_date");
  if (value_date != nullptr && !value_date->guess.date_format.empty()) {
    json::object day{{"column", value_date->name}};
    if (value_date->guess.date_format != "iso8601") day["format"] = value_date->guess.date_format;
    use(*value_date);
    map_["value_date"] = day;
  }
}

json::object Suggestion::header() const {
  json::array names;
  if (!has_header_) {
    for (const Column& column : columns_) names.emplace_back(column.name);
    return {{"names", names}};
  }
  for (const std::string& name : used_) {
    // A name that was numbered here is not written so in the file.
    const bool written = std::any_of(table_.rows.front().begin(), table_.rows.front().end(),
                                     [&](const std::string& value) { return column_name(value) == name; });
    if (written && !name.empty()) names.emplace_back(name);
  }
  if (names.empty()) names.emplace_back(column_name(table_.rows.front().front()));
  return {{"columns", names}};
}

// The line below the table that ends it: its leading words, without the figures.
std::optional<std::string> Suggestion::stop() const {
  std::size_t last_row = last_lines_.size();
  for (std::size_t i = last_lines_.size(); i > 0; i--) {
    if (split(last_lines_[i - 1], table_.shape).size() == table_.width) {
      last_row = i;
      break;
    }
  }
  if (last_row == last_lines_.size()) return std::nullopt;
  for (std::size_t i = last_row; i < last_lines_.size(); i++) {
    const std::string_view line = last_lines_[i];
    std::size_t end = 0;
    while (end < line.size() && end < 24 && !(line[end] >= '0' && line[end] <= '9') &&
           line[end] != table_.shape.separator)
      end++;
    while (end > 0 && end < line.size() && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) end--;
    if (!trimmed(line.substr(0, end)).empty()) return "^" + escaped(line.substr(0, end));
  }
  return std::nullopt;
}

std::string Suggestion::document() {
  map_identifiers();
  map_kind_and_status();
  map_amounts();
  map_time();
  map_["attributes"] = "*";
  if (!has_header_) notes_.emplace_back("the file has no line of names: columns are numbered");

  json::object frame{{"type", "csv"}, {"separator", std::string(1, table_.shape.separator)}};
  frame["quote"] =
      table_.shape.quote == '\0' ? json::value(nullptr) : json::value(std::string(1, table_.shape.quote));
  if (!table_.shape.prefix.empty()) frame["prefix"] = table_.shape.prefix;
  const auto numbers = map_.at("amount").as_object().find("format");
  if (numbers != map_.at("amount").as_object().end()) frame["number_format"] = numbers->value();

  std::string description = "Suggested";
  for (const std::string& note : notes_) description += "; " + note;
  json::object out;
  out["description"] = description;
  out["book"] = by_field("balance") != nullptr && by_field("order_key") == nullptr ? "bank" : "trade";
  out["decode"] = json::object{{"charsets", json::array{charset_name(charset_)}}};
  out["frame"] = frame;
  out["meta"] = json::object{
      {"business_date",
       json::array{
           json::object{{"in", "file_name"},
                        {"match", "(?<!\\d)(20\\d{2}-\\d{2}-\\d{2})(?!.*\\d{4}-\\d{2}-\\d{2})"}},
           json::object{
               {"in", "file_name"}, {"match", "(?<!\\d)(20\\d{6})(?!\\d)"}, {"format", "yyyyMMdd"}}}}};
  out["header"] = header();
  if (const auto end = stop()) out["stop"] = json::object{{"match", *end}};
  out["map"] = map_;
  out["row_check"] = json::object{{"net", "0.00"}};
  return json::serialize(out);
}

}  // namespace

std::string suggest_format(std::string_view head, std::string_view tail) {
  const Charset charset = charset_of(head);
  const std::vector<std::string> lines = lines_of(head, charset, !tail.empty());
  const Table table = best_table(lines);
  constexpr std::size_t rows_min = 2;
  if (table.rows.size() < rows_min) {
    throw Error(sqlstate::invalid_parameter_value, "no format can be suggested for this file",
                "No table was found in it: " + std::to_string(lines.size()) +
                    " lines were looked at, split at comma, semicolon, tab and |.",
                "Write the document by hand: docs/formats.md; reconcile.file_format has examples.");
  }
  // The tail may start in the middle of a line, and of a character.
  std::vector<std::string> last = tail.empty() ? lines : lines_of(tail, charset, false);
  return Suggestion(table, charset, last).document();
}

}  // namespace pg_reconcile::core

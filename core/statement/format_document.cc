#include "core/statement/format_document.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/mapping/expression.h"
#include "core/mapping/mapping_compiler.h"
#include "core/mapping/vocabulary.h"
#include "core/statement/framers.h"

namespace pg_reconcile::core {
namespace {

constexpr std::size_t matched_bytes_max = 4096;
constexpr std::int64_t entries_limit = 100000;
constexpr std::int64_t bytes_limit = 1099511627776;

boost::regex regex_at(const JsonNode& node) {
  try {
    return boost::regex(node.text(), boost::regex::perl | boost::regex::optimize);
  } catch (const boost::regex_error& error) {
    node.fail(std::string("expected a regular expression, but ") + error.what());
  }
}

void read_unwrap(const JsonNode& node, FormatDocument& out) {
  node.allow_only({"containers", "content", "entries_max", "bytes_max", "ratio_max"});
  if (const auto containers = node.find("containers")) {
    out.unwrap.containers.clear();
    for (const JsonNode& item : containers->items()) {
      out.unwrap.containers.push_back(item.text_in({"zip", "gzip", "tar", "none"}));
    }
  }
  if (const auto content = node.find("content")) out.unwrap.content = content->texts();
  if (const auto most = node.find("entries_max")) out.unwrap.entries_max = most->integer(1, entries_limit);
  if (const auto most = node.find("bytes_max")) out.unwrap.bytes_max = most->integer(1, bytes_limit);
  if (const auto most = node.find("ratio_max")) out.unwrap.ratio_max = most->integer(1, 100000);
}

void read_decode(const JsonNode& node, FormatDocument& out) {
  node.allow_only({"charsets"});
  out.charsets.clear();
  for (const JsonNode& item :
       node.at("charsets", "charsets to try, such as [\"utf-8\", \"gb18030\"]").items()) {
    const auto charset = charset_by_name(item.text());
    if (!charset) item.expected("utf-8, gb18030, utf-16le, utf-16be, latin1 or shift_jis");
    out.charsets.push_back(*charset);
  }
  if (out.charsets.empty()) node.expected("at least one charset");
}

char one_character(const JsonNode& node, std::string_view expected) {
  const std::string text = node.text();
  if (text.size() != 1 || text[0] == '\n' || text[0] == '\r' || static_cast<unsigned char>(text[0]) >= 0x80) {
    node.expected(expected);
  }
  return text[0];
}

// What frames have in common, and the shape of separated values, by which control tables are read too.
// make_framer reads the rest.
void read_frame(const JsonNode& node, FormatDocument& out) {
  const JsonNode type = node.at("type", "the shape of the file: " + frame_type_names());
  out.frame_type = type.is_text() ? type.text() : std::string();
  if (find_frame_type(out.frame_type) == nullptr) type.expected(frame_type_names());
  out.frame = node;
  if (const auto separator = node.find("separator")) {
    out.shape.separator = one_character(*separator, "one ASCII character, such as \",\" or \"\\t\"");
  }
  if (const auto quote = node.find("quote")) {
    out.shape.quote =
        quote->is_null() ? '\0' : one_character(*quote, "one ASCII character, or null for none");
  }
  if (out.shape.quote == out.shape.separator) node.fail("the quote and the separator are the same character");
  if (const auto prefix = node.find("prefix")) out.shape.prefix = prefix->text();
  if (const auto column = node.find("free_text")) out.free_text = column_name(column->text());
  if (const auto comment = node.find("comment")) out.comment = regex_at(*comment);
  if (const auto format = node.find("number_format")) {
    const auto known = NumberFormat::named(format->text());
    if (!known) format->expected("how amounts are written: " + std::string(NumberFormat::names()));
    out.number_format = *known;
  }
}

bool is_date_fact(std::string_view name) {
  return name == "business_date" || name == "period_start" || name == "period_end";
}

void read_record_fact(const std::string& name, const JsonNode& node, FormatDocument& out, TimeZones& zones) {
  node.allow_only({"record", "value"});
  MetaRule rule;
  rule.name = name;
  rule.place = MetaRule::Place::record;
  rule.record = node.at("record", "the type of a record").text();
  const bool balance = name == "opening_balance" || name == "closing_balance";
  rule.said =
      mapping::compile_expression(node.at("value", "where in the record it stands: a column, or a mapping"),
                                  balance              ? FieldType::amount
                                  : is_date_fact(name) ? FieldType::date
                                                       : FieldType::text,
                                  zones);
  out.meta.push_back(std::move(rule));
}

void read_meta_rule(const std::string& name, const JsonNode& node, FormatDocument& out, TimeZones& zones) {
  if (node.is_object() && node.find("record")) return read_record_fact(name, node, out, zones);
  node.allow_only({"match", "value", "in", "format"});
  MetaRule rule;
  rule.name = name;
  rule.pattern = regex_at(node.at("match", "a regular expression with one group"));
  if (const auto value = node.find("value")) {
    rule.value = value->text();
  } else if (rule.pattern.mark_count() < 1) {
    node.at("match", "").expected("a regular expression with one group in parentheses");
  }
  if (const auto place = node.find("in")) {
    if (place->text_in({"lines", "file_name"}) == "file_name") rule.place = MetaRule::Place::file_name;
  }
  if (const auto format = node.find("format")) {
    std::string problem;
    rule.date_format = TimestampFormat::compile(format->text(), problem);
    if (!rule.date_format) format->fail("expected a date pattern such as yyyy-MM-dd, but " + problem);
  } else if (is_date_fact(name)) {
    rule.date_format = TimestampFormat::iso8601();
  }
  out.meta.push_back(std::move(rule));
}

void read_meta(const JsonNode& node, FormatDocument& out, TimeZones& zones) {
  for (const auto& [name, rules] : node.members()) {
    if (rules.is_array()) {
      for (const JsonNode& rule : rules.items()) read_meta_rule(name, rule, out, zones);
    } else {
      read_meta_rule(name, rules, out, zones);
    }
  }
}

void read_header_names(const JsonNode& node, FormatDocument& out) {
  if (const auto aliases = node.find("aliases")) {
    for (const auto& [from, to] : aliases->members())
      out.aliases.emplace(column_name(from), column_name(to.text()));
  }
  if (const auto optional = node.find("optional")) {
    for (const std::string& name : optional->texts()) out.optional_columns.insert(column_name(name));
  }
}

void read_header(const JsonNode& node, FormatDocument& out) {
  node.allow_only({"columns", "names", "aliases", "optional"});
  if (const auto columns = node.find("columns")) {
    for (const std::string& name : columns->texts()) out.header_columns.push_back(column_name(name));
  }
  if (const auto names = node.find("names")) {
    for (const std::string& name : names->texts()) out.column_names.push_back(column_name(name));
  }
  if (out.header_columns.empty() == out.column_names.empty()) {
    node.expected(
        "either \"columns\" (names by which the header line is known) or \"names\" (the file has no header)");
  }
  read_header_names(node, out);
}

void read_stop(const JsonNode& node, FormatDocument& out) {
  node.allow_only({"match", "required"});
  out.stop = regex_at(node.at("match", "a regular expression for the line that ends the data"));
  if (const auto required = node.find("required")) out.stop_required = required->boolean();
}

// The parts that say where the rows of a frame are.
void read_table_parts(const JsonNode& root, FormatDocument& out) {
  const FrameType& type = *find_frame_type(out.frame_type);
  const auto stop = root.find("stop");
  if (stop && !type.takes_stop)
    stop->fail("the frame " + out.frame_type + " has no such line: leave this out");
  if (stop) read_stop(*stop, out);
  if (type.is_table) return read_header(root.at("header", "how the header line is known"), out);
  const auto header = root.find("header");
  if (!header) return;
  if (out.frame_type != "tagged") {
    header->fail("the frame " + out.frame_type + " has no rows below a line of names: leave this out");
  }
  header->allow_only({"aliases", "optional"});
  read_header_names(*header, out);
}

void read_record(const JsonNode& node, FormatDocument& out) {
  node.allow_only({"column", "kinds", "else"});
  if (const auto column = node.find("column")) {
    out.record.column = column_name(column->text());
  } else if (find_frame_type(out.frame_type)->is_table) {
    (void)node.at("column", "the column that says what a row is");
  }
  const JsonNode kinds = node.at("kinds", "an object: row type -> entry kind or \"skip\"");
  for (const auto& [type, kind] : kinds.members()) {
    const std::string word = kind.text();
    if (word == "skip") {
      out.record.kinds.emplace(type, std::nullopt);
    } else if (contains(entry_kinds, word)) {
      out.record.kinds.emplace(type, word);
    } else {
      kind.expected("\"skip\" or an entry kind (" + listed(entry_kinds) + ")");
    }
  }
  if (out.record.kinds.empty()) kinds.expected("at least one row type");
  if (const auto otherwise = node.find("else")) {
    out.record.skip_unknown = otherwise->text_in({"reject", "skip"}) == "skip";
  }
}

Total read_total(const JsonNode& node, const FormatDocument& format, TimeZones& zones,
                 bool of_balance = false) {
  node.allow_only({"name", "count", "sum", "of", "where", "nonzero", "abs", "round", "tolerance", "balance"});
  if (const auto balance = node.find("balance"); balance && !of_balance)
    balance->fail("is no part of a total");
  Total total;
  const auto count = node.find("count");
  const auto sum = node.find("sum");
  if (count.has_value() == sum.has_value())
    node.expected("either \"count\": true or \"sum\": \"a source column\"");
  if (count && !count->boolean()) count->expected("true");
  if (sum) {
    total.kind = Total::Kind::sum;
    if (sum->is_object()) {
      total.amount = mapping::compile_expression(*sum, FieldType::amount, zones);
      std::vector<std::string> columns;
      total.amount->collect_columns(columns);
      for (const std::string& column : columns)
        total.column.append(total.column.empty() ? "" : ", ").append(column);
    } else {
      total.column = column_name(sum->text());
    }
  }
  if (const auto of = node.find("of")) {
    total.types = of->texts();
    const std::vector<std::string> framed = make_framer(format)->types();
    for (const std::string& type : total.types) {
      if (std::find(framed.begin(), framed.end(), type) != framed.end()) continue;
      if (!format.record.kinds.contains(type)) of->expected("row types that \"record\" knows");
    }
  }
  if (const auto where = node.find("where")) {
    for (const auto& [column, values] : where->members())
      total.where.emplace(column_name(column), values.texts());
    if (total.where.empty()) where->expected("an object: column -> the values with which a row counts");
  }
  if (const auto nonzero = node.find("nonzero")) {
    if (sum) nonzero->fail("only rows are counted by it");
    total.nonzero = column_name(nonzero->text());
  }
  if (const auto abs = node.find("abs")) {
    if (!sum) abs->fail("only a sum has a magnitude");
    total.by_magnitude = abs->boolean();
  }
  if (const auto round = node.find("round")) {
    if (!sum) round->fail("only a sum is rounded");
    total.rounded_to = static_cast<int>(round->integer(0, Decimal::scale_digits));
  }
  if (const auto tolerance = node.find("tolerance")) {
    const auto value = Decimal::parse(tolerance->text());
    if (!value || value->is_negative()) tolerance->expected("an amount such as \"0.01\"");
    total.tolerance = *value;
  }
  std::string types;
  for (const std::string& type : total.types) types += type + " ";
  total.name = types + (sum ? total.column : "count");
  if (const auto name = node.find("name")) total.name = name->text();
  return total;
}

void read_control(const JsonNode& node, FormatDocument& out, TimeZones& zones) {
  for (const JsonNode& item : node.items()) {
    ControlRule rule;
    if (const auto match = item.find("match")) {
      item.allow_only({"match", "totals"});
      rule.pattern = regex_at(*match);
      const JsonNode totals = item.at("totals", "an array with one total per group of \"match\"");
      for (const JsonNode& total : totals.items()) rule.totals.push_back(read_total(total, out, zones));
      if (rule.totals.empty() || rule.totals.size() != rule.pattern->mark_count()) {
        totals.fail("expected one total per group of \"match\", which has " +
                    std::to_string(rule.pattern->mark_count()));
      }
    } else if (const auto balance = item.find("balance")) {
      if (!balance->boolean()) balance->expected("true");
      rule.balance = true;
      rule.totals.push_back(read_total(item, out, zones, true));
      if (rule.totals.back().kind != Total::Kind::sum)
        balance->fail("needs \"sum\": the movements' source column");
      if (!item.find("name")) rule.totals.back().name = "closing balance";
    } else {
      if (const auto record = item.find("record")) {
        item.allow_only({"record", "totals"});
        rule.record = record->text();
      } else {
        item.allow_only({"table", "totals"});
        const JsonNode table = item.at(
            "table",
            "\"match\", \"record\", \"balance\", or \"table\" with names by which the summary line is known");
        for (const std::string& name : table.texts()) rule.table_names.push_back(column_name(name));
        if (rule.table_names.empty()) table.expected("at least one name");
      }
      const JsonNode totals = item.at("totals", "an object: name in the summary -> total");
      for (const auto& [name, total] : totals.members()) {
        Total read = read_total(total, out, zones);
        if (!total.find("name")) read.name = name;
        rule.table_totals.emplace(column_name(name), rule.totals.size());
        rule.totals.push_back(std::move(read));
      }
      if (rule.totals.empty()) totals.expected("at least one total");
    }
    out.controls.push_back(std::move(rule));
  }
}

void read_row_check(const JsonNode& node, FormatDocument& out) {
  node.allow_only({"net"});
  const JsonNode net =
      node.at("net", "the tolerance of settle_amount - fee = net, such as \"0.00\", or null");
  if (net.is_null()) {
    out.net_tolerance.reset();
    return;
  }
  out.net_tolerance = Decimal::parse(net.text());
  if (!out.net_tolerance || out.net_tolerance->is_negative())
    net.expected("an amount such as \"0.00\", or null");
}

void read_defaults(const JsonNode& node, FormatDocument& out, TimeZones& zones) {
  node.allow_only({"currency", "time_zone"});
  if (const auto currency = node.find("currency")) out.default_currency = currency->text();
  if (const auto zone = node.find("time_zone")) {
    out.default_time_zone = zone->text();
    if (!zones.offset_of_local(out.default_time_zone, 0)) zone->expected("a time zone such as Asia/Shanghai");
  }
}

// The mapping is compiled as it will be, with everything that a source could add: what is then still missing,
// no source can add.
void check_map(const FormatDocument& format, const Framer& framer, TimeZones& zones, const JsonNode& map) {
  MappingDefaults defaults;
  defaults.channel = "?";
  defaults.account = "?";
  defaults.book = format.book;
  defaults.currency = format.default_currency.empty() ? "XXX" : format.default_currency;
  defaults.time_zone = format.default_time_zone.empty() ? "UTC" : format.default_time_zone;
  const Normaliser normaliser = Normaliser::compile(map, defaults, zones);
  const std::vector<std::string> known = framer.columns();
  for (const std::string& column : normaliser.columns()) {
    if (column.starts_with("@")) continue;
    if (!known.empty() && std::find(known.begin(), known.end(), column) == known.end()) {
      std::string names;
      for (const std::string& name : known) names.append(names.empty() ? "" : ", ").append(name);
      names.insert(0, "\" is none of the frame's: ").insert(0, column).insert(0, "column \"");
      map.fail(names);
    }
    if (column_name(column) == column) continue;
    map.fail("column \"" + column + "\" is written \"" + column_name(column) +
             "\" after normalisation (outer white space gone, narrow parentheses)");
  }
}

}  // namespace

std::string column_name(std::string_view text) {
  constexpr std::string_view wide_open = "\xEF\xBC\x88";   // （
  constexpr std::string_view wide_close = "\xEF\xBC\x89";  // ）
  std::string name(mapping::trimmed(text));
  for (const auto& [wide, narrow] : {std::pair(wide_open, "("), std::pair(wide_close, ")")}) {
    for (std::size_t at = name.find(wide); at != std::string::npos; at = name.find(wide)) {
      name.replace(at, wide.size(), narrow);
    }
  }
  return name;
}

bool search(std::string_view text, const boost::regex& pattern, boost::cmatch& match) {
  if (text.size() > matched_bytes_max) return false;
  try {
    return boost::regex_search(text.data(), text.data() + text.size(), match, pattern);
  } catch (const std::runtime_error&) {  // the pattern needs too many steps on this line
    return false;
  }
}

FormatDocument FormatDocument::compile(std::string_view json, TimeZones& zones) {
  const JsonNode root = JsonNode::parse(json, "format");
  root.allow_only({"format", "description", "book", "defaults", "unwrap", "decode", "empty", "frame", "meta",
                   "header", "stop", "record", "map", "control", "row_check", "on_bad_row", "missing_control",
                   "reissue"});
  FormatDocument out;
  out.unwrap.containers = {"zip", "gzip", "none"};
  out.charsets = {Charset::utf8, Charset::gb18030};
  if (const auto name = root.find("format")) out.name = name->text();
  const JsonNode book = root.at("book", "the book of the entries (" + listed(books) + ")");
  out.book = book.text();
  if (!contains(books, out.book)) book.expected("a book (" + listed(books) + ")");
  if (const auto defaults = root.find("defaults")) read_defaults(*defaults, out, zones);
  if (const auto unwrap = root.find("unwrap")) read_unwrap(*unwrap, out);
  if (const auto decode = root.find("decode")) read_decode(*decode, out);
  if (const auto empty = root.find("empty")) {
    empty->allow_only({"content"});
    out.empty_texts = empty->at("content", "texts that say that there were no transactions").texts();
  }
  read_frame(root.at("frame", "how rows are separated, such as {\"type\": \"csv\"}"), out);
  if (const auto meta = root.find("meta")) read_meta(*meta, out, zones);
  read_table_parts(root, out);
  if (const auto record = root.find("record")) read_record(*record, out);
  const JsonNode map = root.at("map", "the mapping: canonical field -> where it comes from");
  const std::unique_ptr<Framer> framer = make_framer(out);
  check_map(out, *framer, zones, map);
  out.map_text = map.serialized();
  if (const auto control = root.find("control")) read_control(*control, out, zones);
  if (const auto check = root.find("row_check")) read_row_check(*check, out);
  if (const auto choice = root.find("on_bad_row")) {
    if (choice->text_in({"quarantine", "reject_file"}) == "reject_file")
      out.on_bad_row = OnBadRow::reject_file;
  }
  if (const auto choice = root.find("missing_control")) {
    if (choice->text_in({"warn", "reject"}) == "reject") out.missing_control = MissingControl::reject;
  }
  if (const auto choice = root.find("reissue")) {
    if (choice->text_in({"replace", "append"}) == "append") out.reissue = Reissue::append;
  }
  return out;
}

}  // namespace pg_reconcile::core

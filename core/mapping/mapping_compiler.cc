#include "core/mapping/mapping_compiler.h"

#include <algorithm>

#include "core/money/currency.h"

namespace pg_reconcile::core::mapping {
namespace {

constexpr int scale_max = 12;

// What a node passes on to the nodes below it, unless they say otherwise.
struct Inherited {
  bool trim = false;
  std::vector<std::string> null_if;
  NumberFormat number_format;
  int scale = 0;
  std::optional<Field> scale_of_currency;
  std::optional<Field> scale_of_currency_or;
  std::vector<TimestampFormat> formats;
  std::string time_zone;
  std::string year_near;
};

class Compiler {
 public:
  Compiler(const MappingDefaults& defaults, TimeZones& zones) : defaults_(defaults), zones_(zones) {}

  CompiledMapping compile(const JsonNode& document);
  Expression compile_alone(const JsonNode& node, FieldType type);

 private:
  const MappingDefaults& defaults_;
  TimeZones& zones_;
  FieldType type_ = FieldType::text;
  Field field_ = Field::channel;
  bool in_attribute_ = false;

  Expression expression(const JsonNode& node, const Inherited& inherited);
  Expression part(const JsonNode& node, const Inherited& inherited);
  void source(const JsonNode& node, Expression& out, const Inherited& below);
  void cases(const JsonNode& node, Expression& out, const Inherited& below);
  void text_words(const JsonNode& node, Expression& out) const;
  void amount_words(const JsonNode& node, Expression& out, Inherited& below) const;
  void time_words(const JsonNode& node, Inherited& below) const;
  void sign(const JsonNode& node, Expression& out) const;
  void check_constant(const JsonNode& node, const std::string& value) const;
  [[nodiscard]] Selector selector(const JsonNode& node) const;
  void attributes(const JsonNode& node, CompiledMapping& out);
  void require_fields(const JsonNode& document, const CompiledMapping& out) const;
};

// Words that only mean something for some types, so that a mistake does not pass in silence.
void refuse(const JsonNode& node, std::initializer_list<std::string_view> words, std::string_view only_for) {
  for (std::string_view word : words) {
    if (const auto found = node.find(word)) found->fail("this word is only for " + std::string(only_for));
  }
}

Selector Compiler::selector(const JsonNode& node) const {
  Selector selector;
  if (node.is_object()) {
    node.allow_only({"column"});
    selector.column = node.at("column", "the name of a source column").text();
    return selector;
  }
  const auto field = node.is_text() ? field_by_name(node.text()) : std::nullopt;
  if (!field || field_type(*field) != FieldType::text) {
    node.expected("a canonical text field such as \"kind\", or {\"column\": \"...\"} for a source column");
  }
  selector.field = field;
  return selector;
}

// A constant, a map's value, a default: known now, so checked now.
void Compiler::check_constant(const JsonNode& node, const std::string& value) const {
  if (in_attribute_) return;
  if (type_ == FieldType::amount && !Decimal::parse(value)) node.expected("an amount such as \"12.50\"");
  if (type_ != FieldType::text) return;
  switch (field_) {
    case Field::kind:
      if (!contains(entry_kinds, value)) node.expected("an entry kind (" + listed(entry_kinds) + ")");
      break;
    case Field::status:
      if (!contains(statuses, value)) node.expected("a status (" + listed(statuses) + ")");
      break;
    case Field::book:
      if (!contains(books, value)) node.expected("a book (" + listed(books) + ")");
      break;
    case Field::currency:
    case Field::settlement_currency:
      if (!currency_code(value)) node.expected("a currency of ISO 4217, such as \"CNY\"");
      break;
    default:
      break;
  }
}

void Compiler::sign(const JsonNode& node, Expression& out) const {
  const std::string_view choice =
      "as_is, negate, two_columns, overpunch, {\"by\": ..., \"negative\": [...]}, {\"mark_column\": ..., "
      "\"negative\": [...]} or {\"prefix\": ...}";
  if (node.is_text()) {
    const std::string word = node.text();
    if (word == "as_is") {
      out.sign.kind = SignRule::Kind::as_is;
    } else if (word == "negate") {
      out.sign.kind = SignRule::Kind::negate;
    } else if (word == "overpunch") {
      out.sign.kind = SignRule::Kind::overpunch;
    } else if (word == "two_columns") {
      if (out.source != Expression::Source::columns || out.columns.size() != 2) {
        node.fail(
            "two_columns needs \"columns\" with the adding column first and the subtracting one second");
      }
      out.two_columns = true;
    } else {
      node.expected(choice);
    }
    return;
  }
  if (!node.is_object()) node.expected(choice);
  if (const auto by = node.find("by")) {
    node.allow_only({"by", "negative", "positive"});
    out.sign.kind = SignRule::Kind::by;
    out.sign.by = selector(*by);
  } else if (const auto mark = node.find("mark_column")) {
    node.allow_only({"mark_column", "negative", "positive"});
    out.sign.kind = SignRule::Kind::mark_column;
    out.sign.by.column = mark->text();
  } else if (const auto prefix = node.find("prefix")) {
    node.allow_only({"prefix"});
    prefix->allow_only({"positive", "negative"});
    out.sign.kind = SignRule::Kind::prefix;
    out.sign.negative = prefix->at("negative", "the prefixes of a negative amount, such as [\"D\"]").texts();
    out.sign.positive = prefix->at("positive", "the prefixes of a positive amount, such as [\"C\"]").texts();
    return;
  } else {
    node.expected(choice);
  }
  const JsonNode negative =
      node.at("negative", "the values that make the amount negative, such as [\"refund\"]");
  out.sign.negative = negative.texts();
  if (const auto positive = node.find("positive")) out.sign.positive = positive->texts();
  if (out.sign.by.field == Field::kind) {
    for (const std::string& kind : out.sign.negative) {
      if (!contains(entry_kinds, kind)) negative.expected("entry kinds (" + listed(entry_kinds) + ")");
    }
  }
}

void Compiler::amount_words(const JsonNode& node, Expression& out, Inherited& below) const {
  refuse(node, {"time_zone", "year_near"}, "times");
  if (const auto scale = node.find("scale")) {
    below.scale = 0;
    below.scale_of_currency.reset();
    below.scale_of_currency_or.reset();
    if (scale->is_text()) {
      (void)scale->text_in({"iso4217"});
      if (field_ == Field::amount) {
        below.scale_of_currency = Field::currency;
      } else if (field_ == Field::fx_rate) {
        scale->fail("a rate has no minor units; give the number of digits");
      } else {
        below.scale_of_currency = Field::settlement_currency;
        below.scale_of_currency_or = Field::currency;
      }
    } else if (scale->is_number()) {
      below.scale = static_cast<int>(scale->integer(0, scale_max));
    } else {
      scale->expected("a number of digits from 0 to 12, or \"iso4217\"");
    }
  }
  if (const auto format = node.find("format")) {
    const auto known = format->is_text() ? NumberFormat::named(format->text()) : std::nullopt;
    if (!known) format->expected("how the amount is written: " + std::string(NumberFormat::names()));
    below.number_format = *known;
  }
  if (const auto abs = node.find("abs")) out.abs = abs->boolean();
  if (const auto decides = node.find("net_decides")) {
    if (field_ != Field::fee) decides->fail("only the fee's sign is decided by net");
    out.net_decides = decides->boolean();
  }
}

void Compiler::time_words(const JsonNode& node, Inherited& below) const {
  refuse(node, {"scale", "sign", "abs", "net_decides"}, "amounts");
  if (const auto near = node.find("year_near")) below.year_near = near->text();
  if (const auto format = node.find("format")) {
    below.formats.clear();
    for (const std::string& pattern : format->texts()) {
      std::string problem;
      const auto compiled = TimestampFormat::compile(pattern, problem, !below.year_near.empty());
      if (!compiled) format->fail("expected a date pattern such as yyyy-MM-dd HH:mm:ss, but " + problem);
      if (type_ == FieldType::date && compiled->is_epoch()) {
        format->fail("a date cannot be read from an epoch, which has no calendar; map occurred_at instead");
      }
      below.formats.push_back(*compiled);
    }
    if (below.formats.empty()) format->expected("at least one date pattern");
  }
  if (const auto zone = node.find("time_zone")) {
    if (type_ == FieldType::date) zone->fail("a date is taken as it is written, in no time zone");
    below.time_zone = zone->text();
    if (!zones_.offset_of_local(below.time_zone, 0))
      zone->expected("a time zone such as Asia/Shanghai or +08:00");
  }
}

void Compiler::text_words(const JsonNode& node, Expression& out) const {
  const bool branches = out.source == Expression::Source::cases || out.source == Expression::Source::first ||
                        out.source == Expression::Source::columns;
  if (type_ != FieldType::text && branches) {
    for (std::string_view word : {"map", "in", "else"}) {
      if (const auto found = node.find(word))
        found->fail("for amounts and times this word goes to each column");
    }
  }
  if (const auto in = node.find("in")) {
    out.accepted = in->texts();
    if (out.accepted.empty()) in->expected("at least one accepted value");
  }
  if (const auto map = node.find("map")) {
    TextMap values;
    for (const auto& [from, to] : map->members()) {
      TextMap::Target target;
      if (to.is_object()) {
        to.allow_only({"skip"});
        target.skip = to.at("skip", "{\"skip\": true}, a value or null").boolean();
        if (!target.skip) to.expected("{\"skip\": true}, a value or null");
      } else if (!to.is_null()) {
        target.value = to.scalar_text();
        check_constant(to, *target.value);
      }
      if (from.ends_with('*')) {
        values.prefixes.emplace_back(from.substr(0, from.size() - 1), std::move(target));
      } else {
        values.values.emplace(from, std::move(target));
      }
    }
    std::stable_sort(values.prefixes.begin(), values.prefixes.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    out.map = std::move(values);
  }
  if (const auto otherwise = node.find("else")) {
    if (!out.map && out.accepted.empty()) otherwise->fail("else goes with map or in");
    Otherwise rule;
    if (otherwise->is_null()) {
      rule.kind = Otherwise::Kind::value;
    } else {
      const std::string word = otherwise->scalar_text();
      if (word == "skip") {
        rule.kind = Otherwise::Kind::skip;
      } else if (word != "reject") {
        check_constant(*otherwise, word);
        rule.kind = Otherwise::Kind::value;
        rule.value = word;
      }
    }
    out.otherwise = rule;
  }
  if (const auto value = node.find("default")) {
    if (type_ == FieldType::timestamp || type_ == FieldType::date) {
      value->fail("a time has no default: use \"first\" to fall back on another column");
    }
    out.default_value = value->scalar_text();
    check_constant(*value, *out.default_value);
  }
}

Expression Compiler::part(const JsonNode& node, const Inherited& inherited) {
  if (!node.is_text()) return expression(node, inherited);
  Expression out;
  out.path = node.path();
  out.source = Expression::Source::column;
  out.columns = {{node.text(), 0}};
  out.trim = inherited.trim;
  out.null_if = inherited.null_if;
  out.number_format = inherited.number_format;
  out.scale = inherited.scale;
  out.scale_of_currency = inherited.scale_of_currency;
  out.scale_of_currency_or = inherited.scale_of_currency_or;
  out.formats = inherited.formats;
  out.time_zone = inherited.time_zone;
  out.year_near.first = inherited.year_near;
  return out;
}

void Compiler::cases(const JsonNode& node, Expression& out, const Inherited& below) {
  out.source = Expression::Source::cases;
  out.by = selector(node.at("by", "the field that decides, such as \"kind\""));
  const JsonNode branches = node.at("cases", "an object: value -> where this field then comes from");
  for (const auto& [name, branch] : branches.members()) {
    if (out.by.field == Field::kind && name != "*" && !contains(entry_kinds, name)) {
      branch.fail("is no entry kind (" + listed(entry_kinds) + ", or \"*\" for every other)");
    }
    if (name == "*") out.other_case = out.parts.size();
    // "*" never equals a value: the name of that branch is one that no source can write.
    out.case_names.push_back(name == "*" ? std::string("\0", 1) : name);
    out.parts.push_back(part(branch, below));
  }
  if (out.parts.empty()) branches.expected("at least one case");
}

void Compiler::source(const JsonNode& node, Expression& out, const Inherited& below) {
  int sources = 0;
  for (std::string_view word : {"column", "columns", "first", "concat", "const", "cases"}) {
    if (node.find(word)) sources++;
  }
  if (sources != 1) node.expected("exactly one of column, columns, first, concat, const, or by with cases");
  if (const auto column = node.find("column")) {
    out.source = Expression::Source::column;
    out.columns = {{column->text(), 0}};
  } else if (const auto columns = node.find("columns")) {
    if (type_ != FieldType::amount || in_attribute_) {
      columns->fail("columns adds amounts up; for texts use concat or first");
    }
    out.source = Expression::Source::columns;
    for (const std::string& name : columns->texts()) out.columns.emplace_back(name, 0);
    if (out.columns.size() < 2) columns->expected("at least two columns");
  } else if (const auto first = node.find("first")) {
    out.source = Expression::Source::first;
    for (const JsonNode& item : first->items()) out.parts.push_back(part(item, below));
    if (out.parts.empty()) first->expected("at least one column");
  } else if (const auto concat = node.find("concat")) {
    out.source = Expression::Source::concat;
    for (const JsonNode& item : concat->items()) out.parts.push_back(part(item, below));
    if (out.parts.empty()) concat->expected("at least one column");
    if (const auto separator = node.find("separator")) out.separator = separator->text();
    if (const auto skip = node.find("skip_empty")) out.skip_empty = skip->boolean();
  } else if (const auto constant = node.find("const")) {
    out.source = Expression::Source::constant;
    if (!constant->is_null()) {
      out.constant = constant->scalar_text();
      // Inside a concat a constant is a piece of text, whatever the field is.
      if (out.path.find(".concat[") == std::string::npos && type_ != FieldType::date &&
          type_ != FieldType::timestamp) {
        check_constant(*constant, *out.constant);
      }
    }
  } else {
    cases(node, out, below);
  }
  if (out.source != Expression::Source::cases) refuse(node, {"by"}, "cases (or inside sign)");
  if (out.source != Expression::Source::concat) refuse(node, {"separator", "skip_empty"}, "concat");
}

Expression Compiler::expression(const JsonNode& node, const Inherited& inherited) {
  if (!node.is_object()) node.expected("an object such as {\"column\": \"...\"}");
  node.allow_only({"column",  "columns",   "first",  "concat",  "separator", "skip_empty", "const", "map",
                   "else",    "by",        "cases",  "null_if", "trim",      "abs",        "scale", "sign",
                   "default", "time_zone", "format", "in",      "year_near", "net_decides"});
  Inherited below = inherited;
  Expression out;
  out.path = node.path();
  if (const auto trim = node.find("trim")) below.trim = trim->boolean();
  if (const auto null_if = node.find("null_if")) below.null_if = null_if->texts();
  if (type_ == FieldType::amount && !in_attribute_) {
    amount_words(node, out, below);
  } else if (type_ == FieldType::text || in_attribute_) {
    refuse(node, {"scale", "sign", "abs", "net_decides"}, "amounts");
    refuse(node, {"time_zone", "year_near"}, "times");
    refuse(node, {"format"}, "amounts and times");
  } else {
    time_words(node, below);
  }
  source(node, out, below);
  if (const auto rule = node.find("sign")) sign(*rule, out);
  text_words(node, out);
  out.trim = below.trim;
  out.null_if = below.null_if;
  out.number_format = below.number_format;
  out.scale = below.scale;
  out.scale_of_currency = below.scale_of_currency;
  out.scale_of_currency_or = below.scale_of_currency_or;
  out.formats = below.formats;
  out.time_zone = below.time_zone;
  out.year_near.first = below.year_near;
  return out;
}

void Compiler::attributes(const JsonNode& node, CompiledMapping& out) {
  in_attribute_ = true;
  type_ = FieldType::text;
  Inherited inherited;
  inherited.trim = true;
  if (node.is_text()) {
    (void)node.text_in({"*"});
    out.keep_rest = true;
  } else if (node.is_array()) {
    for (const JsonNode& item : node.items()) out.attributes.emplace_back(item.text(), part(item, inherited));
  } else if (node.is_object()) {
    for (const auto& [name, value] : node.members())
      out.attributes.emplace_back(name, part(value, inherited));
  } else {
    node.expected("\"*\", an array of columns, or an object name -> where it comes from");
  }
  in_attribute_ = false;
}

void visit(CompiledMapping& out, const JsonNode& document, Field field, std::array<int, field_count>& seen) {
  const auto index = static_cast<std::size_t>(field);
  if (!out.fields[index] || seen[index] == 2) return;
  if (seen[index] == 1)
    document.at(field_name(field), "").fail("this field depends on itself through \"by\"");
  seen[index] = 1;
  std::vector<Field> needed;
  out.fields[index]->collect_fields(needed);
  for (Field other : needed) visit(out, document, other, seen);
  seen[index] = 2;
  out.order.push_back(field);
}

void Compiler::require_fields(const JsonNode& document, const CompiledMapping& out) const {
  const auto mapped = [&](Field field) { return out.fields[static_cast<std::size_t>(field)].has_value(); };
  const auto require = [&](Field field, const std::string& fallback, std::string_view expected) {
    if (!mapped(field) && fallback.empty()) (void)document.at(field_name(field), expected);
  };
  require(Field::channel, defaults_.channel, "the channel: the source names none");
  require(Field::account, defaults_.account,
          "the account (merchant id or bank account): the source names none");
  require(Field::book, defaults_.book, "the book (" + listed(books) + ")");
  require(Field::kind, "", "the entry kind, such as {\"const\": \"payment\"}");
  require(Field::order_key, "", "the order's number, such as {\"column\": \"order_no\"}");
  require(Field::amount, "", "the amount, such as {\"column\": \"amount\"}");
  require(Field::currency, defaults_.currency, "the currency, such as {\"const\": \"CNY\"}");
  require(Field::status, "", "the status, such as {\"const\": \"success\"}");
  if (!mapped(Field::business_date)) {
    require(Field::occurred_at, "",
            "when the money moved, such as {\"column\": \"paid_at\"} (or map business_date)");
  }
}

CompiledMapping Compiler::compile(const JsonNode& document) {
  if (!document.is_object()) document.expected("an object: canonical field -> where it comes from");
  CompiledMapping out;
  bool attributes_given = false;
  for (const auto& [name, node] : document.members()) {
    if (name == "attributes") {
      attributes(node, out);
      attributes_given = true;
      continue;
    }
    const auto field = field_by_name(name);
    if (!field) {
      node.fail(
          "is no canonical field; expected channel, account, book, kind, sub_kind, order_key, match_key, "
          "channel_ref, original_ref, amount, currency, settle_amount, settlement_currency, fx_rate, fee, "
          "net, "
          "status, source_status, occurred_at, value_date, business_date, settlement_ref or attributes");
    }
    field_ = *field;
    type_ = field_type(*field);
    Inherited inherited;
    inherited.formats = {TimestampFormat::iso8601()};
    inherited.time_zone = defaults_.time_zone;
    out.fields[static_cast<std::size_t>(*field)] = part(node, inherited);
  }
  if (!attributes_given) out.keep_rest = true;
  require_fields(document, out);
  std::array<int, field_count> seen{};
  for (std::size_t i = 0; i < field_count; i++) visit(out, document, static_cast<Field>(i), seen);
  return out;
}

// As a field without rules of its own. A rate is an amount in no currency.
Expression Compiler::compile_alone(const JsonNode& node, FieldType type) {
  type_ = type;
  field_ = type == FieldType::amount ? Field::fx_rate
           : type == FieldType::date ? Field::value_date
                                     : Field::sub_kind;
  Inherited inherited;
  inherited.formats = {TimestampFormat::iso8601()};
  Expression out = part(node, inherited);
  std::vector<Field> fields;
  out.collect_fields(fields);
  if (!fields.empty()) node.fail("here nothing goes by a canonical field; use {\"column\": ...}");
  return out;
}

}  // namespace

Expression compile_expression(const JsonNode& node, FieldType type, TimeZones& zones) {
  const MappingDefaults defaults;
  return Compiler(defaults, zones).compile_alone(node, type);
}

CompiledMapping compile_mapping(const JsonNode& document, const MappingDefaults& defaults, TimeZones& zones) {
  return Compiler(defaults, zones).compile(document);
}

}  // namespace pg_reconcile::core::mapping

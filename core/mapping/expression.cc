#include "core/mapping/expression.h"

#include <algorithm>

#include "core/money/currency.h"

namespace pg_reconcile::core::mapping {
namespace {

constexpr std::int64_t microseconds_per_second = 1000000;
constexpr std::int64_t seconds_per_day = 86400;

bool listed_in(const std::vector<std::string>& values, std::string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_empty(const Text& value) {
  return !value || value->empty();
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view ascii = " \t\r\n\v\f";
  constexpr std::string_view wide[] = {"\xE3\x80\x80", "\xC2\xA0"};  // U+3000, U+00A0
  for (bool cut = true; cut;) {
    cut = false;
    while (!text.empty() && ascii.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
    while (!text.empty() && ascii.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
    for (std::string_view space : wide) {
      while (text.starts_with(space)) text.remove_prefix(space.size()), cut = true;
      while (text.ends_with(space)) text.remove_suffix(space.size()), cut = true;
    }
  }
  return text;
}

const TextMap::Target* TextMap::find(std::string_view text) const {
  const auto found = values.find(text);
  if (found != values.end()) return &found->second;
  for (const auto& [prefix, target] : prefixes) {
    if (text.starts_with(prefix)) return &target;
  }
  return nullptr;
}

Text Selector::read(Context& context) const {
  if (field) return context.known[static_cast<std::size_t>(*field)];
  const RawField* found = context.record->find(column, position);
  context.column = column;
  if (found == nullptr || !found->value) {
    context.value = {};
    return std::nullopt;
  }
  context.value = *found->value;
  return trimmed(*found->value);
}

Text Expression::read_column(Context& context, std::size_t index) {
  auto& [name, position] = columns[index];
  const RawField* field = context.record->find(name, position);
  context.column = name;
  context.value = {};
  if (field == nullptr || !field->value) return std::nullopt;
  context.value = *field->value;
  std::string_view value = *field->value;
  if (trim) value = trimmed(value);
  if (listed_in(null_if, value)) return std::nullopt;
  return value;
}

Outcome Expression::select(Context& context, Expression*& branch) {
  const Text key = by.read(context);
  for (std::size_t i = 0; i < case_names.size(); i++) {
    if (key ? *key == case_names[i] : case_names[i].empty()) {
      branch = &parts[i];
      return Outcome::value;
    }
  }
  if (other_case) {
    branch = &parts[*other_case];
    return Outcome::value;
  }
  context.reason = "no case for " + (key ? "'" + std::string(*key) + "'" : std::string("an empty value")) +
                   " at " + path + ".cases";
  return Outcome::rejected;
}

Outcome Expression::first_of(Context& context, Text& value) {
  for (Expression& part : parts) {
    const Outcome outcome = part.text(context, value);
    if (outcome != Outcome::value) return outcome;
    if (!is_empty(value)) return Outcome::value;
  }
  value.reset();
  return Outcome::value;
}

Outcome Expression::join(Context& context, Text& value) {
  buffer.clear();
  bool any = false;
  bool first = true;
  for (Expression& part : parts) {
    Text piece;
    const Outcome outcome = part.text(context, piece);
    if (outcome != Outcome::value) return outcome;
    if (is_empty(piece) && skip_empty) continue;
    if (!first) buffer += separator;
    first = false;
    if (is_empty(piece)) continue;
    buffer += *piece;
    any = any || part.source != Source::constant;
  }
  // Constants alone make no identifier.
  if (any) {
    value = buffer;
  } else {
    value.reset();
  }
  return Outcome::value;
}

Outcome Expression::unknown_value(Context& context, Text& value, std::string reason) const {
  const Otherwise::Kind kind = otherwise ? otherwise->kind : Otherwise::Kind::reject;
  if (kind == Otherwise::Kind::skip) return Outcome::skipped;
  if (kind == Otherwise::Kind::reject) {
    context.value = *value;
    context.reason = std::move(reason);
    return Outcome::rejected;
  }
  value = otherwise->value ? Text(*otherwise->value) : std::nullopt;
  return Outcome::value;
}

Outcome Expression::text(Context& context, Text& value) {
  Outcome outcome = Outcome::value;
  switch (source) {
    case Source::column:
    case Source::columns:
      value = read_column(context, 0);
      break;
    case Source::constant:
      value = constant ? Text(*constant) : std::nullopt;
      break;
    case Source::first:
      outcome = first_of(context, value);
      break;
    case Source::concat:
      outcome = join(context, value);
      break;
    case Source::cases: {
      Expression* branch = nullptr;
      outcome = select(context, branch);
      if (outcome == Outcome::value) outcome = branch->text(context, value);
      break;
    }
  }
  if (outcome != Outcome::value) return outcome;
  if (value && source != Source::column && trim) value = trimmed(*value);
  if (value && source != Source::column && listed_in(null_if, *value)) value.reset();
  if (value && !accepted.empty() && !listed_in(accepted, *value)) {
    outcome = unknown_value(context, value, "is not one of the accepted values at " + path + ".in");
  } else if (value && map) {
    const TextMap::Target* found = map->find(*value);
    if (found == nullptr) {
      outcome = unknown_value(context, value, "is not in the map at " + path + ".map");
    } else if (found->skip) {
      outcome = Outcome::skipped;
    } else {
      value = found->value ? Text(*found->value) : std::nullopt;
    }
  }
  if (outcome == Outcome::value && is_empty(value) && default_value) value = *default_value;
  return outcome;
}

Outcome Expression::parse_amount(Context& context, std::string_view text, Decimal& value) const {
  std::string_view digits = trimmed(text);
  std::string rewritten;
  bool negative = false;
  if (sign.kind == SignRule::Kind::overpunch) {
    const auto plain = undo_overpunch(digits);
    if (!plain) {
      context.reason = "is no overpunched amount";
      return Outcome::rejected;
    }
    rewritten = *plain;
    digits = rewritten;
  } else if (sign.kind == SignRule::Kind::prefix) {
    const auto starts = [&](const std::string& prefix) { return digits.starts_with(prefix); };
    auto found = std::find_if(sign.negative.begin(), sign.negative.end(), starts);
    negative = found != sign.negative.end();
    if (!negative) {
      found = std::find_if(sign.positive.begin(), sign.positive.end(), starts);
      if (found == sign.positive.end()) {
        context.reason = "does not start with one of the signs at " + path + ".sign";
        return Outcome::rejected;
      }
    }
    digits.remove_prefix(found->size());
  }
  std::string reason;
  const auto parsed = number_format.parse(digits, reason);
  if (!parsed) {
    context.reason = std::move(reason);
    return Outcome::rejected;
  }
  value = negative ? parsed->negated() : *parsed;

  int digits_down = scale;
  if (scale_of_currency) {
    Text code = context.known[static_cast<std::size_t>(*scale_of_currency)];
    if (!code && scale_of_currency_or) code = context.known[static_cast<std::size_t>(*scale_of_currency_or)];
    const auto minor = code ? minor_unit_digits(*code) : std::nullopt;
    if (!minor) {
      context.reason = "is in minor units of a currency that the record does not state";
      return Outcome::rejected;
    }
    digits_down = *minor;
  }
  if (digits_down == 0) return Outcome::value;
  const auto scaled = value.shifted_right(digits_down);
  if (!scaled) {
    context.reason = "has more than 12 digits after the point once scaled";
    return Outcome::rejected;
  }
  value = *scaled;
  return Outcome::value;
}

Outcome Expression::apply_sign(Context& context, Decimal& value) const {
  switch (sign.kind) {
    case SignRule::Kind::as_is:
    case SignRule::Kind::prefix:
    case SignRule::Kind::overpunch:
      return Outcome::value;
    case SignRule::Kind::negate:
      value = value.negated();
      return Outcome::value;
    case SignRule::Kind::by:
    case SignRule::Kind::mark_column:
      break;
  }
  const std::string_view column = context.column;
  const std::string_view stated = context.value;
  const Text mark = sign.by.read(context);
  if (mark && listed_in(sign.negative, *mark)) {
    value = value.magnitude().negated();
  } else if (!sign.positive.empty() && !(mark && listed_in(sign.positive, *mark))) {
    context.reason = "is neither a positive nor a negative mark at " + path + ".sign";
    return Outcome::rejected;
  }
  context.column = column;
  context.value = stated;
  return Outcome::value;
}

Outcome Expression::amount(Context& context, std::optional<Decimal>& value) {
  Outcome outcome = Outcome::value;
  value.reset();
  if (source == Source::first) {
    for (Expression& part : parts) {
      outcome = part.amount(context, value);
      if (outcome != Outcome::value || value) break;
    }
  } else if (source == Source::cases) {
    Expression* branch = nullptr;
    outcome = select(context, branch);
    if (outcome == Outcome::value) outcome = branch->amount(context, value);
  } else if (source == Source::columns) {
    for (std::size_t i = 0; i < columns.size() && outcome == Outcome::value; i++) {
      const Text text = read_column(context, i);
      if (is_empty(text) || trimmed(*text).empty()) continue;
      Decimal part;
      outcome = parse_amount(context, *text, part);
      if (outcome != Outcome::value) break;
      if (abs) part = part.magnitude();
      if (two_columns && i == 1) part = part.negated();
      value = value.value_or(Decimal()) + part;
    }
    if (outcome == Outcome::value && value) outcome = apply_sign(context, *value);
    if (outcome == Outcome::value && !value && default_value) value = Decimal::parse(*default_value);
    return outcome;
  } else {
    Text written;
    outcome = text(context, written);
    if (outcome == Outcome::value && !is_empty(written) && !trimmed(*written).empty()) {
      Decimal parsed;
      outcome = parse_amount(context, *written, parsed);
      if (outcome == Outcome::value) value = parsed;
    }
  }
  if (outcome == Outcome::value && value) {
    if (abs) value = value->magnitude();
    outcome = apply_sign(context, *value);
  }
  if (outcome == Outcome::value && !value && default_value) value = Decimal::parse(*default_value);
  return outcome;
}

std::optional<std::int32_t> Expression::date_near(Context& context) {
  const RawField* field = context.record->find(year_near.first, year_near.second);
  if (field == nullptr || !field->value) return std::nullopt;
  const auto written = TimestampFormat::iso8601().parse(trimmed(*field->value));
  return written ? std::optional<std::int32_t>(written->date) : std::nullopt;
}

Outcome Expression::written_time(Context& context, std::optional<WrittenTime>& value,
                                 const Expression*& leaf) {
  value.reset();
  if (source == Source::first) {
    for (Expression& part : parts) {
      const Outcome outcome = part.written_time(context, value, leaf);
      if (outcome != Outcome::value || value) return outcome;
    }
    return Outcome::value;
  }
  if (source == Source::cases) {
    Expression* branch = nullptr;
    const Outcome outcome = select(context, branch);
    return outcome == Outcome::value ? branch->written_time(context, value, leaf) : outcome;
  }
  Text written;
  const Outcome outcome = text(context, written);
  if (outcome != Outcome::value || is_empty(written) || trimmed(*written).empty()) return outcome;
  leaf = this;
  const auto near = year_near.first.empty() ? std::nullopt : date_near(context);
  for (const TimestampFormat& format : formats) {
    value = format.parse(trimmed(*written), near);
    if (value) return Outcome::value;
  }
  context.value = *written;
  if (!year_near.first.empty() && !near) {
    context.reason = "has no year, and " + year_near.first + ", which would say it, is not stated";
  } else if (looks_like_spreadsheet_damage(trimmed(*written))) {
    context.reason = "looks rewritten by a spreadsheet program: the time is lost, ask for the original file";
  } else {
    context.reason = "is no time written as " + formats.front().pattern();
  }
  return Outcome::rejected;
}

Outcome Expression::timestamp(Context& context, TimeZones& zones, std::optional<std::int64_t>& value) {
  value.reset();
  std::optional<WrittenTime> written;
  const Expression* leaf = this;
  const Outcome outcome = written_time(context, written, leaf);
  if (outcome != Outcome::value || !written) return outcome;
  const std::int64_t local_microseconds =
      written->date * seconds_per_day * microseconds_per_second + written->microseconds_of_day;
  std::optional<std::int32_t> offset = written->offset_seconds;
  if (!offset) {
    if (leaf->time_zone.empty()) {
      context.reason = "has no offset from UTC, and no time zone is declared for it";
      return Outcome::rejected;
    }
    std::int64_t local_seconds = local_microseconds / microseconds_per_second;
    if (local_microseconds % microseconds_per_second < 0) local_seconds--;
    offset = zones.offset_of_local(leaf->time_zone, local_seconds);
    if (!offset) {
      context.reason = "is a time in the unknown zone '" + leaf->time_zone + "'";
      return Outcome::rejected;
    }
  }
  value = local_microseconds - *offset * microseconds_per_second;
  return Outcome::value;
}

Outcome Expression::date(Context& context, std::optional<std::int32_t>& value) {
  value.reset();
  std::optional<WrittenTime> written;
  const Expression* leaf = this;
  const Outcome outcome = written_time(context, written, leaf);
  if (outcome == Outcome::value && written) value = written->date;
  return outcome;
}

void Expression::collect_columns(std::vector<std::string>& names) const {
  const auto add = [&](const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const auto& [name, position] : columns) add(name);
  add(by.column);
  add(sign.by.column);
  add(year_near.first);
  for (const Expression& part : parts) part.collect_columns(names);
}

void Expression::collect_fields(std::vector<Field>& fields) const {
  if (by.field) fields.push_back(*by.field);
  if (sign.by.field) fields.push_back(*sign.by.field);
  if (scale_of_currency) fields.push_back(*scale_of_currency);
  if (scale_of_currency_or) fields.push_back(*scale_of_currency_or);
  for (const Expression& part : parts) part.collect_fields(fields);
}

}  // namespace pg_reconcile::core::mapping

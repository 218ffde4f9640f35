#include "core/mapping/normaliser.h"

#include <algorithm>
#include <unordered_set>

#include "core/mapping/expression.h"
#include "core/mapping/mapping_compiler.h"
#include "core/mapping/number_format.h"
#include "core/money/currency.h"

namespace pg_reconcile::core {

using mapping::CompiledMapping;
using mapping::Context;
using mapping::Expression;
using mapping::Outcome;
using mapping::Text;

struct Normaliser::Program {
  CompiledMapping mapping;
  MappingDefaults defaults;
  TimeZones* zones = nullptr;
  std::vector<std::string> columns;
  std::unordered_set<std::string_view> mapped_columns;
  std::vector<std::string> channels;
  Context context;
  std::optional<std::string> currency;  // the code in upper case, what `context.known` looks at
  std::optional<std::string> settlement_currency;

  [[nodiscard]] bool mapped(Field field) const {
    return mapping.fields[static_cast<std::size_t>(field)].has_value();
  }
  [[nodiscard]] bool fee_sign_by_net() const {
    const auto& fee = mapping.fields[static_cast<std::size_t>(Field::fee)];
    return fee && fee->net_decides;
  }
  Outcome evaluate(Field field, Entry& entry, Rejection& rejection);
  Outcome evaluate_text(Field field, Entry& entry);
  Outcome check_text(Field field, Text& value);
  void reset(const RawRecord& record, Entry& entry);
  bool complete(Entry& entry, Rejection& rejection);
  Outcome attributes(const RawRecord& record, Entry& entry, Rejection& rejection);
};

namespace {

void assign(std::string& target, Text value) {
  target.assign(value.value_or(std::string_view{}));
}

void assign(std::optional<std::string>& target, Text value) {
  if (!value) {
    target.reset();
  } else if (target) {
    target->assign(*value);
  } else {
    target.emplace(*value);
  }
}

void store_text(Field field, Entry& entry, Text value) {
  switch (field) {
    case Field::channel:
      return assign(entry.channel, value);
    case Field::account:
      return assign(entry.account, value);
    case Field::book:
      return assign(entry.book, value);
    case Field::kind:
      return assign(entry.kind, value);
    case Field::sub_kind:
      return assign(entry.sub_kind, value);
    case Field::order_key:
      return assign(entry.order_key, value);
    case Field::match_key:
      return assign(entry.match_key, value);
    case Field::channel_ref:
      return assign(entry.channel_ref, value);
    case Field::original_ref:
      return assign(entry.original_ref, value);
    case Field::currency:
      return assign(entry.currency, value);
    case Field::settlement_currency:
      return assign(entry.settlement_currency, value);
    case Field::status:
      return assign(entry.status, value);
    case Field::source_status:
      return assign(entry.source_status, value);
    case Field::settlement_ref:
      return assign(entry.settlement_ref, value);
    default:
      return;
  }
}

bool is_identifier(Field field) {
  return field == Field::order_key || field == Field::match_key || field == Field::channel_ref ||
         field == Field::original_ref || field == Field::settlement_ref || field == Field::account;
}

void describe(Rejection& rejection, Field field, const Context& context) {
  rejection.field = field_name(field);
  rejection.column = context.column;
  rejection.value = context.value;
  rejection.reason = context.reason;
}

void describe_missing(Rejection& rejection, Field field) {
  rejection.field = field_name(field);
  rejection.column.clear();
  rejection.value.clear();
  rejection.reason = "is missing";
}

// The constants that an expression can yield; false when a column's own text may come out.
bool constants_of(const Expression& expression, std::vector<std::string>& values) {
  const auto add = [&](const std::string& value) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  };
  bool closed = false;
  if (expression.map) {
    closed = true;
    for (const auto& [from, to] : expression.map->values) {
      if (to.value) add(*to.value);
    }
    for (const auto& [prefix, to] : expression.map->prefixes) {
      if (to.value) add(*to.value);
    }
  } else if (!expression.accepted.empty()) {
    closed = true;
    for (const std::string& value : expression.accepted) add(value);
  } else if (expression.source == Expression::Source::constant) {
    closed = true;
    if (expression.constant) add(*expression.constant);
  } else if (expression.source == Expression::Source::cases ||
             expression.source == Expression::Source::first) {
    closed = true;
    for (const Expression& part : expression.parts) closed = constants_of(part, values) && closed;
  }
  if (expression.otherwise && expression.otherwise->value) add(*expression.otherwise->value);
  if (expression.default_value) add(*expression.default_value);
  return closed;
}

}  // namespace

Outcome Normaliser::Program::check_text(Field field, Text& value) {
  if (value && value->empty()) value.reset();
  if (!value) return Outcome::value;
  const auto reject = [&](std::string reason) {
    context.value = *value;
    context.reason = std::move(reason);
    return Outcome::rejected;
  };
  switch (field) {
    case Field::kind:
      if (!contains(entry_kinds, *value)) return reject("is no entry kind");
      return Outcome::value;
    case Field::status:
      if (!contains(statuses, *value)) return reject("is no status");
      return Outcome::value;
    case Field::book:
      if (!contains(books, *value)) return reject("is no book");
      return Outcome::value;
    case Field::currency:
    case Field::settlement_currency: {
      auto& code = field == Field::currency ? currency : settlement_currency;
      code = currency_code(*value);
      if (!code) return reject("is no currency of ISO 4217");
      value = *code;
      return Outcome::value;
    }
    default:
      if (defaults.suspect_spreadsheets && is_identifier(field) && looks_like_spreadsheet_damage(*value)) {
        return reject(
            "looks rewritten by a spreadsheet program: the number is lost, ask for the original file");
      }
      return Outcome::value;
  }
}

Outcome Normaliser::Program::evaluate_text(Field field, Entry& entry) {
  const auto index = static_cast<std::size_t>(field);
  Text value;
  Outcome outcome = mapping.fields[index]->text(context, value);
  if (outcome == Outcome::value) outcome = check_text(field, value);
  if (outcome != Outcome::value) return outcome;
  if (value)
    context.known[index] = value;  // a default (channel, currency ...) stands where nothing is stated
  store_text(field, entry, context.known[index]);
  return Outcome::value;
}

Outcome Normaliser::Program::evaluate(Field field, Entry& entry, Rejection& rejection) {
  Expression& expression = *mapping.fields[static_cast<std::size_t>(field)];
  context.column = {};
  context.value = {};
  Outcome outcome = Outcome::value;
  std::optional<Decimal> amount;
  switch (field) {
    case Field::amount:
      outcome = expression.amount(context, amount);
      if (outcome == Outcome::value && !amount) {
        context.reason = "is missing";
        outcome = Outcome::rejected;
      }
      if (amount) entry.amount = *amount;
      break;
    case Field::settle_amount:
      outcome = expression.amount(context, entry.settle_amount);
      break;
    case Field::fx_rate:
      outcome = expression.amount(context, entry.fx_rate);
      break;
    case Field::fee:
      outcome = expression.amount(context, entry.fee);
      break;
    case Field::net:
      outcome = expression.amount(context, entry.net);
      break;
    case Field::occurred_at:
      outcome = expression.timestamp(context, *zones, entry.occurred_at);
      break;
    case Field::value_date:
      outcome = expression.date(context, entry.value_date);
      break;
    case Field::business_date:
      outcome = expression.date(context, entry.business_date);
      break;
    default:
      outcome = evaluate_text(field, entry);
  }
  if (outcome == Outcome::rejected) describe(rejection, field, context);
  return outcome;
}

void Normaliser::Program::reset(const RawRecord& record, Entry& entry) {
  context.record = &record;
  context.known.fill(std::nullopt);
  const auto known = [&](Field field, const std::string& value) {
    const Text text = value.empty() ? Text() : Text(value);
    context.known[static_cast<std::size_t>(field)] = text;
    store_text(field, entry, text);
  };
  known(Field::channel, defaults.channel);
  known(Field::account, defaults.account);
  known(Field::book, defaults.book);
  known(Field::currency, defaults.currency);
  for (Field field : {Field::kind, Field::sub_kind, Field::order_key, Field::match_key, Field::channel_ref,
                      Field::original_ref, Field::settlement_currency, Field::status, Field::source_status,
                      Field::settlement_ref}) {
    store_text(field, entry, std::nullopt);
  }
  entry.settle_amount.reset();
  entry.fx_rate.reset();
  entry.fee.reset();
  entry.net.reset();
  entry.occurred_at.reset();
  entry.value_date.reset();
  entry.business_date.reset();
  entry.attributes.clear();
}

// What no single field can say: that all that is needed is there, and what follows from the rest.
bool Normaliser::Program::complete(Entry& entry, Rejection& rejection) {
  for (Field field :
       {Field::channel, Field::account, Field::book, Field::kind, Field::currency, Field::status}) {
    if (!context.known[static_cast<std::size_t>(field)]) {
      describe_missing(rejection, field);
      return false;
    }
  }
  if (!entry.occurred_at && !entry.business_date) {
    describe_missing(rejection, mapped(Field::occurred_at) ? Field::occurred_at : Field::business_date);
    return false;
  }
  if (!entry.settlement_currency && (entry.settle_amount || entry.fee || entry.net)) {
    entry.settlement_currency = entry.currency;
  }
  if (!entry.settle_amount && entry.fee && entry.net) entry.settle_amount = *entry.net + *entry.fee;
  if (entry.settle_amount && !entry.fee && entry.net) entry.fee = *entry.settle_amount - *entry.net;
  if (entry.settle_amount && entry.fee) {
    Decimal computed = *entry.settle_amount - *entry.fee;
    if (entry.net && fee_sign_by_net() && computed != *entry.net &&
        *entry.settle_amount + *entry.fee == *entry.net) {
      entry.fee = entry.fee->negated();
      computed = *entry.net;
    }
    if (!entry.net) {
      entry.net = computed;
    } else if (defaults.net_tolerance && (computed - *entry.net).magnitude() > *defaults.net_tolerance) {
      rejection.field = field_name(Field::net);
      rejection.column.clear();
      rejection.value = entry.net->to_string(2);
      rejection.reason = "is not settle_amount " + entry.settle_amount->to_string(2) + " - fee " +
                         entry.fee->to_string(2) + " = " + computed.to_string(2);
      return false;
    }
  }
  return true;
}

Outcome Normaliser::Program::attributes(const RawRecord& record, Entry& entry, Rejection& rejection) {
  if (mapping.keep_rest) {
    for (const RawField& field : record.fields) {
      if (!field.value || field.name.starts_with('@') || mapped_columns.contains(field.name)) continue;
      const std::string_view value = mapping::trimmed(*field.value);
      if (!value.empty()) entry.attributes.emplace_back(field.name, value);
    }
  }
  for (auto& [name, expression] : mapping.attributes) {
    Text value;
    const Outcome outcome = expression.text(context, value);
    if (outcome == Outcome::rejected) {
      rejection.field = "attributes." + name;
      rejection.column = context.column;
      rejection.value = context.value;
      rejection.reason = context.reason;
    }
    if (outcome != Outcome::value) return outcome;
    if (value && !value->empty()) entry.attributes.emplace_back(name, *value);
  }
  return Outcome::value;
}

Normaliser Normaliser::compile(std::string_view mapping_text, MappingDefaults defaults, TimeZones& zones) {
  const JsonNode document = JsonNode::parse(mapping_text, "mapping");
  return compile(document, std::move(defaults), zones);
}

Normaliser Normaliser::compile(const JsonNode& document, MappingDefaults defaults, TimeZones& zones) {
  auto program = std::make_unique<Program>();
  program->mapping = mapping::compile_mapping(document, defaults, zones);
  program->defaults = std::move(defaults);
  program->zones = &zones;
  for (const auto& field : program->mapping.fields) {
    if (field) field->collect_columns(program->columns);
  }
  for (const auto& [name, expression] : program->mapping.attributes)
    expression.collect_columns(program->columns);
  program->mapped_columns = {program->columns.begin(), program->columns.end()};
  const auto& channel = program->mapping.fields[static_cast<std::size_t>(Field::channel)];
  if (!channel) {
    program->channels = {program->defaults.channel};
  } else if (!constants_of(*channel, program->channels)) {
    program->channels.clear();
  }
  return Normaliser(std::move(program));
}

Normaliser::Normaliser(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Normaliser::Normaliser(Normaliser&&) noexcept = default;
Normaliser& Normaliser::operator=(Normaliser&&) noexcept = default;
Normaliser::~Normaliser() = default;

NormaliseOutcome Normaliser::normalise(const RawRecord& record, Entry& entry, Rejection& rejection) {
  Program& program = *program_;
  program.reset(record, entry);
  for (Field field : program.mapping.order) {
    const Outcome outcome = program.evaluate(field, entry, rejection);
    if (outcome == Outcome::skipped) return NormaliseOutcome::skipped;
    if (outcome == Outcome::rejected) return NormaliseOutcome::rejected;
  }
  if (!program.complete(entry, rejection)) return NormaliseOutcome::rejected;
  switch (program.attributes(record, entry, rejection)) {
    case Outcome::skipped:
      return NormaliseOutcome::skipped;
    case Outcome::rejected:
      return NormaliseOutcome::rejected;
    case Outcome::value:
      break;
  }
  return NormaliseOutcome::entry;
}

const std::vector<std::string>& Normaliser::columns() const {
  return program_->columns;
}
const std::vector<std::string>& Normaliser::channels() const {
  return program_->channels;
}

}  // namespace pg_reconcile::core

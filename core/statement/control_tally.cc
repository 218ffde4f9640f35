#include "core/statement/control_tally.h"

#include <algorithm>
#include <utility>

#include "core/mapping/expression.h"

namespace pg_reconcile::core {
namespace {

// Half away from zero, as statements round.
Decimal rounded(Decimal value, int digits) {
  int128 step = 1;
  for (int i = digits; i < Decimal::scale_digits; i++) step *= 10;
  const int128 units = value.units();
  const int128 half = step / 2;
  const int128 up = units < 0 ? units - half : units + half;
  return Decimal::from_units(up / step * step);
}

}  // namespace

std::string_view verdict_name(ControlVerdict verdict) {
  switch (verdict) {
    case ControlVerdict::agreed:
      return "agreed";
    case ControlVerdict::mismatch:
      return "mismatch";
    case ControlVerdict::missing:
      return "missing";
    case ControlVerdict::none:
      break;
  }
  return "none";
}

ControlTally::ControlTally(const FormatDocument& format) : format_(format), splitter_(format.shape) {
  for (const ControlRule& rule : format.controls) {
    first_of_rule_.push_back(running_.size());
    for (const Total& total : rule.totals) running_.push_back({&total, total.amount, 0, false, {}, {}, 0});
  }
}

bool ControlTally::weigh(std::string_view type, const RawRecord& record, BadRow& bad, std::string& reason) {
  for (Running& running : running_) {
    const auto& types = running.total->types;
    running.applies = types.empty() || std::find(types.begin(), types.end(), type) != types.end();
    running.applies = running.applies && is_where(*running.total, record);
    running.weight = Decimal();
    if (running.applies && running.amount) {
      if (!weigh_amount(running, record, bad, reason)) return false;
      continue;
    }
    const bool sum = running.total->kind == Total::Kind::sum;
    const std::string& column = sum ? running.total->column : running.total->nonzero;
    if (!running.applies || column.empty()) continue;
    if (!sum) running.applies = false;  // until the column is known to be other than 0
    const RawField* field = record.find(column, running.position);
    const std::string_view text =
        field != nullptr && field->value ? mapping::trimmed(*field->value) : std::string_view();
    if (text.empty()) continue;
    const auto weight = format_.number_format.parse(text, reason);
    if (!weight) {
      bad.field = "control";
      bad.column = column;
      bad.value = *field->value;
      return false;
    }
    if (sum) {
      running.weight = running.total->by_magnitude ? weight->magnitude() : *weight;
    } else {
      running.applies = *weight != Decimal();
    }
  }
  return true;
}

bool ControlTally::is_where(const Total& total, const RawRecord& record) {
  return std::all_of(total.where.begin(), total.where.end(), [&](const auto& condition) {
    std::size_t position = 0;
    const RawField* field = record.find(condition.first, position);
    const std::string_view value =
        field != nullptr && field->value ? mapping::trimmed(*field->value) : std::string_view();
    return std::find(condition.second.begin(), condition.second.end(), value) != condition.second.end();
  });
}

bool ControlTally::weigh_amount(Running& running, const RawRecord& record, BadRow& bad, std::string& reason) {
  mapping::Context context;
  context.record = &record;
  std::optional<Decimal> amount;
  if (running.amount->amount(context, amount) == mapping::Outcome::rejected) {
    bad.field = "control";
    bad.column = context.column;
    bad.value = context.value;
    reason = context.reason;
    return false;
  }
  const Decimal weight = amount.value_or(Decimal());
  running.weight = running.total->by_magnitude ? weight.magnitude() : weight;
  return true;
}

void ControlTally::add() {
  for (Running& running : running_) {
    if (!running.applies) continue;
    running.count++;
    running.sum += running.weight;
  }
}

void ControlTally::state(std::size_t running, std::string text) {
  if (stated_.size() < stated_max) {
    stated_.push_back({running, std::move(text)});
  } else {
    too_many_stated_ = true;
  }
}

void ControlTally::read_line(std::string_view line) {
  std::string problem;
  if (open_table_) {
    const auto* values = splitter_.split(line, problem);
    if (values != nullptr) {
      for (std::size_t i = 0; i < values->size() && i < table_map_.size(); i++) {
        if (table_map_[i]) state(*table_map_[i], std::string(mapping::trimmed((*values)[i])));
      }
    }
    open_table_.reset();
    return;
  }
  for (std::size_t r = 0; r < format_.controls.size(); r++) {
    const ControlRule& rule = format_.controls[r];
    if (rule.pattern) {
      boost::cmatch match;
      if (!search(line, *rule.pattern, match)) continue;
      for (std::size_t g = 0; g < rule.totals.size(); g++) {
        const auto& group = match[static_cast<int>(g) + 1];
        if (group.matched) state(first_of_rule_[r] + g, group.str());
      }
      continue;
    }
    if (rule.table_names.empty()) continue;
    const auto* names = splitter_.split(line, problem);
    if (names == nullptr) continue;
    std::vector<std::string> found;
    for (std::string_view name : *names) found.push_back(column_name(name));
    const bool is_table = std::all_of(
        rule.table_names.begin(), rule.table_names.end(),
        [&](const std::string& name) { return std::find(found.begin(), found.end(), name) != found.end(); });
    if (!is_table) continue;
    table_map_.assign(found.size(), std::nullopt);
    for (std::size_t i = 0; i < found.size(); i++) {
      const auto total = rule.table_totals.find(found[i]);
      if (total != rule.table_totals.end()) table_map_[i] = first_of_rule_[r] + total->second;
    }
    open_table_ = r;
    return;
  }
}

void ControlTally::read_fact(std::string_view type, const RawRecord& record) {
  for (std::size_t r = 0; r < format_.controls.size(); r++) {
    const ControlRule& rule = format_.controls[r];
    if (rule.record.empty() || rule.record != type) continue;
    for (const auto& [column, total] : rule.table_totals) {
      std::size_t position = 0;
      const RawField* field = record.find(column, position);
      const std::string_view text =
          field != nullptr && field->value ? mapping::trimmed(*field->value) : std::string_view();
      if (!text.empty()) state(first_of_rule_[r] + total, std::string(text));
    }
  }
}

// What stood at the start, and all that moved, is what stands at the end.
void ControlTally::compare_balance(const Running& running, StatementSummary& summary, bool& agrees,
                                   bool& stated) const {
  if (!summary.opening_balance || !summary.closing_balance) return;
  const Decimal computed = *summary.opening_balance + running.sum;
  ControlLine line{running.total->name, summary.closing_balance->to_string(2), computed.to_string(2), false};
  line.agrees = (computed - *summary.closing_balance).magnitude() <= running.total->tolerance;
  agrees = agrees && line.agrees;
  stated = true;
  summary.controls.push_back(std::move(line));
}

void ControlTally::close(StatementSummary& summary) const {
  bool agrees = std::all_of(summary.controls.begin(), summary.controls.end(),
                            [](const ControlLine& line) { return line.agrees; });
  bool stated = !stated_.empty() || !summary.controls.empty();
  for (const Stated& total_stated : stated_) {
    const Running& running = running_[total_stated.running];
    const Total& total = *running.total;
    std::string reason;
    const auto value = format_.number_format.parse(total_stated.text, reason);
    ControlLine line{total.name, total_stated.text, {}, false};
    if (total.kind == Total::Kind::count) {
      line.computed = std::to_string(running.count);
      line.agrees = value && *value == *Decimal::parse(line.computed);
    } else {
      // A column that this layout of the file lacks adds up to nothing: a bill of payments still states its
      // refunds, 0.
      const Decimal sum = total.rounded_to ? rounded(running.sum, *total.rounded_to) : running.sum;
      line.computed = sum.to_string(2);
      line.agrees =
          value && (sum - (total.by_magnitude ? value->magnitude() : *value)).magnitude() <= total.tolerance;
    }
    agrees = agrees && line.agrees;
    summary.controls.push_back(std::move(line));
  }
  for (std::size_t r = 0; r < format_.controls.size(); r++) {
    if (format_.controls[r].balance) compare_balance(running_[first_of_rule_[r]], summary, agrees, stated);
  }
  if (too_many_stated_) {
    summary.controls.push_back(
        {"totals", "more than " + std::to_string(stated_max), "the rest of them is not compared", false});
    agrees = false;
  }
  if (!agrees) {
    summary.verdict = ControlVerdict::mismatch;
  } else if (stated) {
    summary.verdict = ControlVerdict::agreed;
  } else {
    summary.verdict = format_.controls.empty() ? ControlVerdict::none : ControlVerdict::missing;
  }
}

}  // namespace pg_reconcile::core

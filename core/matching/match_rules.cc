#include "core/matching/match_rules.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/error.h"
#include "core/json_document.h"
#include "core/matching/duration.h"

namespace pg_reconcile::core {
namespace {

constexpr std::string_view guide = "docs/match-rules.md";
constexpr std::size_t rules_max = 100;
constexpr std::size_t name_bytes_max = 100;
constexpr std::size_t key_columns_max = 16;
constexpr std::int64_t work_min = 1000;
constexpr std::int64_t work_max = 10'000'000;
constexpr std::string_view attribute_prefix = "attributes.";

constexpr std::array<std::string_view, 7> rule_words = {"channel_ref", "match_key", "carried", "net_order",
                                                        "pair",        "group",     "subset"};

constexpr std::array<Field, 10> key_fields = {
    Field::order_key, Field::match_key, Field::channel_ref,   Field::original_ref, Field::settlement_ref,
    Field::kind,      Field::sub_kind,  Field::business_date, Field::value_date,   Field::source_status};

constexpr std::array<Field, 5> shared_references = {Field::order_key, Field::match_key, Field::channel_ref,
                                                    Field::original_ref, Field::settlement_ref};

template <std::size_t N>
bool holds(const std::array<Field, N>& fields, Field field) {
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

std::string key_column_words() {
  std::string text = "a column (";
  for (const Field field : key_fields) text += std::string(field_name(field)) + ", ";
  return text + "attributes.<name>)";
}

// A number that is money, or a share of it.
Decimal decimal_at(const JsonNode& node, std::string_view example) {
  const std::string expected = "a text such as \"" + std::string(example) +
                               "\" (a JSON number with a fraction would pass through floating point)";
  if (!node.is_text() && !node.is_number()) node.expected(expected);
  std::string text;
  if (node.is_text()) {
    text = node.text();
  } else if (const auto whole = node.whole_number()) {
    text = std::to_string(*whole);
  } else {
    node.expected(expected);
  }
  const auto value = Decimal::parse(text);
  if (!value) {
    node.expected("a decimal number of at most 18 digits and 12 decimals, such as \"" + std::string(example) +
                  "\"");
  }
  if (value->is_negative())
    node.expected("a number that is not negative, such as \"" + std::string(example) + "\"");
  return *value;
}

AmountTolerance amount_at(const JsonNode& node) {
  node.allow_only({"within", "percent", "cap"});
  AmountTolerance amount;
  if (const auto within = node.find("within")) amount.within = decimal_at(*within, "0.05");
  if (const auto percent = node.find("percent")) {
    amount.percent = decimal_at(*percent, "0.1");
    if (*amount.percent > AmountTolerance::percent_max) percent->expected("a percentage from 0 to 100");
  }
  if (const auto cap = node.find("cap")) {
    if (!amount.percent) cap->fail("\"cap\" limits \"percent\", which is not given");
    amount.cap = decimal_at(*cap, "1.00");
  }
  return amount;
}

std::int64_t duration_at(const JsonNode& node, bool whole_days) {
  constexpr std::string_view expected =
      "a duration of days, hours, minutes or seconds, not negative, such as \"2 days\" or \"1 hour 30 "
      "minutes\"";
  if (!node.is_text()) node.expected(expected);
  const auto duration = parse_duration(node.text());
  if (!duration) node.expected(expected);
  if (whole_days && *duration % microseconds_per_day != 0)
    node.expected("whole days, for a window on a date");
  return *duration;
}

TimeWindow window_at(const JsonNode& node) {
  node.allow_only({"on", "before", "after"});
  TimeWindow window;
  const std::string on = node.at("on", "occurred_at, business_date or value_date")
                             .text_in({"occurred_at", "business_date", "value_date"});
  if (on == "business_date") window.on = TimeWindow::On::business_date;
  if (on == "value_date") window.on = TimeWindow::On::value_date;
  const bool whole_days = window.on != TimeWindow::On::occurred_at;
  const auto before = node.find("before");
  const auto after = node.find("after");
  if (!before && !after) node.expected("\"before\", \"after\" or both: how far right may lie from left");
  if (before) window.before = duration_at(*before, whole_days);
  if (after) window.after = duration_at(*after, whole_days);
  return window;
}

std::vector<KeyColumn> key_at(const JsonNode& node) {
  std::vector<KeyColumn> key;
  std::set<std::string> seen;
  for (const JsonNode& item : node.items()) {
    if (!item.is_text()) item.expected(key_column_words());
    const std::string name = item.text();
    if (!seen.insert(name).second) item.fail("column \"" + name + "\" is named twice");
    const auto field = field_by_name(name);
    if (field == Field::account || field == Field::currency) continue;
    KeyColumn column;
    if (name.starts_with(attribute_prefix) && name.size() > attribute_prefix.size()) {
      column.attribute = name.substr(attribute_prefix.size());
    } else if (field && holds(key_fields, *field)) {
      column.field = *field;
    } else {
      item.expected(key_column_words());
    }
    key.push_back(std::move(column));
    if (key.size() > key_columns_max)
      node.expected("at most " + std::to_string(key_columns_max) + " columns");
  }
  return key;
}

bool has_shared_reference(const std::vector<KeyColumn>& key) {
  return std::any_of(key.begin(), key.end(), [](const KeyColumn& column) {
    return !column.attribute.empty() || holds(shared_references, column.field);
  });
}

std::vector<std::string> kinds_at(const JsonNode& node) {
  std::vector<std::string> kinds;
  for (const JsonNode& item : node.items()) {
    if (!item.is_text() || !contains(entry_kinds, item.text())) {
      item.expected("an entry kind (" + listed(entry_kinds) + ")");
    }
    if (std::find(kinds.begin(), kinds.end(), item.text()) != kinds.end()) {
      item.fail("kind \"" + item.text() + "\" is named twice");
    }
    kinds.push_back(item.text());
  }
  if (kinds.empty()) node.expected("at least one entry kind");
  return kinds;
}

std::vector<StatusMapping> statuses_at(const JsonNode& node) {
  std::vector<StatusMapping> statuses;
  for (const auto& [word, node_of_words] : node.members()) {
    StatusMapping mapping{word, node_of_words.texts()};
    if (mapping.right.empty()) node_of_words.expected("at least one source_status of the right book");
    statuses.push_back(std::move(mapping));
  }
  if (statuses.empty()) node.expected("at least one source_status of the left book");
  return statuses;
}

std::string name_at(const JsonNode& node) {
  const JsonNode name = node.at("name", "a name, unique in the set");
  if (!name.is_text() || name.text().empty() || name.text().size() > name_bytes_max) {
    name.expected("a name of 1 to " + std::to_string(name_bytes_max) + " bytes");
  }
  return name.text();
}

std::string tolerance_of(const JsonNode& node) {
  std::string text = "{";
  for (const char* word : {"amount", "window"}) {
    const auto found = node.find(word);
    if (!found) continue;
    if (text.size() > 1) text += ", ";
    text += "\"" + std::string(word) + "\": " + found->serialized();
  }
  return text + "}";
}

void read_pair(const JsonNode& node, RuleDefinition& rule) {
  node.allow_only({"rule", "name", "after", "suggest", "key", "kinds", "amount", "window", "source_status"});
  if (const auto statuses = node.find("source_status")) rule.statuses = statuses_at(*statuses);
}

void read_group(const JsonNode& node, RuleDefinition& rule) {
  node.allow_only({"rule", "name", "after", "suggest", "key", "kinds", "amount", "window", "shape"});
  const std::string shape = node.at("shape", "1:N, N:1 or N:M (left:right)").text_in({"1:N", "N:1", "N:M"});
  if (shape == "1:N") rule.shape = GroupShape::one_to_many;
  if (shape == "N:1") rule.shape = GroupShape::many_to_one;
}

void read_subset(const JsonNode& node, RuleDefinition& rule) {
  node.allow_only(
      {"rule", "name", "after", "suggest", "key", "kinds", "amount", "window", "one", "max_members", "work"});
  const std::string one = node.at("one", "left or right: the side whose single entry the others add up to")
                              .text_in({"left", "right"});
  if (one == "right") rule.one = RuleSide::right;
  if (const auto most = node.find("max_members")) rule.max_members = static_cast<int>(most->integer(2, 64));
  if (const auto work = node.find("work")) rule.work = work->integer(work_min, work_max);
}

void read_suggest(const JsonNode& node, RuleDefinition& rule) {
  const bool shared = has_shared_reference(rule.key);
  rule.suggest = !shared;
  const auto suggest = node.find("suggest");
  if (!suggest) return;
  rule.suggest = suggest->boolean();
  if (!rule.suggest && !shared) {
    suggest->fail(
        "expected true: without a shared reference in \"key\" (order_key, match_key, channel_ref, "
        "original_ref, "
        "settlement_ref or attributes.<name>) matches can only be suggested");
  }
}

void read_settings(const JsonNode& node, RuleDefinition& rule) {
  const JsonNode key = node.at("key", "an array of columns that must be equal");
  rule.key = key_at(key);
  if (rule.key.empty() && rule.kind == RuleKind::group) {
    key.expected("at least one column besides account and currency: a group takes all entries of its key");
  }
  if (const auto kinds = node.find("kinds")) {
    kinds->allow_only({"left", "right"});
    if (const auto left = kinds->find("left")) rule.left_kinds = kinds_at(*left);
    if (const auto right = kinds->find("right")) rule.right_kinds = kinds_at(*right);
  }
  if (const auto amount = node.find("amount")) rule.amount = amount_at(*amount);
  if (const auto window = node.find("window")) rule.window = window_at(*window);
  if (const auto after = node.find("after")) {
    for (const JsonNode& item : after->items()) rule.after.push_back(item.text());
  }
  read_suggest(node, rule);
  rule.tolerance = tolerance_of(node);
}

RuleKind kind_at(const JsonNode& node) {
  const JsonNode word = node.at("rule", listed(rule_words));
  if (word.is_text()) {
    const auto* const found = std::find(rule_words.begin(), rule_words.end(), word.text());
    if (found != rule_words.end()) return static_cast<RuleKind>(found - rule_words.begin());
  }
  word.expected("one of " + listed(rule_words));
}

RuleDefinition read_rule(const JsonNode& node) {
  RuleDefinition rule;
  rule.kind = kind_at(node);
  rule.settings = node.serialized();
  if (is_exact(rule.kind)) {
    node.allow_only({"rule"});
    rule.name = rule_word(rule.kind);
    return rule;
  }
  rule.name = name_at(node);
  switch (rule.kind) {
    case RuleKind::pair:
      read_pair(node, rule);
      break;
    case RuleKind::group:
      read_group(node, rule);
      break;
    default:
      read_subset(node, rule);
  }
  read_settings(node, rule);
  return rule;
}

// What messages call a rule that may not be readable: its name, its word or its place.
std::string label_of(const JsonNode& node, std::size_t place) {
  for (const char* word : {"name", "rule"}) {
    if (!node.is_object()) break;
    const auto found = node.find(word);
    if (found && found->is_text() && !found->text().empty() && found->text().size() <= name_bytes_max) {
      return "match rule \"" + found->text() + "\"";
    }
  }
  return "match rule " + std::to_string(place + 1);
}

// Runs `read`; what it complains of is said of this rule.
template <class Read>
void of_rule(const JsonNode& node, std::size_t place, Read read) {
  try {
    read();
  } catch (const Error& error) {
    throw Error(error.state(), label_of(node, place) + " is not valid", error.detail(), error.hint());
  }
}

class Order {
 public:
  Order(const std::vector<JsonNode>& nodes, std::vector<RuleDefinition>& rules)
      : nodes_(nodes), rules_(rules), before_(rules.size()), done_(rules.size()) {
    for (std::size_t i = 0; i < rules.size(); i++) of_rule(nodes[i], i, [&] { resolve(i); });
  }

  // Again and again the first rule, as written, all of whose predecessors have run.
  std::vector<RuleDefinition> run_order() {
    std::vector<RuleDefinition> ordered;
    while (ordered.size() < rules_.size()) {
      std::size_t next = 0;
      while (next < rules_.size() && !ready(next)) next++;
      if (next == rules_.size()) fail_with_cycle();
      done_[next] = true;
      ordered.push_back(std::move(rules_[next]));
    }
    return ordered;
  }

 private:
  void resolve(std::size_t i) {
    const auto items = rules_[i].after.empty() ? std::vector<JsonNode>() : nodes_[i].at("after", "").items();
    for (std::size_t n = 0; n < items.size(); n++) {
      const auto found = std::find_if(rules_.begin(), rules_.end(), [&](const RuleDefinition& rule) {
        return rule.name == rules_[i].after[n];
      });
      if (found == rules_.end()) items[n].expected("the name of a rule of this set");
      before_[i].push_back(static_cast<std::size_t>(found - rules_.begin()));
    }
  }

  [[nodiscard]] bool ready(std::size_t i) const {
    return !done_[i] &&
           std::all_of(before_[i].begin(), before_[i].end(), [this](std::size_t b) { return done_[b]; });
  }

  // Every rule that has not run waits for one that has not: following these comes around.
  [[noreturn]] void fail_with_cycle() const {
    std::vector<std::size_t> path;
    std::size_t at = 0;
    while (done_[at]) at++;
    while (std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      at = *std::find_if(before_[at].begin(), before_[at].end(), [this](std::size_t b) { return !done_[b]; });
    }
    std::string cycle;
    for (auto i = std::find(path.begin(), path.end(), at); i != path.end(); i++) {
      cycle += "\"" + rules_[*i].name + "\" after ";
    }
    const std::size_t first = at;
    of_rule(nodes_[first], first, [&] {
      nodes_[first]
          .at("after", "")
          .fail("the rules run in a cycle: " + cycle + "\"" + rules_[first].name + "\"");
    });
    throw Error(sqlstate::internal_error, "a cycle of match rules was not reported");
  }

  const std::vector<JsonNode>& nodes_;
  std::vector<RuleDefinition>& rules_;
  std::vector<std::vector<std::size_t>> before_;
  std::vector<bool> done_;
};

void check_names(const std::vector<JsonNode>& nodes, const std::vector<RuleDefinition>& rules) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < rules.size(); i++) {
    if (names.insert(rules[i].name).second) continue;
    of_rule(nodes[i], i, [&] {
      if (is_exact(rules[i].kind)) nodes[i].at("rule", "").fail("this pass is in the set already");
      nodes[i].at("name", "").fail("the set has a rule of this name already");
    });
  }
}

void check_exact_passes(const JsonNode& root, const std::vector<JsonNode>& nodes,
                        const std::vector<RuleDefinition>& rules) {
  bool others = false;
  bool exact_reference = false;
  for (std::size_t i = 0; i < rules.size(); i++) {
    exact_reference =
        exact_reference || rules[i].kind == RuleKind::channel_ref || rules[i].kind == RuleKind::match_key;
    if (others && is_exact(rules[i].kind)) {
      of_rule(nodes[i], i, [&] {
        nodes[i].fail(
            "exact passes (channel_ref, match_key, carried, net_order) come before all other rules");
      });
    }
    others = others || !is_exact(rules[i].kind);
  }
  if (!exact_reference) root.fail("no exact pass: expected a rule \"channel_ref\" or \"match_key\"");
}

}  // namespace

std::string_view rule_word(RuleKind kind) {
  return rule_words[static_cast<std::size_t>(kind)];
}

MatchRuleSet MatchRuleSet::parse(std::string_view json) {
  const JsonNode root = JsonNode::parse(json, "set of match rules", guide);
  if (!root.is_array()) root.expected("an array of rules");
  const std::vector<JsonNode> nodes = root.items();
  if (nodes.size() > rules_max) root.fail("expected at most " + std::to_string(rules_max) + " rules");
  std::vector<RuleDefinition> rules;
  for (std::size_t i = 0; i < nodes.size(); i++) {
    of_rule(nodes[i], i, [&] { rules.push_back(read_rule(nodes[i])); });
  }
  check_exact_passes(root, nodes, rules);
  check_names(nodes, rules);
  return {Order(nodes, rules).run_order()};
}

}  // namespace pg_reconcile::core

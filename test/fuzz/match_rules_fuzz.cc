// Whatever text comes as a rule set: it is refused with 22023 and a path, or it is a set that says the same
// when its rules are read again in their order.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/matching/match_rules.h"

namespace {

using namespace pg_reconcile::core;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const RuleDefinition& rule) {
  require(!rule.name.empty());
  if (is_exact(rule.kind)) return;
  require(!rule.amount.within.is_negative());
  require(rule.amount.percent || !rule.amount.cap);
  if (rule.window) require(rule.window->before >= 0 && rule.window->after >= 0);
  require(rule.kind != RuleKind::group || !rule.key.empty());
  // Equal amounts are within every tolerance.
  for (const char* amount : {"0", "-1", "999999999999999999.999999999999"}) {
    const Decimal value = *Decimal::parse(amount);
    require(rule.amount.accepts(value, value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  MatchRuleSet set;
  try {
    set = MatchRuleSet::parse(text);
  } catch (const Error& error) {
    require(std::strcmp(error.state(), sqlstate::invalid_parameter_value) == 0);
    require(!error.detail().empty() && !error.hint().empty());
    return 0;
  }
  std::string again;
  for (const RuleDefinition& rule : set.rules) {
    check(rule);
    again += (again.empty() ? "[" : ",") + rule.settings;
  }
  const MatchRuleSet second = MatchRuleSet::parse(again + "]");
  require(second.rules.size() == set.rules.size());
  for (std::size_t i = 0; i < set.rules.size(); i++) {
    require(second.rules[i].name == set.rules[i].name);
    require(second.rules[i].settings == set.rules[i].settings);
    require(second.rules[i].tolerance == set.rules[i].tolerance);
  }
  return 0;
}

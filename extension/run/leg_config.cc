#include <algorithm>

#include <boost/json.hpp>

#include "extension/run/leg_config.h"

#include "core/error.h"

extern "C" {
#include <datatype/timestamp.h>
#include <utils/datetime.h>
}

namespace pg_reconcile {

namespace json = boost::json;

namespace {

core::MatchRule exact_rule(core::RuleKind kind) {
  switch (kind) {
    case core::RuleKind::channel_ref:
      return core::MatchRule::channel_ref;
    case core::RuleKind::match_key:
      return core::MatchRule::match_key;
    case core::RuleKind::carried:
      return core::MatchRule::carried;
    default:
      return core::MatchRule::net_order;
  }
}

// The set of rules that is valid on the day: its version, and the passes that are enabled.
void load_passes(pg::Spi& spi, LegConfig& config, core::Date day) {
  using pg::Argument;
  spi.run(
      "SELECT r.version, r.pass, r.name, r.enabled, r.settings::text FROM reconcile.match_rule r "
      "WHERE r.channel = $1 AND r.leg = $2 AND r.version = reconcile.rule_set($1, $2, $3) ORDER BY r.pass",
      {Argument::text(config.channel), Argument::text(config.leg), Argument::date(day)});
  if (spi.rows() == 0) return;
  std::string rules;
  for (std::uint64_t i = 0; i < spi.rows(); i++) rules += (i == 0 ? "[" : ", ") + spi.text(i, 4);
  const core::MatchRuleSet set = core::MatchRuleSet::parse(rules + "]");
  config.rules_version = static_cast<std::int32_t>(spi.int8(0, 0));
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    const std::string name = spi.text(i, 2);
    const auto rule = std::find_if(set.rules.begin(), set.rules.end(),
                                   [&name](const core::RuleDefinition& r) { return r.name == name; });
    if (spi.boolean(i, 3) && rule != set.rules.end()) {
      config.passes.push_back({static_cast<int>(spi.int8(i, 1)), *rule});
    }
  }
}

}  // namespace

std::vector<core::MatchPass> LegConfig::exact_passes() const {
  std::vector<core::MatchPass> found;
  for (const PassConfig& config : passes) {
    if (core::is_exact(config.rule.kind)) found.push_back({config.pass, exact_rule(config.rule.kind)});
  }
  return found;
}

const PassConfig& LegConfig::pass(int number) const {
  return *std::find_if(passes.begin(), passes.end(),
                       [number](const PassConfig& config) { return config.pass == number; });
}

std::string date_text(core::Date day) {
  int year = 0;
  int month = 0;
  int day_of_month = 0;
  j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &day_of_month);
  char text[32];
  snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day_of_month);
  return text;
}

LegConfig load_leg(pg::Spi& spi, const std::string& channel, const std::string& account,
                   const std::string& leg, core::Date day, const core::MatchRuleSet* rules) {
  using pg::Argument;
  LegConfig config;
  config.channel = channel;
  config.account = account;
  config.leg = leg;
  spi.run(
      "SELECT l.version, l.left_book, l.right_book, l.control_query_function, l.control_query_role::text "
      "FROM reconcile.leg l WHERE l.channel = $1 AND l.leg = $2 AND l.valid_from <= $3 "
      "ORDER BY l.valid_from DESC LIMIT 1",
      {Argument::text(channel), Argument::text(leg), Argument::date(day)});
  if (spi.rows() == 0) {
    throw core::Error(core::sqlstate::undefined_object,
                      "leg \"" + leg + "\" of channel \"" + channel + "\" does not exist",
                      "No version of it is valid on " + date_text(day) + ".",
                      "The legs of a channel are listed in reconcile.leg.");
  }
  config.version = static_cast<std::int32_t>(spi.int8(0, 0));
  config.left_book = spi.text(0, 1);
  config.right_book = spi.text(0, 2);
  config.control_function = spi.text(0, 3);
  config.control_role = spi.text(0, 4);

  spi.run(
      "SELECT k.key FROM reconcile.leg l, jsonb_each(l.kinds) k "
      "WHERE l.channel = $1 AND l.leg = $2 AND l.version = $3 AND k.value = '\"match\"' ORDER BY k.key",
      {Argument::text(channel), Argument::text(leg), Argument::int4(config.version)});
  for (std::uint64_t i = 0; i < spi.rows(); i++) config.kinds.push_back(spi.text(i, 0));

  if (rules == nullptr) {
    load_passes(spi, config, day);
  } else {
    for (const core::RuleDefinition& rule : rules->rules) {
      config.passes.push_back({static_cast<int>(config.passes.size()) + 1, rule});
    }
  }
  json::object versions;
  for (const PassConfig& pass : config.passes) {
    versions[std::to_string(pass.pass)] =
        json::object{{"rule", pass.rule.name}, {"version", config.rules_version}};
  }
  config.rules_json = json::serialize(json::object{{"leg", config.version}, {"passes", versions}});
  return config;
}

}  // namespace pg_reconcile

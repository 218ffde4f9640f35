#include "extension/run/leg_config.h"

#include <algorithm>

#include "core/error.h"

extern "C" {
#include <datatype/timestamp.h>
#include <utils/datetime.h>
}

namespace pg_reconcile {
namespace {

core::MatchRule rule_named(const std::string& name) {
  if (name == "channel_ref") return core::MatchRule::channel_ref;
  if (name == "match_key") return core::MatchRule::match_key;
  if (name == "carried") return core::MatchRule::carried;
  return core::MatchRule::net_order;
}

}  // namespace

std::vector<core::MatchPass> LegConfig::match_passes() const {
  std::vector<core::MatchPass> found;
  for (const PassConfig& config : passes) found.push_back(config.pass);
  return found;
}

const PassConfig& LegConfig::pass(int number) const {
  return *std::find_if(passes.begin(), passes.end(),
                       [number](const PassConfig& config) { return config.pass.pass == number; });
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
                   const std::string& leg, core::Date day) {
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

  spi.run(
      "SELECT DISTINCT ON (r.pass) r.pass, r.rule, r.version, r.enabled FROM reconcile.match_rule r "
      "WHERE r.channel = $1 AND r.leg = $2 AND r.valid_from <= $3 ORDER BY r.pass, r.valid_from DESC, "
      "r.version DESC",
      {Argument::text(channel), Argument::text(leg), Argument::date(day)});
  std::string versions;
  for (std::uint64_t i = 0; i < spi.rows(); i++) {
    const int pass = static_cast<int>(spi.int8(i, 0));
    const auto version = static_cast<std::int32_t>(spi.int8(i, 2));
    if (!spi.boolean(i, 3)) continue;
    config.passes.push_back({{pass, rule_named(spi.text(i, 1))}, spi.text(i, 1), version});
    versions += (versions.empty() ? "\"" : ", \"") + std::to_string(pass) + "\": {\"rule\": \"" +
                spi.text(i, 1) + "\", \"version\": " + std::to_string(version) + "}";
  }
  config.rules_json = "{\"leg\": " + std::to_string(config.version) + ", \"passes\": {" + versions + "}}";
  return config;
}

}  // namespace pg_reconcile

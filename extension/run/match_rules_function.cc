// reconcile.ordered_match_rules: rules are checked when they are stored, by the code that will execute them.
#include <string>

#include <boost/json.hpp>

#include "core/matching/match_rules.h"
#include "extension/pg/guard.h"

extern "C" {
#include <fmgr.h>
#include <utils/builtins.h>
#include <utils/jsonb.h>
}

PG_RECONCILE_FUNCTION(reconcile_ordered_match_rules) {
  using namespace pg_reconcile;
  const Datum rules = PG_GETARG_DATUM(0);
  const char* document = pg::guarded([=] { return DatumGetCString(DirectFunctionCall1(jsonb_out, rules)); });
  const core::MatchRuleSet set = core::MatchRuleSet::parse(document);
  std::string list = "[";
  for (const core::RuleDefinition& rule : set.rules) {
    if (list.size() > 1) list += ", ";
    list += R"({"rule": ")" + std::string(core::rule_word(rule.kind)) + R"(", "name": )" +
            boost::json::serialize(boost::json::string(rule.name)) + R"(, "settings": )" + rule.settings +
            "}";
  }
  list += "]";
  const char* ordered = list.c_str();
  return pg::guarded([=] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(ordered)); });
}

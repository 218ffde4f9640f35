#include "core/matching/rule_match.h"

#include "core/error.h"
#include "core/matching/rule_block.h"

namespace pg_reconcile::core {

RuleMatches match_by_rule(const RuleDefinition& rule, const RuleInput& input, Interrupts& interrupts) {
  RuleCollector collector(input);
  switch (rule.kind) {
    case RuleKind::pair:
      match_pairs(rule, input, collector, interrupts);
      break;
    case RuleKind::group:
      match_groups(rule, input, collector, interrupts);
      break;
    case RuleKind::subset:
      match_subsets(rule, input, collector, interrupts);
      break;
    default:
      throw Error(sqlstate::internal_error,
                  "an exact pass is not run by match_by_rule: " + std::string(rule_word(rule.kind)));
  }
  return collector.finish();
}

}  // namespace pg_reconcile::core

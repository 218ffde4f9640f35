#include "extension/pg/entry_checks.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/mapping/vocabulary.h"
#include "extension/pg/numeric_view.h"
#include "extension/values/payload.h"

extern "C" {
#include <nodes/nodeFuncs.h>
#include <nodes/parsenodes.h>
#include <parser/parse_coerce.h>
#include <parser/parse_collate.h>
#include <parser/parse_expr.h>
#include <parser/parse_node.h>
#include <parser/parse_relation.h>
#include <parser/parser.h>
}

namespace pg_reconcile::pg {
namespace {

namespace column = entry_column;

// As in reconcile.install().
constexpr std::array<const char*, 10> checks = {
    "kind IN ('payment', 'refund', 'reversal', 'chargeback', 'chargeback_reversal', 'fee', 'tax', 'payout', "
    "'transfer', 'reserve', 'reserve_release', 'fx_conversion', 'profit_share', 'adjustment', 'other')",
    "order_key <> ''",
    "abs(amount) < 1e18 AND scale(trim_scale(amount)) <= 12",
    "currency ~ '^[A-Z]{3}$'",
    "abs(settle_amount) < 1e18 AND scale(trim_scale(settle_amount)) <= 12",
    "settlement_currency ~ '^[A-Z]{3}$'",
    "abs(fee) < 1e18 AND scale(trim_scale(fee)) <= 12",
    "abs(net) < 1e18 AND scale(trim_scale(net)) <= 12",
    "status IN ('success', 'pending', 'failed', 'closed', 'reversed')",
    "recon_date >= business_date"};

// As cookConstraint makes it.
Node* raw_cooked(Relation partition, const char* text) {
  const List* statements = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
  const auto* select = reinterpret_cast<const SelectStmt*>(linitial_node(RawStmt, statements)->stmt);
  ParseState* state = make_parsestate(nullptr);
  ParseNamespaceItem* item =
      addRangeTableEntryForRelation(state, partition, AccessShareLock, nullptr, false, true);
  addNSItemToQuery(state, item, true, true, true);
  Node* node =
      transformExpr(state, linitial_node(ResTarget, select->targetList)->val, EXPR_KIND_CHECK_CONSTRAINT);
  node = coerce_to_boolean(state, node, "CHECK");
  assign_expr_collations(state, node);
  free_parsestate(state);
  return node;
}

bool is_code(std::string_view text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::string_view payload(const EntryRow& row, column::Column of) {
  return payload_of(row.values[of]);
}

// Below 10^16, with 12 fraction digits at most; what is larger is left to the check itself.
bool is_small(const EntryRow& row, column::Column of) {
  if (row.nulls[of]) return true;
  const NumericView view(payload(row, of));
  constexpr int weight_max = 3;
  constexpr int last_min = -core::Decimal::scale_digits / 4;
  return view.special == 0 && view.weight <= weight_max &&
         view.weight - static_cast<int>(view.digit_count()) + 1 >= last_min;
}

}  // namespace

bool raw_checks_are_ours(Relation partition) {
  const TupleConstr* constraints = RelationGetDescr(partition)->constr;
  if (constraints == nullptr || constraints->num_check != static_cast<int>(checks.size())) return false;
  std::array<bool, checks.size()> found{};
  for (std::size_t ours = 0; ours < checks.size(); ours++) {
    const Node* expected = raw_cooked(partition, checks[ours]);
    for (std::size_t i = 0; i < checks.size() && !found[ours]; i++) {
      found[ours] = equal(expected, stringToNode(constraints->check[i].ccbin));
    }
  }
  return std::all_of(found.begin(), found.end(), [](bool is_there) { return is_there; });
}

bool passes_our_checks(const EntryRow& row) {
  for (const column::Column needed : {column::kind, column::order_key, column::amount, column::currency,
                                      column::status, column::business_date, column::recon_date}) {
    if (row.nulls[needed]) return false;
  }
  return core::contains(core::entry_kinds, payload(row, column::kind)) &&
         !payload(row, column::order_key).empty() && is_code(payload(row, column::currency)) &&
         (row.nulls[column::settlement_currency] || is_code(payload(row, column::settlement_currency))) &&
         core::contains(core::statuses, payload(row, column::status)) && is_small(row, column::amount) &&
         is_small(row, column::settle_amount) && is_small(row, column::fee) && is_small(row, column::net) &&
         row.date(column::recon_date) >= row.date(column::business_date);
}

}  // namespace pg_reconcile::pg

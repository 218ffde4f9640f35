#include "extension/compare/compare_plan.h"

#include <algorithm>

extern "C" {
#include <catalog/pg_collation_d.h>
#include <catalog/pg_type_d.h>
#include <utils/builtins.h>
#include <utils/lsyscache.h>
}

namespace pg_reconcile::pg {
namespace {

struct NamedPair {
  const RelationColumn* left;
  const RelationColumn* right;
};

std::string trimmed(const std::string& text) {
  const std::size_t from = text.find_first_not_of(' ');
  if (from == std::string::npos) return {};
  return text.substr(from, text.find_last_not_of(' ') - from + 1);
}

// A name that both sides have means itself, even with a '=' in it; else 'a=b' is a of the left and b of the
// right.
NamedPair resolve_name(const std::string& name, const ComparedRelation& left, const ComparedRelation& right,
                       const char* argument) {
  const RelationColumn* in_left = left.find(name);
  const RelationColumn* in_right = right.find(name);
  if (in_left != nullptr && in_right != nullptr) return {in_left, in_right};
  const std::size_t equals = name.find('=');
  if (equals == std::string::npos) return {&left.require(name, argument), &right.require(name, argument)};
  return {&left.require(trimmed(name.substr(0, equals)), argument),
          &right.require(trimmed(name.substr(equals + 1)), argument)};
}

std::string written(const NamedPair& pair) {
  return pair.left->name == pair.right->name ? pair.left->name : pair.left->name + "=" + pair.right->name;
}

void add_named(std::vector<NamedPair>& pairs, const NamedPair& pair, const char* argument) {
  for (const NamedPair& known : pairs) {
    if (known.left != pair.left || known.right != pair.right) continue;
    throw core::Error("42701", "column \"" + written(pair) + "\" is named twice",
                      std::string("The argument ") + argument + " repeats it.",
                      "Name each column once, either in key or in compare.");
  }
  pairs.push_back(pair);
}

std::vector<NamedPair> resolve_names(const ComparedRelation& left, const ComparedRelation& right,
                                     const CompareRequest& request) {
  std::vector<NamedPair> pairs;
  for (const std::string& name : request.key) add_named(pairs, resolve_name(name, left, right, "key"), "key");
  if (request.compare) {
    for (const std::string& name : *request.compare) {
      add_named(pairs, resolve_name(name, left, right, "compare"), "compare");
    }
    return pairs;
  }
  const std::vector<NamedPair> keys = pairs;
  for (const RelationColumn& column : left.columns()) {
    const RelationColumn* other = right.find(column.name);
    if (other == nullptr) continue;
    if (std::any_of(keys.begin(), keys.end(),
                    [&](const NamedPair& key) { return key.left == &column || key.right == other; })) {
      continue;
    }
    pairs.push_back({&column, other});
  }
  return pairs;
}

std::string type_name(Oid type) {
  return guarded([=] { return format_type_be(type); });
}

int whole_number_width(Oid type) {
  return type == INT2OID ? 1 : type == INT4OID ? 2 : type == INT8OID ? 3 : 0;
}
bool is_text(Oid type) {
  return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == NAMEOID;
}

// The type that both values have without losing anything; InvalidOid: none.
Oid common_type(Oid left, Oid right) {
  if (left == right) return left;
  if (whole_number_width(left) > 0 && whole_number_width(right) > 0) {
    return whole_number_width(left) > whole_number_width(right) ? left : right;
  }
  if ((left == NUMERICOID && whole_number_width(right) > 0) ||
      (right == NUMERICOID && whole_number_width(left) > 0)) {
    return NUMERICOID;
  }
  if (is_text(left) && is_text(right)) return TEXTOID;
  if ((left == INETOID && right == CIDROID) || (left == CIDROID && right == INETOID)) return INETOID;
  if ((left == BITOID && right == VARBITOID) || (left == VARBITOID && right == BITOID)) return VARBITOID;
  return InvalidOid;
}

Oid require_common_type(const NamedPair& pair, Oid left, Oid right) {
  const Oid common = common_type(left, right);
  if (OidIsValid(common)) return common;
  throw core::Error(core::sqlstate::datatype_mismatch,
                    "column \"" + written(pair) + "\" has different types on the two sides",
                    "It is " + type_name(pair.left->type) + " on the left and " +
                        type_name(pair.right->type) + " on the right.",
                    "Compare a view that casts one of them, or list the columns to compare without it.");
}

// Which collation decides. Deterministic collations all call the same strings equal; of others there must be
// one.
Oid common_collation(const NamedPair& pair, Oid type) {
  const Oid left = pair.left->collation;
  const Oid right = pair.right->collation;
  const auto is_nondeterministic = [](Oid collation) {
    return OidIsValid(collation) && !guarded([=] { return get_collation_isdeterministic(collation); });
  };
  if (left != right && (is_nondeterministic(left) || is_nondeterministic(right))) {
    throw core::Error("42P21", "column \"" + written(pair) + "\" has different collations on the two sides",
                      "One of them is nondeterministic: which strings are equal depends on the side.",
                      "Compare a view that gives both the same collation with COLLATE.");
  }
  if (OidIsValid(left)) return left;
  if (OidIsValid(right)) return right;
  return OidIsValid(guarded([=] { return get_typcollation(type); })) ? DEFAULT_COLLATION_OID : InvalidOid;
}

std::string expression_of(const RelationColumn& column, Oid base, Oid common) {
  if (base == common) return quoted(column.name);
  const std::string type =
      guarded([=] { return format_type_extended(common, -1, FORMAT_TYPE_FORCE_QUALIFY); });
  return "(" + quoted(column.name) + ")::" + type;
}

bool is_stored_as(Oid base, Oid common) {
  return base == common || (base == VARCHAROID && common == TEXTOID) ||
         (base == CIDROID && common == INETOID) || (base == BITOID && common == VARBITOID);
}

ColumnPair plan_column(const NamedPair& pair, std::uint64_t hash_seed) {
  const Oid left_type = pair.left->type;
  const Oid right_type = pair.right->type;
  const Oid left_base = guarded([=] { return getBaseType(left_type); });
  const Oid right_base = guarded([=] { return getBaseType(right_type); });
  const Oid common = require_common_type(pair, left_base, right_base);
  const TypeOperations operations = operations_of(common, common_collation(pair, common));
  if (operations.equal == nullptr || (operations.hash == nullptr && operations.compare == nullptr)) {
    throw core::Error(
        "42883", "column \"" + written(pair) + "\" of type " + type_name(common) + " cannot be compared",
        "Type " + type_name(common) + " has no equality that says when two values are the same.",
        "List the columns to compare without it, or compare a view that casts it (json to jsonb, xml "
        "and point to text).");
  }
  return {pair.left->name,
          pair.right->name,
          expression_of(*pair.left, left_base, common),
          expression_of(*pair.right, right_base, common),
          is_stored_as(left_base, common),
          is_stored_as(right_base, common),
          operations,
          ValueEncoder(operations, hash_seed),
          std::nullopt};
}

ColumnPair& tolerated_column(ComparePlan& plan, const std::string& name) {
  const auto is_named = [&](const ColumnPair& column) {
    return column.left_name == name || column.right_name == name ||
           column.left_name + "=" + column.right_name == name;
  };
  const auto first_compared = plan.columns.begin() + static_cast<std::ptrdiff_t>(plan.key_count);
  const auto found = std::find_if(first_compared, plan.columns.end(), is_named);
  if (found != plan.columns.end()) return *found;
  const bool is_key = std::find_if(plan.columns.begin(), first_compared, is_named) != first_compared;
  std::string names;
  for (auto column = first_compared; column != plan.columns.end(); ++column) {
    names += (names.empty() ? "" : ", ") + column->left_name;
  }
  throw core::Error(core::sqlstate::undefined_column,
                    "tolerance names column \"" + name + "\", which is not compared",
                    is_key ? "It is a column of the key, and keys are compared exactly."
                           : "It is no column of either side, or not in compare.",
                    names.empty() ? "No columns are compared: leave tolerance out."
                                  : "The compared columns are: " + names + ".");
}

}  // namespace

bool ComparePlan::has_tolerance() const {
  return std::any_of(columns.begin(), columns.end(),
                     [](const ColumnPair& c) { return c.tolerance.has_value(); });
}

ComparePlan make_plan(const ComparedRelation& left, const ComparedRelation& right,
                      const CompareRequest& request, std::uint64_t hash_seed) {
  ComparePlan plan;
  plan.key_count = request.key.size();
  std::vector<const RelationColumn*> left_read;
  std::vector<const RelationColumn*> right_read;
  for (const NamedPair& pair : resolve_names(left, right, request)) {
    plan.columns.push_back(plan_column(pair, hash_seed));
    left_read.push_back(pair.left);
    right_read.push_back(pair.right);
  }
  for (const ToleranceArgument& argument : request.tolerance) {
    ColumnPair& column = tolerated_column(plan, argument.column);
    if (column.tolerance) {
      throw core::Error("42701", "tolerance names column \"" + column.left_name + "\" twice",
                        "\"" + argument.column + "\" is the same column under another name.",
                        "Give each compared column one tolerance.");
    }
    column.tolerance.emplace(argument.column, column.operations.type, argument.text);
  }
  left.check_may_read(left_read);
  right.check_may_read(right_read);
  return plan;
}

}  // namespace pg_reconcile::pg

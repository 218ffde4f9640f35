#include "extension/digest/row_reader.h"

#include <string>

#include "extension/pg/owned.h"

extern "C" {
#include <nodes/nodeFuncs.h>
#include <nodes/primnodes.h>
}

namespace pg_reconcile::pg {
namespace {

struct ArgumentType {
  Oid type;
  Oid collation;
};

// A window aggregate is not told its arguments' own collations, only what they add up to.
ArgumentType raw_argument_type(FunctionCallInfo fcinfo, int argument) {
  const Aggref* aggregate = AggGetAggref(fcinfo);
  if (aggregate == nullptr) {
    return {get_fn_expr_argtype(fcinfo->flinfo, argument), PG_GET_COLLATION()};
  }
  const auto* entry = static_cast<const TargetEntry*>(list_nth(aggregate->args, argument - 1));
  const auto* expression = reinterpret_cast<const Node*>(entry->expr);
  return {exprType(expression), exprCollation(expression)};
}

}  // namespace

RowReader& RowReader::of(FunctionCallInfo fcinfo, int first, const char* function) {
  if (fcinfo->flinfo->fn_extra == nullptr) {
    fcinfo->flinfo->fn_extra = make_owned<RowReader>(fcinfo->flinfo->fn_mcxt, fcinfo, first, function);
  }
  return *static_cast<RowReader*>(fcinfo->flinfo->fn_extra);
}

RowReader::RowReader(FunctionCallInfo fcinfo, int first, const char* function) : first_(first) {
  columns_.reserve(static_cast<std::size_t>(PG_NARGS() - first));
  for (int i = first; i < PG_NARGS(); i++) {
    const ArgumentType argument = guarded([=] { return raw_argument_type(fcinfo, i); });
    columns_.emplace_back(argument.type, argument.collation,
                          std::string(function) + ": column " + std::to_string(i - first + 1));
  }
}

MemoryContext aggregate_memory(FunctionCallInfo fcinfo) {
  MemoryContext memory = nullptr;
  if (AggCheckCallContext(fcinfo, &memory) == 0) {
    throw core::Error(core::sqlstate::object_not_in_prerequisite_state,
                      "this function is a part of an aggregate", "It was called by itself.",
                      "Call reconcile.digest() or reconcile.sketch().");
  }
  return memory;
}

}  // namespace pg_reconcile::pg

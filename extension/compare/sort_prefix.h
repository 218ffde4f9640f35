// A double that orders values coarsely: a smaller prefix is a smaller value, equal prefixes say nothing.
// Sorting many rows then touches the values themselves only where prefixes tie.
#pragma once

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// 0 for every value of a type that has none. `value` is detoasted.
double sort_prefix(Oid type, Datum value);

}  // namespace pg_reconcile::pg

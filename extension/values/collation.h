// Whether a text's bytes say all there is to its equality.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <utils/lsyscache.h>
}

namespace pg_reconcile::pg {

inline bool is_deterministic(Oid collation) {
  return !OidIsValid(collation) || guarded([=] { return get_collation_isdeterministic(collation); });
}

}  // namespace pg_reconcile::pg

// Which cluster this is: a source remembers where it was created, so that a copy of the cluster leaves it
// alone.
#include <cstdint>

#include "extension/pg/guard.h"

extern "C" {
#include <access/xlog.h>
}

PG_RECONCILE_FUNCTION(reconcile_local_system_identifier) {
  PG_RETURN_INT64(static_cast<std::int64_t>(GetSystemIdentifier()));
}

// A numeric from its decimal text.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/numeric.h>
}

namespace pg_reconcile::pg {

// May longjmp.
inline Datum raw_numeric(const char* digits) {
  return DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid),
                             Int32GetDatum(-1));
}

}  // namespace pg_reconcile::pg

// The CHECK constraints of reconcile.entry, decided without evaluating them.
#pragma once

#include "extension/pg/entry_row.h"

extern "C" {
#include <utils/rel.h>
}

namespace pg_reconcile::pg {

// Whether a partition's checks are those that reconcile.install() made, and no others: compared as
// expressions, so that a constraint that was replaced under its name is not taken for ours. May longjmp.
bool raw_checks_are_ours(Relation partition);

// Whether a row certainly passes them; false: they have to be evaluated, for the error or because it is not
// certain.
bool passes_our_checks(const EntryRow& row);

}  // namespace pg_reconcile::pg

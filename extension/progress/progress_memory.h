// The shared memory behind reconcile.run_progress.
#pragma once

namespace pg_reconcile::progress {

// From _PG_init: asks for one slot per server process when the library is being preloaded; otherwise does
// nothing.
void initialise();

}  // namespace pg_reconcile::progress

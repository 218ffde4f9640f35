#pragma once

#include "worker/local_source.h"

namespace pg_reconcile::worker {

// Reads a replication source until an error or a signal ends it.
void run_replication(const SourceConfiguration& source);

// After drop_source: drops the slot at the source. Returns when it is gone.
void drop_remote_slot(const SourceConfiguration& source);

}  // namespace pg_reconcile::worker

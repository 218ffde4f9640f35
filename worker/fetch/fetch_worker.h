#pragma once

#include "worker/local_source.h"

namespace pg_reconcile::worker {

// Asks a channel for each day's files until an error or a signal ends it.
[[noreturn]] void run_fetch(const SourceConfiguration& source);

}  // namespace pg_reconcile::worker

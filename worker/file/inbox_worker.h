#pragma once

#include "worker/local_source.h"

namespace pg_reconcile::worker {

// Watches a file source's folder until an error or a signal ends it.
[[noreturn]] void run_inbox(const SourceConfiguration& source);

}  // namespace pg_reconcile::worker

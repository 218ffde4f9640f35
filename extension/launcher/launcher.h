// The part of the preloaded library that keeps source workers running.
//
//   postmaster -> launcher (one, when preloaded) -> supervisor (one a database that has work)
//              -> source worker (one a source; $libdir/pg_reconcile_worker)
//
// The launcher knows databases, the supervisor knows sources, the worker knows one protocol. Only the
// launcher is restarted by the postmaster (5 s); everything below is restarted by who started it, so that one
// place decides when. See docs/decisions/0030-launcher-supervisor-worker.md.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <postmaster/bgworker.h>
}

namespace pg_reconcile::launcher {

// What a supervisor is started with (BackgroundWorker.bgw_extra).
struct SupervisorStart {
  Oid database;
  bool by_function;         // start_worker(): stays while there is nothing to do
  std::int64_t generation;  // the call's; 0: the launcher's
};

// Called by _PG_init.
void initialise();

// Whether the launcher runs in this cluster: the library was preloaded.
bool is_preloaded();

// Whether pg_reconcile.databases includes a database. The text is the setting's value.
bool database_is_listed(const char* name);

// Fills what every background worker of ours has in common.
void describe_supervisor(BackgroundWorker& worker, const SupervisorStart& start);

}  // namespace pg_reconcile::launcher

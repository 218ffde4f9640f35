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

// Advisory locks (two-key space) by which the processes of one database find each other. The SQL functions
// and the source workers use the same numbers.
inline constexpr unsigned advisory_space = 1885827954;         // "pgr2" read as a number
inline constexpr unsigned advisory_supervisor = 1;             // held by the database's supervisor
inline constexpr unsigned advisory_source_space = 1885827955;  // second key: the source's number
inline constexpr unsigned advisory_start = 2;  // held by a transaction that calls start_worker()

// What a supervisor is started with (BackgroundWorker.bgw_extra).
struct SupervisorStart {
  Oid database;
  bool by_function;         // start_worker(): stays while there is nothing to do
  std::int64_t generation;  // the call's; 0: the launcher's
};

// What a source worker is started with; its main argument is the source's number.
struct WorkerStart {
  Oid database;
  Oid role;
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

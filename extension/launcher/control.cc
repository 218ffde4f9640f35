// What SQL says to the launcher and to supervisors.
#include "extension/launcher/launcher.h"
#include "extension/launcher/wake.h"

extern "C" {
#include <commands/dbcommands.h>
}

PG_RECONCILE_FUNCTION(reconcile_wake_supervisor) {
  pg_reconcile::launcher::wake_at_commit();
  PG_RETURN_VOID();
}

PG_RECONCILE_FUNCTION(reconcile_start_supervisor) {
  using namespace pg_reconcile;
  // A launcher that serves this database owns its supervisors; otherwise the call starts one that stays.
  const char* database = pg::guarded([] { return get_database_name(MyDatabaseId); });
  if (launcher::is_preloaded() && pg::guarded([=] { return launcher::database_is_listed(database); })) {
    launcher::wake_at_commit();
    PG_RETURN_BOOL(true);
  }
  BackgroundWorker worker = {};
  launcher::describe_supervisor(worker, launcher::SupervisorStart{MyDatabaseId, true, PG_GETARG_INT64(0)});
  // Nobody else would restart it after a crash; it ends for good with exit code 0.
  worker.bgw_restart_time = 5;
  BackgroundWorker* description = &worker;
  const bool registered = pg::guarded([=] { return RegisterDynamicBackgroundWorker(description, nullptr); });
  if (!registered) {
    throw core::Error(
        "53400", "no background worker slot is free", {},
        "Raise max_worker_processes: one for the launcher, one a database with sources, one a source.");
  }
  PG_RETURN_BOOL(true);
}

// The launcher: one process, connected to no database, that sees to it that every database with work has a
// supervisor.
//
// A database that has no extension, or no source to read, needs none: the supervisor that the launcher starts
// there looks, and leaves at once, so that DROP DATABASE and CREATE DATABASE ... TEMPLATE are not held up.
// The launcher looks again after recheck_ms, or as soon as a transaction that changed sources commits
// (wake.h). Supervisors are started one at a time: a cluster with a thousand databases must not find its
// worker slots taken by our looks.
#include "extension/launcher/launcher.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "extension/launcher/settings.h"
#include "extension/launcher/wake.h"
#include "extension/pg/background.h"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/pg_database.h>
#include <storage/ipc.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::launcher {
namespace {

constexpr std::int64_t recheck_ms = 60'000;   // a database that had nothing to do
constexpr std::int64_t restart_ms = 5'000;    // a database whose supervisor was serving and ended
constexpr std::int64_t look_ms = 1'000;       // a supervisor that lives this long is serving, not looking
constexpr std::int64_t loop_ms_max = 10'000;  // new databases are seen this late
constexpr std::int64_t no_slot_ms = 5'000;    // max_worker_processes is used up
constexpr int restart_seconds = 5;            // the launcher itself, by the postmaster

bool preloaded = false;

struct Served {
  BackgroundWorkerHandle* supervisor = nullptr;  // null: none runs
  std::int64_t started_at = 0;
  std::uint64_t wakes_at_start = 0;
  std::int64_t next_look_at = 0;
  bool exists = false;
};

// Databases that take connections and are listed. In the memory context of the caller; commits what it
// starts.
List* raw_databases() {
  MemoryContext result = CurrentMemoryContext;
  List* databases = NIL;
  StartTransactionCommand();
  (void)GetTransactionSnapshot();
  Relation relation = table_open(DatabaseRelationId, AccessShareLock);
  TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
  for (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection); HeapTupleIsValid(tuple);
       tuple = heap_getnext(scan, ForwardScanDirection)) {
    const auto* database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    // A negative limit below -1 marks a database that a crash left half dropped.
    if (!database->datallowconn || database->datistemplate || database->datconnlimit < -1) continue;
    if (!database_is_listed(NameStr(database->datname))) continue;
    MemoryContext before = MemoryContextSwitchTo(result);
    databases = lappend_oid(databases, database->oid);
    MemoryContextSwitchTo(before);
  }
  table_endscan(scan);
  table_close(relation, AccessShareLock);
  CommitTransactionCommand();
  MemoryContextSwitchTo(result);
  return databases;
}

class Launcher {
 public:
  [[noreturn]] void run() {
    for (;;) {
      note_wakes();
      reap();
      const bool looking = is_looking();
      if (!looking) start_next();
      // While a supervisor looks around, its end sets our latch (bgw_notify_pid).
      pg::wait_for_latch(wait_ms());
    }
  }

 private:
  void note_wakes() {
    const std::uint64_t wakes = wakes_so_far();
    if (wakes == wakes_) return;
    wakes_ = wakes;
    for (auto& [oid, served] : served_) served.next_look_at = 0;
  }

  void reap() {
    for (auto& [oid, served] : served_) {
      if (served.supervisor == nullptr) continue;
      BackgroundWorkerHandle* handle = served.supervisor;
      pid_t pid = 0;
      if (pg::guarded([=, &pid] { return GetBackgroundWorkerPid(handle, &pid); }) != BGWH_STOPPED) continue;
      pfree(handle);
      served.supervisor = nullptr;
      const std::int64_t now = pg::now_ms();
      const bool was_serving = now - served.started_at >= look_ms;
      // It may have looked before the transaction that woke us had committed: then it must look again.
      const bool woken_since = served.wakes_at_start != wakes_;
      served.next_look_at = woken_since ? now : now + (was_serving ? restart_ms : recheck_ms);
    }
  }

  [[nodiscard]] bool is_looking() const {
    const std::int64_t now = pg::now_ms();
    return std::any_of(served_.begin(), served_.end(), [now](const auto& entry) {
      return entry.second.supervisor != nullptr && now - entry.second.started_at < look_ms;
    });
  }

  void refresh_databases() {
    List* list = pg::guarded([] { return raw_databases(); });
    for (auto& [oid, served] : served_) served.exists = false;
    for (int i = 0; i < list_length(list); i++) served_[list_nth_oid(list, i)].exists = true;
    list_free(list);
    std::erase_if(served_, [](const auto& entry) {
      return !entry.second.exists && entry.second.supervisor == nullptr;
    });
  }

  void start_next() {
    refresh_databases();
    const std::int64_t now = pg::now_ms();
    for (auto& [oid, served] : served_) {
      if (!served.exists || served.supervisor != nullptr || served.next_look_at > now) continue;
      start(oid, served, now);
      return;
    }
  }

  void start(Oid database, Served& served, std::int64_t now) {
    BackgroundWorker worker = {};
    describe_supervisor(worker, SupervisorStart{database, false, 0});
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_notify_pid = MyProcPid;
    BackgroundWorker* description = &worker;
    BackgroundWorkerHandle* handle = nullptr;
    BackgroundWorkerHandle** out = &handle;
    const bool registered = pg::guarded([=] {
      MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
      const bool done = RegisterDynamicBackgroundWorker(description, out);
      MemoryContextSwitchTo(before);
      return done;
    });
    if (!registered) {
      served.next_look_at = now + no_slot_ms;
      if (!complained_) {
        pg::log_line(
            WARNING, "pg_reconcile finds no free background worker slot",
            "Sources of at least one database are not read.",
            "Raise max_worker_processes: one for the launcher, one a database with sources, one a source.");
      }
      complained_ = true;
      return;
    }
    complained_ = false;
    served.supervisor = handle;
    served.started_at = now;
    served.wakes_at_start = wakes_;
  }

  [[nodiscard]] std::int64_t wait_ms() const {
    const std::int64_t now = pg::now_ms();
    std::int64_t wait = loop_ms_max;
    for (const auto& [oid, served] : served_) {
      if (served.supervisor != nullptr) {
        if (now - served.started_at < look_ms) wait = std::min(wait, look_ms - (now - served.started_at));
      } else {
        wait = std::min(wait, std::max<std::int64_t>(served.next_look_at - now, 0));
      }
    }
    // Databases that are due wait for the one that is being looked at: its end or its age wakes us.
    return is_looking() ? std::max<std::int64_t>(wait, 50) : wait;
  }

  std::map<Oid, Served> served_;
  std::uint64_t wakes_ = 0;
  bool complained_ = false;
};

void launcher_body(void*) {
  pg::become_background_worker();
  // No database: shared catalogs only.
  pg::guarded([] { BackgroundWorkerInitializeConnection(nullptr, nullptr, 0); });
  pg::guarded([] { receive_wakes(); });
  Launcher().run();
}

void register_launcher() {
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = restart_seconds;
  snprintf(worker.bgw_library_name, BGW_MAXLEN, "$libdir/pg_reconcile");
  snprintf(worker.bgw_function_name, BGW_MAXLEN, "pg_reconcile_launcher_main");
  snprintf(worker.bgw_name, BGW_MAXLEN, "pg_reconcile launcher");
  snprintf(worker.bgw_type, BGW_MAXLEN, "pg_reconcile launcher");
  RegisterBackgroundWorker(&worker);
}

}  // namespace

bool is_preloaded() {
  return preloaded;
}

void describe_supervisor(BackgroundWorker& worker, const SupervisorStart& start) {
  static_assert(sizeof(SupervisorStart) <= BGW_EXTRALEN);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  snprintf(worker.bgw_library_name, BGW_MAXLEN, "$libdir/pg_reconcile");
  snprintf(worker.bgw_function_name, BGW_MAXLEN, "pg_reconcile_supervisor_main");
  snprintf(worker.bgw_name, BGW_MAXLEN, "pg_reconcile supervisor of database %u", start.database);
  snprintf(worker.bgw_type, BGW_MAXLEN, "pg_reconcile supervisor");
  memcpy(worker.bgw_extra, &start, sizeof(start));
}

// Runs in the postmaster when preloaded: C calls only, nothing that throws.
void initialise() {
  define_settings();
  if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
  preloaded = true;
  request_wake_memory();
  register_launcher();
}

}  // namespace pg_reconcile::launcher

extern "C" {
PGDLLEXPORT void pg_reconcile_launcher_main(Datum argument);
void pg_reconcile_launcher_main(Datum) {
  pg_reconcile::pg::enter_callback(pg_reconcile::launcher::launcher_body, nullptr);
}
}

// A source worker: one process that reads one source.
//
// Life. The database's supervisor starts it with the source's number; it connects as reconcile_worker, takes
// the source's advisory lock (two workers of one source would undo each other's promises), and runs until
// something ends it. It never restarts itself: it writes into source_state why it ends, and leaves; the
// supervisor decides when the next one starts. Two endings are different in kind. An error that may pass (the
// network, a server that restarts) is `failed`: the supervisor tries again, later and later. A state in which
// going on would be wrong (a column of the mapping is gone, the slot is lost, the position no longer means
// what it meant) is `paused`, `slot_lost` or `position_lost`: nobody tries again until a person has called
// resume_source or resync_source.
//
// Exactly once. The source's position is a row of source_position, written in the transaction that writes the
// entries. After a crash at any point the stream is asked for from the stored position on, so what was not
// stored comes again and what was stored does not. Nothing is confirmed to the source that is not stored and
// flushed here: what the source may forget, we have. A source transaction is never split between two
// positions; many small ones share one transaction here while there is a backlog, because a commit costs more
// than a row.
//
// Time. source_time says: nothing that the source committed before it is missing here. Runs believe it, so it
// must not promise too much. It is the commit time of the newest transaction applied, or, while the source is
// quiet, the source's clock read together with the end of its WAL, once the stream has come that far. (A
// keepalive's own time is not enough: a server that is still reading WAL sends keepalives too.)
//
// Waiting. No transaction is open here while the worker waits for the network, with two exceptions that say
// so: the initial copy, and a source transaction that is larger than a batch. Every wait watches the latch: a
// shutdown is answered at once.
//
// What is not an entry. A row that the mapping cannot turn into an entry goes to source_error, in the same
// transaction, and the stream goes on; after reject_limit of them in a row the mapping is wrong, not the
// rows, and the source pauses before it passes them by.
#include <cstdint>
#include <cstring>
#include <exception>

#include "core/error.h"
#include "core/fetch/location.h"
#include "extension/pg/background.h"
#include "extension/pg/worker_start.h"
#include "worker/fetch/fetch_worker.h"
#include "worker/file/inbox_worker.h"
#include "worker/local_source.h"
#include "worker/replication/replication_worker.h"

extern "C" {
#include <postmaster/bgworker.h>
#include <storage/ipc.h>
#include <storage/lock.h>
}

namespace pg_reconcile::worker {
namespace {

bool take_source_lock(std::int32_t source_id) {
  bool taken = false;
  pg::in_transaction("taking the source's lock", [&] {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, pg::advisory_source_space, static_cast<std::uint32_t>(source_id),
                         2);
    const LOCKTAG* pointer = &tag;
    taken =
        pg::guarded([=] { return LockAcquire(pointer, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
  });
  return taken;
}

void run(const SourceConfiguration& source) {
  if (source.dropped) {
    drop_remote_slot(source);
  } else if (source.kind == "replication") {
    run_replication(source);
  } else if (source.kind == "file" && core::FetchLocation::is_remote(source.location)) {
    run_fetch(source);
  } else if (source.kind == "file") {
    run_inbox(source);
  }
}

// Says why the worker ends; losing that must not hide the error itself, which is in the log by then.
void end_with(std::int32_t source_id, const char* state, const char* cause, const core::Error& error) {
  pg::log_line(WARNING, std::string("pg_reconcile source ") + std::to_string(source_id) + ": " + error.what(),
               error.detail(), error.hint());
  set_error(source_id, state, cause, error);
}

void worker_body(void* argument) {
  const std::int32_t source_id = *static_cast<std::int32_t*>(argument);
  pg::WorkerStart start;
  memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
  pg::become_background_worker();
  pg::connect_background_worker(start.database, start.role);
  if (!take_source_lock(source_id)) return;  // the one before us is still leaving
  try {
    const auto source = load_source(source_id);
    if (source) run(*source);
  } catch (const SourceStop& stop) {
    end_with(source_id, stop.source_state(), pg::cause_worker, stop);
  } catch (const core::Error& error) {
    end_with(source_id, "failed", nullptr, error);
  } catch (const pg::PostgresError& error) {
    end_with(source_id, "failed", nullptr,
             core::Error(error.state(), error.what(), error.detail(), error.hint()));
  } catch (const std::exception& error) {
    end_with(source_id, "failed", nullptr, core::Error(core::sqlstate::internal_error, error.what()));
  }
}

}  // namespace
}  // namespace pg_reconcile::worker

extern "C" {
PGDLLEXPORT void pg_reconcile_source_worker_main(Datum argument);
void pg_reconcile_source_worker_main(Datum argument) {
  std::int32_t source_id = DatumGetInt32(argument);
  pg_reconcile::pg::enter_callback(pg_reconcile::worker::worker_body, &source_id);
  proc_exit(0);
}
}

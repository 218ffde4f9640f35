// The supervisor: one process a database, that keeps one worker running for every source that should be read.
//
// Every second, in one short transaction, it reads the sources and their states, decides, and writes down
// what it decided; then, outside the transaction, it starts and ends workers. A worker never restarts by
// itself: it ends, and the supervisor decides when the next one starts (core/protocol/restart_schedule.h).
//
//   starting --worker connects--> running --worker fails--> waiting --delay over--> starting
//   running  --worker finds that going on would be wrong--> paused | slot_lost | position_lost: nobody
//   retries,
//            resume_source or resync_source is needed
//   any      --pause_source--> paused
//
// It leaves when the extension is gone, when stop_worker() was called, and, unless start_worker() started it,
// when no source is to be read. Its workers leave with it.
//
// It is connected as the bootstrap superuser because the role reconcile_worker may not exist yet (the
// extension may never have been created in this cluster); it reads catalogs as that, and everything in schema
// reconcile as reconcile_worker.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/protocol/restart_schedule.h"
#include "extension/launcher/launcher.h"
#include "extension/pg/background.h"
#include "extension/pg/spi.h"
#include "extension/pg/worker_start.h"

extern "C" {
#include <access/xact.h>
#include <commands/extension.h>
#include <storage/ipc.h>
#include <storage/lock.h>
#include <utils/acl.h>
}

namespace pg_reconcile::launcher {
namespace {

constexpr std::int64_t look_ms = 1'000;
const core::RestartPolicy restart_policy;

// A worker that this supervisor started and that has not been seen to end.
struct Worker {
  BackgroundWorkerHandle* handle = nullptr;
  std::string configuration;  // what it was started with
  std::int64_t started_at = 0;
  bool asked_to_end = false;
};

// A source as one look sees it.
struct SourceRow {
  std::int32_t id = 0;
  std::string name;
  bool wanted = false;
  bool dropped = false;
  bool is_copy = false;
  bool is_self_paused = false;  // paused, slot_lost, position_lost: not retried
  std::string cause;            // source_state.cause; "": nobody stopped it
  std::int32_t failures = 0;
  std::int64_t wait_ms = 0;  // until next_attempt_at
  std::string configuration;
};

std::map<std::int32_t, Worker> workers;  // for raw_end_workers: one supervisor a process

// Whatever ends the supervisor ends its workers: nobody else would.
void raw_end_workers(int, Datum) {
  for (auto& [id, worker] : workers) {
    if (worker.handle != nullptr) TerminateBackgroundWorker(worker.handle);
  }
}

bool take_session_lock(unsigned key) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, pg::advisory_space, key, 2);
  const LOCKTAG* pointer = &tag;
  return pg::guarded(
      [=] { return LockAcquire(pointer, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
}

// Until the transaction that called start_worker() has ended.
void wait_for_starter() {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, pg::advisory_space, pg::advisory_start, 2);
  const LOCKTAG* pointer = &tag;
  pg::in_transaction("waiting for start_worker() to commit",
                     [=] { pg::guarded([=] { LockAcquire(pointer, ExclusiveLock, false, false); }); });
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisorStart& start) : start_(start) {}

  // Returns when the supervisor should leave.
  void run() {
    while (look()) {
      act();
      pg::wait_for_latch(look_ms);
    }
    end_workers();
  }

 private:
  // One transaction: what is, what should be. False: leave.
  bool look() {
    to_start_.clear();
    to_end_.clear();
    bool stay = true;
    pg::in_transaction("looking at sources", [this, &stay] {
      if (!become_worker_role()) {
        stay = false;
        return;
      }
      pg::Spi spi;
      stay = may_run(spi) && look_at_sources(spi);
      pg::guarded([] { SetUserIdAndSecContext(GetSessionUserId(), 0); });
    });
    return stay;
  }

  bool become_worker_role() {
    if (pg::guarded([] { return get_extension_oid("pg_reconcile", true); }) == InvalidOid) return false;
    role_ = pg::guarded([] { return get_role_oid("reconcile_worker", true); });
    if (role_ == InvalidOid) return false;
    const Oid role = role_;
    pg::guarded([=] { SetUserIdAndSecContext(role, SECURITY_LOCAL_USERID_CHANGE); });
    return true;
  }

  // stop_worker(), and start_worker() that was rolled back.
  bool may_run(pg::Spi& spi) {
    spi.run("SELECT stopped, generation FROM reconcile.worker_control");
    const bool stopped = spi.rows() > 0 && spi.boolean(0, 0);
    const std::int64_t generation = spi.rows() > 0 ? spi.int8(0, 1) : 0;
    return !stopped && generation >= start_.generation;
  }

  bool look_at_sources(pg::Spi& spi) {
    const std::vector<SourceRow> sources = read_sources(spi);
    bool any_wanted = false;
    for (const SourceRow& source : sources) {
      any_wanted = any_wanted || (source.wanted && !source.is_self_paused && !source.is_copy);
      consider(spi, source);
    }
    for (auto& [id, worker] : workers) {
      const bool gone = std::none_of(sources.begin(), sources.end(),
                                     [key = id](const SourceRow& source) { return source.id == key; });
      if (gone) {
        if (has_ended(worker)) {
          forget(worker);
        } else {
          to_end_.push_back(id);
        }
      }
    }
    std::erase_if(workers, [](const auto& entry) { return entry.second.handle == nullptr; });
    return any_wanted || !workers.empty() || start_.by_function;
  }

  static std::vector<SourceRow> read_sources(pg::Spi& spi) {
    spi.run(
        "SELECT s.source_id, s.name, s.enabled OR s.dropped_at IS NOT NULL, s.dropped_at IS NOT NULL,"
        "       s.system_identifier IS DISTINCT FROM reconcile.local_system_identifier()"
        "       OR s.database IS DISTINCT FROM (SELECT oid FROM pg_catalog.pg_database"
        "                                        WHERE datname = pg_catalog.current_database()),"
        "       coalesce(t.cause, ''), coalesce(t.failures, 0),"
        "       greatest(0, coalesce(ceil(extract(epoch FROM t.next_attempt_at - "
        "pg_catalog.clock_timestamp())"
        "                                 * 1000), 0))::int8,"
        "       pg_catalog.md5(ROW(s.kind, s.channel, s.account, s.book, s.channels, s.format, s.location, "
        "s.server,"
        "                          s.publication, s.relation, s.mapping, s.options, s.resyncs, "
        "s.dropped_at)::text)"
        "  FROM reconcile.source s LEFT JOIN reconcile.source_state t USING (source_id)"
        " WHERE (s.kind = 'replication' OR (s.kind = 'file' AND s.location IS NOT NULL))"
        "   AND (s.dropped_at IS NULL OR (s.kind = 'replication' AND s.slot_name IS NOT NULL))"
        " ORDER BY s.source_id");
    std::vector<SourceRow> sources;
    for (std::uint64_t row = 0; row < spi.rows(); row++) {
      SourceRow source;
      source.id = static_cast<std::int32_t>(spi.int8(row, 0));
      source.name = spi.text(row, 1);
      source.wanted = spi.boolean(row, 2);
      source.dropped = spi.boolean(row, 3);
      source.is_copy = spi.boolean(row, 4);
      source.cause = spi.text(row, 5);
      source.is_self_paused = source.cause == pg::cause_worker && !source.dropped;
      source.failures = static_cast<std::int32_t>(spi.int8(row, 6));
      source.wait_ms = spi.int8(row, 7);
      source.configuration = spi.text(row, 8);
      sources.push_back(std::move(source));
    }
    return sources;
  }

  void consider(pg::Spi& spi, const SourceRow& source) {
    const auto found = workers.find(source.id);
    if (found != workers.end()) {
      consider_running(spi, source, found->second);
      return;
    }
    if (!source.wanted) {
      if (source.cause != pg::cause_pause_source) note_stopped(spi, source, pg::cause_pause_source);
      return;
    }
    if (source.is_copy) {
      if (source.cause != pg::cause_copy) note_stopped(spi, source, pg::cause_copy);
      return;
    }
    if (source.is_self_paused || source.wait_ms > 0) return;
    note(spi, source, "starting", "a worker is being started");
    to_start_.push_back(source);
  }

  void consider_running(pg::Spi& spi, const SourceRow& source, Worker& worker) {
    const std::int64_t ran_for = pg::now_ms() - worker.started_at;
    if (has_ended(worker)) {
      const bool was_asked = worker.asked_to_end;
      forget(worker);
      workers.erase(source.id);
      if (!source.wanted || source.is_self_paused) {
        spi.run("UPDATE reconcile.source_state SET pid = NULL WHERE source_id = $1",
                {pg::Argument::int4(source.id)});
      } else if (!was_asked) {
        note_failure(spi, source, ran_for);
      }
      return;
    }
    if (!source.wanted || source.is_self_paused || worker.configuration != source.configuration) {
      to_end_.push_back(source.id);
    } else if (source.failures > 0 && core::is_healthy(restart_policy, ran_for)) {
      spi.run("UPDATE reconcile.source_state SET failures = 0 WHERE source_id = $1",
              {pg::Argument::int4(source.id)});
    }
  }

  // In words: source_status.
  static void note_stopped(pg::Spi& spi, const SourceRow& source, const char* cause) {
    store_state(spi, source, "paused", pg::Argument::text(cause),
                pg::Argument::text(std::optional<std::string>()));
  }

  static void note(pg::Spi& spi, const SourceRow& source, const char* state, const std::string& message) {
    store_state(spi, source, state, pg::Argument::text(std::optional<std::string>()),
                pg::Argument::text(message));
  }

  static void store_state(pg::Spi& spi, const SourceRow& source, const char* state, const pg::Argument& cause,
                          const pg::Argument& message) {
    spi.run(
        "INSERT INTO reconcile.source_state AS t (source_id, state, cause, message) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (source_id) DO UPDATE SET state = excluded.state, cause = excluded.cause,"
        "    message = excluded.message, pid = NULL,"
        "    next_attempt_at = NULL, since = CASE WHEN t.state = excluded.state THEN t.since"
        "                                         ELSE pg_catalog.clock_timestamp() END",
        {pg::Argument::int4(source.id), pg::Argument::text(std::string_view(state)), cause, message});
  }

  static void note_failure(pg::Spi& spi, const SourceRow& source, std::int64_t ran_for) {
    const core::RestartDecision decision = core::decide_restart(restart_policy, source.failures, ran_for);
    spi.run(
        "UPDATE reconcile.source_state"
        "   SET state = 'waiting', cause = NULL, pid = NULL, failures = $2,"
        "       since = CASE WHEN state = 'waiting' THEN since ELSE pg_catalog.clock_timestamp() END,"
        "       next_attempt_at = pg_catalog.clock_timestamp() + $3 * interval '1 millisecond',"
        "       message = 'the worker ended and will be started again: see last_error'"
        " WHERE source_id = $1",
        {pg::Argument::int4(source.id), pg::Argument::int4(decision.failures),
         pg::Argument::int8(decision.delay_ms)});
  }

  // Effects, after the transaction that decided them.
  void act() {
    for (const std::int32_t id : to_end_) {
      Worker& worker = workers.at(id);
      if (worker.asked_to_end) continue;
      worker.asked_to_end = true;
      BackgroundWorkerHandle* handle = worker.handle;
      pg::guarded([=] { TerminateBackgroundWorker(handle); });
    }
    for (const SourceRow& source : to_start_) {
      if (!start_worker(source)) note_no_slot(source);
    }
  }

  bool start_worker(const SourceRow& source) {
    BackgroundWorker description = {};
    const pg::WorkerStart start{MyDatabaseId, role_};
    static_assert(sizeof(start) <= BGW_EXTRALEN);
    description.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    description.bgw_start_time = BgWorkerStart_RecoveryFinished;
    description.bgw_restart_time = BGW_NEVER_RESTART;
    description.bgw_notify_pid = MyProcPid;
    description.bgw_main_arg = Int32GetDatum(source.id);
    snprintf(description.bgw_library_name, BGW_MAXLEN, "$libdir/pg_reconcile_worker");
    snprintf(description.bgw_function_name, BGW_MAXLEN, "pg_reconcile_source_worker_main");
    snprintf(description.bgw_name, BGW_MAXLEN, "pg_reconcile source %d", source.id);
    snprintf(description.bgw_type, BGW_MAXLEN, "pg_reconcile source");
    memcpy(description.bgw_extra, &start, sizeof(start));
    BackgroundWorker* pointer = &description;
    BackgroundWorkerHandle* handle = nullptr;
    BackgroundWorkerHandle** out = &handle;
    const bool registered = pg::guarded([=] {
      MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
      const bool done = RegisterDynamicBackgroundWorker(pointer, out);
      MemoryContextSwitchTo(before);
      return done;
    });
    if (!registered) return false;
    workers[source.id] = Worker{handle, source.configuration, pg::now_ms(), false};
    return true;
  }

  void note_no_slot(const SourceRow& source) {
    pg::in_transaction("noting that no worker slot is free", [&] {
      become_worker_role();
      {
        pg::Spi spi;
        note(spi, source, "waiting",
             "no background worker slot is free. HINT: Raise max_worker_processes: one for the launcher, one "
             "a "
             "database with sources, one a source");
        spi.run(
            "UPDATE reconcile.source_state SET next_attempt_at = pg_catalog.clock_timestamp() + interval '10 "
            "seconds'"
            " WHERE source_id = $1",
            {pg::Argument::int4(source.id)});
      }
      pg::guarded([] { SetUserIdAndSecContext(GetSessionUserId(), 0); });
    });
  }

  static bool has_ended(const Worker& worker) {
    BackgroundWorkerHandle* handle = worker.handle;
    return pg::guarded([=] {
      pid_t pid = 0;
      return GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
    });
  }

  static void forget(Worker& worker) {
    pfree(worker.handle);
    worker.handle = nullptr;
  }

  // Leaves no worker behind, and waits until they are gone, so that a supervisor that follows finds none.
  static void end_workers() {
    constexpr int rounds_max = 100;
    for (auto& [id, worker] : workers) {
      BackgroundWorkerHandle* handle = worker.handle;
      pg::guarded([=] { TerminateBackgroundWorker(handle); });
    }
    for (int round = 0; round < rounds_max; round++) {
      std::erase_if(workers, [](const auto& entry) { return has_ended(entry.second); });
      if (workers.empty()) return;
      pg::wait_for_latch(50);
    }
  }

  SupervisorStart start_;
  Oid role_ = InvalidOid;
  std::vector<SourceRow> to_start_;
  std::vector<std::int32_t> to_end_;
};

void supervisor_body(void*) {
  SupervisorStart start;
  memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
  pg::become_background_worker();
  pg::connect_background_worker(start.database, InvalidOid);
  pg::guarded([] { before_shmem_exit(raw_end_workers, 0); });
  if (start.generation > 0) wait_for_starter();
  bool alone = false;
  pg::in_transaction("looking for another supervisor",
                     [&alone] { alone = take_session_lock(pg::advisory_supervisor); });
  if (alone) Supervisor(start).run();
}

}  // namespace
}  // namespace pg_reconcile::launcher

extern "C" {
PGDLLEXPORT void pg_reconcile_supervisor_main(Datum argument);
void pg_reconcile_supervisor_main(Datum) {
  pg_reconcile::pg::enter_callback(pg_reconcile::launcher::supervisor_body, nullptr);
  // Zero: done, not to be restarted, whoever started us.
  proc_exit(0);
}
}

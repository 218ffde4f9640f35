// What the supervisor (pg_reconcile.so) and the source worker (pg_reconcile_worker.so) agree on.
#pragma once

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// What a source worker is started with (BackgroundWorker.bgw_extra); its main argument is the source's
// number.
struct WorkerStart {
  Oid database;
  Oid role;
};

// Why a source is stopped: source_state.cause, also written in sql/20_source.sql.
inline constexpr const char* cause_pause_source = "pause_source";  // somebody said so
inline constexpr const char* cause_copy = "copy";      // it belongs to another cluster or database
inline constexpr const char* cause_worker = "worker";  // going on would be wrong

// Advisory locks (two-key space) by which the processes of one database find each other.
inline constexpr unsigned advisory_space = 1885827954;  // also written in sql/20_source.sql
inline constexpr unsigned advisory_supervisor = 1;      // held by the database's supervisor
inline constexpr unsigned advisory_start = 2;           // held by a transaction that calls start_worker()
inline constexpr unsigned advisory_source_space =
    1885827955;  // second key: the source's number; held by its worker

}  // namespace pg_reconcile::pg

// What every background worker of ours does: transactions of its own, waits that answer signals, and a name.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

namespace detail {
void begin_background_transaction(const char* activity);
void commit_background_transaction();
void abort_background_transaction() noexcept;
// The exception being handled, as one that no longer depends on the transaction's memory.
[[noreturn]] void abort_and_rethrow();
}  // namespace detail

// Runs `work` in a transaction with an active snapshot. When it throws, the transaction is rolled back and
// the exception goes on as core::Error, so that it may be caught and lived with: nothing of it is left in the
// backend. `activity` is what pg_stat_activity shows meanwhile; a literal.
template <class Work>
void in_transaction(const char* activity, Work&& work) {
  detail::begin_background_transaction(activity);
  try {
    work();
    detail::commit_background_transaction();
  } catch (...) {
    detail::abort_and_rethrow();
  }
}

// What in_transaction throws, as one text for a log or a state row: message, detail and hint.
std::string describe(const core::Error& error);

// Sleeps until the latch is set or the time is up, then handles what signals asked for: a shutdown ends the
// process here, a reload re-reads the settings. Ends the process when the postmaster dies.
void wait_for_latch(std::int64_t timeout_ms);

// The same, and until a socket is readable (or writable). Returns whether the socket is ready.
bool wait_for_socket(int socket, bool for_write, std::int64_t timeout_ms);

// Signal handlers, unblocked signals: the first thing that a worker's main does.
void become_background_worker();

// Connects to a database with an empty search_path; role InvalidOid: the bootstrap superuser.
void connect_background_worker(Oid database, Oid role);

// A line in the server's log (level LOG, or a WARNING).
void log_line(int level, const std::string& message, const std::string& detail = {},
              const std::string& hint = {});

// Milliseconds of a clock that only differences are taken of.
std::int64_t now_ms();

}  // namespace pg_reconcile::pg

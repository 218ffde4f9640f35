#include "extension/pg/background.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>

extern "C" {
#include <access/xact.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/proc.h>
#include <tcop/tcopprot.h>
#include <utils/guc.h>
#include <utils/snapmgr.h>
#include <utils/wait_event.h>
}

namespace pg_reconcile::pg {
namespace detail {

void begin_background_transaction(const char* activity) {
  guarded([=] {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    pgstat_report_activity(STATE_RUNNING, activity);
    PushActiveSnapshot(GetTransactionSnapshot());
  });
}

void commit_background_transaction() {
  guarded([] {
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(true);
    pgstat_report_activity(STATE_IDLE, nullptr);
  });
}

void abort_background_transaction() noexcept {
  // An error while aborting would be a PANIC anywhere in PostgreSQL; here it ends the worker.
  try {
    guarded([] {
      AbortCurrentTransaction();
      pgstat_report_stat(true);
      pgstat_report_activity(STATE_IDLE, nullptr);
    });
  } catch (...) {
    proc_exit(1);
  }
}

void abort_and_rethrow() {
  try {
    throw;
  } catch (const PostgresError& e) {
    // Copied before the abort frees them.
    const std::string state = e.state();
    const std::string message = e.what();
    const std::string detail = e.detail();
    const std::string hint = e.hint();
    abort_background_transaction();
    throw core::Error(state.c_str(), message, detail, hint);
  } catch (...) {
    abort_background_transaction();
    throw;
  }
}

}  // namespace detail

std::string describe(const core::Error& error) {
  std::string text = error.what();
  if (!error.detail().empty()) text += "\nDETAIL: " + error.detail();
  if (!error.hint().empty()) text += "\nHINT: " + error.hint();
  return text;
}

namespace {

void raw_handle_signals() {
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  }
}

}  // namespace

void wait_for_latch(std::int64_t timeout_ms) {
  const long timeout = static_cast<long>(std::max<std::int64_t>(timeout_ms, 0));
  guarded([=] {
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, PG_WAIT_EXTENSION);
    raw_handle_signals();
  });
}

bool wait_for_socket(int socket, bool for_write, std::int64_t timeout_ms) {
  const long timeout = static_cast<long>(std::max<std::int64_t>(timeout_ms, 0));
  const int event = for_write ? WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
  return guarded([=] {
    const int events = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | event,
                                         socket, timeout, PG_WAIT_EXTENSION);
    raw_handle_signals();
    return (events & event) != 0;
  });
}

void become_background_worker() {
  guarded([] {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
  });
}

void connect_background_worker(Oid database, Oid role) {
  guarded([=] {
    BackgroundWorkerInitializeConnectionByOid(database, role, 0);
    SetConfigOption("search_path", "", PGC_USERSET, PGC_S_OVERRIDE);
  });
}

void log_line(int level, const std::string& message, const std::string& detail, const std::string& hint) {
  const char* text = message.c_str();
  const char* detail_text = detail.empty() ? nullptr : detail.c_str();
  const char* hint_text = hint.empty() ? nullptr : hint.c_str();
  guarded([=] {
    ereport(level,
            (errmsg_internal("%s", text), detail_text != nullptr ? errdetail_internal("%s", detail_text) : 0,
             hint_text != nullptr ? errhint("%s", hint_text) : 0));
  });
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace pg_reconcile::pg

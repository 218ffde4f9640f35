#include "extension/launcher/wake.h"

#include "extension/launcher/launcher.h"

extern "C" {
#include <access/xact.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/lwlock.h>
#include <storage/proc.h>
#include <storage/shmem.h>
#include <storage/spin.h>
}

namespace pg_reconcile::launcher {
namespace {

struct WakeMemory {
  slock_t lock;
  Latch* launcher;  // in shared memory too; null while no launcher runs
  std::uint64_t wakes;
};

WakeMemory* wake_memory = nullptr;
shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

bool wake_is_due = false;
bool callback_is_registered = false;

void raw_request() {
  if (previous_request != nullptr) previous_request();
  RequestAddinShmemSpace(sizeof(WakeMemory));
}

void raw_startup() {
  if (previous_startup != nullptr) previous_startup();
  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  wake_memory =
      static_cast<WakeMemory*>(ShmemInitStruct("pg_reconcile launcher", sizeof(WakeMemory), &found));
  if (!found) {
    SpinLockInit(&wake_memory->lock);
    wake_memory->launcher = nullptr;
    wake_memory->wakes = 0;
  }
  LWLockRelease(AddinShmemInitLock);
}

void raw_launcher_leaves(int, Datum) {
  SpinLockAcquire(&wake_memory->lock);
  wake_memory->launcher = nullptr;
  SpinLockRelease(&wake_memory->lock);
}

void raw_wake() {
  SpinLockAcquire(&wake_memory->lock);
  Latch* launcher = wake_memory->launcher;
  wake_memory->wakes++;
  SpinLockRelease(&wake_memory->lock);
  if (launcher != nullptr) SetLatch(launcher);
}

void raw_transaction_ends(XactEvent event, void*) {
  if (event == XACT_EVENT_COMMIT && wake_is_due) raw_wake();
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
    wake_is_due = false;
}

}  // namespace

void request_wake_memory() {
  previous_request = shmem_request_hook;
  shmem_request_hook = raw_request;
  previous_startup = shmem_startup_hook;
  shmem_startup_hook = raw_startup;
}

void receive_wakes() {
  SpinLockAcquire(&wake_memory->lock);
  wake_memory->launcher = MyLatch;
  SpinLockRelease(&wake_memory->lock);
  before_shmem_exit(raw_launcher_leaves, 0);
}

std::uint64_t wakes_so_far() {
  SpinLockAcquire(&wake_memory->lock);
  const std::uint64_t wakes = wake_memory->wakes;
  SpinLockRelease(&wake_memory->lock);
  return wakes;
}

void wake_at_commit() {
  if (wake_memory == nullptr) return;
  if (!callback_is_registered) {
    pg::guarded([] { RegisterXactCallback(raw_transaction_ends, nullptr); });
    callback_is_registered = true;
  }
  wake_is_due = true;
}

}  // namespace pg_reconcile::launcher

#include "extension/progress/progress_memory.h"

#include "extension/pg/progress.h"

extern "C" {
#include <miscadmin.h>
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
}

namespace pg_reconcile::progress {
namespace {

shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

Size raw_memory_size() {
  return add_size(offsetof(pg::ProgressMemory, slots),
                  mul_size(static_cast<Size>(MaxBackends), sizeof(pg::ProgressSlot)));
}

void raw_request() {
  if (previous_request != nullptr) previous_request();
  RequestAddinShmemSpace(raw_memory_size());
}

// Runs again after a crash: shared memory is new then, and every slot is free.
void raw_startup() {
  if (previous_startup != nullptr) previous_startup();
  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  auto* memory =
      static_cast<pg::ProgressMemory*>(ShmemInitStruct("pg_reconcile progress", raw_memory_size(), &found));
  if (!found) {
    memory->slots_max = static_cast<std::uint32_t>(MaxBackends);
    for (std::uint32_t i = 0; i < memory->slots_max; i++) {
      pg::ProgressSlot& slot = memory->slots[i];
      slot.command = pg::Command::none;
      slot.depth = 0;
      pg_atomic_init_u32(&slot.changes, 0);
      pg_atomic_init_u64(&slot.rows_done, 0);
      pg_atomic_init_u64(&slot.bytes_done, 0);
      pg_atomic_init_u64(&slot.bytes_spilled, 0);
      pg_atomic_init_u32(&slot.workers, 0);
    }
  }
  LWLockRelease(AddinShmemInitLock);
  *find_rendezvous_variable(pg::progress_variable) = memory;
}

}  // namespace

void initialise() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_request = shmem_request_hook;
  shmem_request_hook = raw_request;
  previous_startup = shmem_startup_hook;
  shmem_startup_hook = raw_startup;
}

}  // namespace pg_reconcile::progress

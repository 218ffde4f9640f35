// How SQL reaches the launcher: its latch in shared memory, set when a transaction that changed sources
// commits.
#pragma once

#include <cstdint>

namespace pg_reconcile::launcher {

// From _PG_init, when preloaded: asks for the shared memory.
void request_wake_memory();

// The calling process is the launcher until it exits.
void receive_wakes();

// Counts the wakes so far.
std::uint64_t wakes_so_far();

// Sets the launcher's latch when the current transaction commits. Nothing happens when there is no launcher.
void wake_at_commit();

}  // namespace pg_reconcile::launcher

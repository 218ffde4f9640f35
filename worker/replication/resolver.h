// Host names to addresses, without a wait that nobody can end.
//
// libpq asks getaddrinfo(), which returns when the resolver of the system gives up: with its usual settings
// half a minute, with several name servers and search domains minutes, in which the worker would hear of no
// shutdown. Nothing interrupts that call, so it is made in a thread of its own while the worker waits for its
// latch; a worker that ends leaves the thread behind, with memory of its own. (A bound by RES_OPTIONS would
// still be a wait of tens of seconds, and a child process a second program to install.)
//
// The thread blocks all signals and calls nothing of PostgreSQL's.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pg_reconcile::worker {

// Numeric addresses in the system's order of preference; empty and `problem`: why there are none. `deadline`
// is a time of pg::now_ms().
std::vector<std::string> resolve_host(const std::string& host, std::int64_t deadline, std::string& problem);

// libpq's parameters with `hostaddr` added, one for each address of each host (host and port are repeated as
// needed), so that libpq resolves nothing itself. Sockets and what states hostaddr already stay as they are.
// Throws core::Error 08006 when no host has an address.
std::vector<std::pair<std::string, std::string>> with_addresses(
    std::vector<std::pair<std::string, std::string>> parameters, std::int64_t deadline);

}  // namespace pg_reconcile::worker

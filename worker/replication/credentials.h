// Where a source connects and as whom: CREATE SERVER and the user mapping of reconcile_worker, read through C
// so that the worker needs no USAGE on the server and nobody else sees the password.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace pg_reconcile::worker {

struct Credentials {
  std::vector<std::pair<std::string, std::string>> parameters;  // libpq's keywords; holds the password
  bool must_use_password = false;                               // the server's owner is no superuser
};

// In the caller's transaction. Throws core::Error that names the missing command.
Credentials read_credentials(const std::string& server);

}  // namespace pg_reconcile::worker

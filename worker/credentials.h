// Where a source connects and as whom: CREATE SERVER and the user mapping of reconcile_worker, read through C
// so that the worker needs no USAGE on the server and nobody else sees the password.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pg_reconcile::worker {

// Options of the server and of the mapping, by name: a name stands in one of the two. Holds secrets.
struct ServerOptions {
  std::map<std::string, std::string> values;
  bool owner_is_superuser = false;

  // "" when it is not set.
  [[nodiscard]] std::string get(const char* name) const {
    const auto found = values.find(name);
    return found == values.end() ? std::string() : found->second;
  }
};

// In the caller's transaction. Throws core::Error that names the missing command.
ServerOptions read_server_options(const std::string& server);

struct Credentials {
  std::vector<std::pair<std::string, std::string>> parameters;  // libpq's keywords; holds the password
  bool must_use_password = false;                               // the server's owner is no superuser
};

// The same for libpq.
Credentials read_credentials(const std::string& server);

}  // namespace pg_reconcile::worker

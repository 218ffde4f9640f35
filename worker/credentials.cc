#include "worker/credentials.h"

#include <set>

#include <libpq-fe.h>

#include "core/error.h"
#include "extension/pg/guard.h"

extern "C" {
#include <catalog/pg_user_mapping_d.h>
#include <commands/defrem.h>
#include <foreign/foreign.h>
#include <utils/syscache.h>
}

namespace pg_reconcile::worker {
namespace {

void append_options(ServerOptions& options, List* list) {
  for (int i = 0; i < list_length(list); i++) {
    auto* option = static_cast<DefElem*>(list_nth(list, i));
    options.values[option->defname] = pg::guarded([=] { return defGetString(option); });
  }
}

std::string mapping_command(const std::string& server) {
  return "CREATE USER MAPPING FOR reconcile_worker SERVER \"" + server +
         "\" OPTIONS (user '...', password '...');";
}

// Options of servers that files are fetched from are none of libpq's.
bool is_libpq_keyword(const std::string& name) {
  static const std::set<std::string> known = [] {
    std::set<std::string> names;
    PQconninfoOption* all = PQconndefaults();
    for (const PQconninfoOption* at = all; at != nullptr && at->keyword != nullptr; at++)
      names.insert(at->keyword);
    PQconninfoFree(all);
    return names;
  }();
  return known.empty() || known.contains(name);
}

}  // namespace

ServerOptions read_server_options(const std::string& server_name) {
  const char* name = server_name.c_str();
  const ForeignServer* server = pg::guarded([=] { return GetForeignServerByName(name, true); });
  if (server == nullptr) {
    throw core::Error(
        core::sqlstate::undefined_object, "server \"" + server_name + "\" does not exist",
        "The source connects through it.",
        "CREATE SERVER \"" + server_name + "\" FOREIGN DATA WRAPPER reconcile_source OPTIONS (...);");
  }
  const Oid user = GetUserId();
  const Oid server_id = server->serverid;
  // A mapping for PUBLIC would hand everybody's credentials to everybody's sources: it is not looked at.
  const bool mapped = pg::guarded([=] {
    return SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user), ObjectIdGetDatum(server_id));
  });
  if (!mapped) {
    throw core::Error(core::sqlstate::undefined_object,
                      "server \"" + server_name + "\" has no user mapping for reconcile_worker",
                      "A mapping for PUBLIC is not used.", mapping_command(server_name));
  }
  const UserMapping* mapping = pg::guarded([=] { return GetUserMapping(user, server_id); });
  ServerOptions options;
  append_options(options, server->options);
  append_options(options, mapping->options);
  const Oid owner = server->owner;
  options.owner_is_superuser = pg::guarded([=] { return superuser_arg(owner); });
  return options;
}

Credentials read_credentials(const std::string& server_name) {
  const ServerOptions options = read_server_options(server_name);
  Credentials credentials;
  for (const auto& [name, value] : options.values) {
    if (is_libpq_keyword(name)) credentials.parameters.emplace_back(name, value);
  }
  credentials.must_use_password = !options.owner_is_superuser;
  if (credentials.must_use_password && options.get("password").empty()) {
    throw core::Error(
        "2F003", "server \"" + server_name + "\" must authenticate with a password",
        "Its owner is not a superuser, and the user mapping of reconcile_worker has no password.",
        mapping_command(server_name));
  }
  return credentials;
}

}  // namespace pg_reconcile::worker

#include "worker/replication/credentials.h"

#include <algorithm>

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

void append_options(Credentials& credentials, List* options) {
  for (int i = 0; i < list_length(options); i++) {
    auto* option = static_cast<DefElem*>(list_nth(options, i));
    credentials.parameters.emplace_back(option->defname, pg::guarded([=] { return defGetString(option); }));
  }
}

bool states(const Credentials& credentials, const char* name) {
  return std::any_of(
      credentials.parameters.begin(), credentials.parameters.end(),
      [name](const auto& parameter) { return parameter.first == name && !parameter.second.empty(); });
}

}  // namespace

Credentials read_credentials(const std::string& server_name) {
  const char* name = server_name.c_str();
  const ForeignServer* server = pg::guarded([=] { return GetForeignServerByName(name, true); });
  const std::string create_mapping = "CREATE USER MAPPING FOR reconcile_worker SERVER \"" + server_name +
                                     "\" OPTIONS (user '...', password '...');";
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
                      "A mapping for PUBLIC is not used.", create_mapping);
  }
  const UserMapping* mapping = pg::guarded([=] { return GetUserMapping(user, server_id); });
  Credentials credentials;
  append_options(credentials, server->options);
  append_options(credentials, mapping->options);
  const Oid owner = server->owner;
  credentials.must_use_password = !pg::guarded([=] { return superuser_arg(owner); });
  if (credentials.must_use_password && !states(credentials, "password")) {
    throw core::Error(
        "2F003", "server \"" + server_name + "\" must authenticate with a password",
        "Its owner is not a superuser, and the user mapping of reconcile_worker has no password.",
        create_mapping);
  }
  return credentials;
}

}  // namespace pg_reconcile::worker

#include "extension/source/connection_options.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "extension/pg/guard.h"

extern "C" {
#include <access/reloptions.h>
#include <catalog/pg_foreign_data_wrapper.h>
#include <catalog/pg_foreign_server.h>
#include <catalog/pg_user_mapping.h>
#include <commands/defrem.h>
}

namespace pg_reconcile::source {
namespace {

constexpr std::array<ConnectionOption, 38> known_options = {{
    {"host", OptionPlace::server, false},
    {"hostaddr", OptionPlace::server, false},
    {"port", OptionPlace::server, false},
    {"dbname", OptionPlace::server, false},
    {"connect_timeout", OptionPlace::server, false},
    {"sslmode", OptionPlace::server, false},
    {"sslrootcert", OptionPlace::server, false},
    {"sslcrl", OptionPlace::server, false},
    {"sslcrldir", OptionPlace::server, false},
    {"sslsni", OptionPlace::server, false},
    {"ssl_min_protocol_version", OptionPlace::server, false},
    {"ssl_max_protocol_version", OptionPlace::server, false},
    {"channel_binding", OptionPlace::server, false},
    {"gssencmode", OptionPlace::server, false},
    {"krbsrvname", OptionPlace::server, false},
    {"requirepeer", OptionPlace::server, false},
    {"keepalives", OptionPlace::server, false},
    {"keepalives_idle", OptionPlace::server, false},
    {"keepalives_interval", OptionPlace::server, false},
    {"keepalives_count", OptionPlace::server, false},
    {"tcp_user_timeout", OptionPlace::server, false},
    // of servers that files are fetched from
    {"known_hosts", OptionPlace::server, true},
    {"host_key_sha256", OptionPlace::server, false},
    {"tls", OptionPlace::server, false},
    {"proxy", OptionPlace::server, false},
    {"gpg_homedir", OptionPlace::server, true},
    {"user", OptionPlace::user_mapping, false},
    {"password", OptionPlace::user_mapping, false},
    {"passfile", OptionPlace::user_mapping, true},
    {"sslcert", OptionPlace::user_mapping, true},
    {"sslkey", OptionPlace::user_mapping, true},
    {"key_file", OptionPlace::user_mapping, true},
    {"key_passphrase", OptionPlace::user_mapping, false},
    {"bearer_token", OptionPlace::user_mapping, false},
    {"headers", OptionPlace::user_mapping, false},
    {"proxy_user", OptionPlace::user_mapping, false},
    {"proxy_password", OptionPlace::user_mapping, false},
    {"gpg_passphrase", OptionPlace::user_mapping, false},
}};

const ConnectionOption* find(std::string_view name) {
  for (const ConnectionOption& option : known_options) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::string names_of(OptionPlace place) {
  std::string names;
  for (const ConnectionOption& option : known_options) {
    if (option.place != place) continue;
    if (!names.empty()) names += ", ";
    names += option.name;
  }
  return names;
}

// Values are never quoted in a message: a password may have been typed into the wrong option.
void check_number(std::string_view name, std::string_view value, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < least || number > most) {
    throw core::Error(core::sqlstate::invalid_parameter_value,
                      "option \"" + std::string(name) + "\" is not a number that it may be",
                      "It goes from " + std::to_string(least) + " to " + std::to_string(most) + ".",
                      "Write digits alone, in quotes.");
  }
}

void check_value(std::string_view name, std::string_view value) {
  if (name == "port") check_number(name, value, 1, 65535);
  if (name == "connect_timeout") check_number(name, value, 2, 3600);
  if (name == "tls" && value != "explicit" && value != "implicit") {
    throw core::Error(core::sqlstate::invalid_parameter_value,
                      "option \"tls\" is neither explicit nor implicit", {},
                      "explicit: AUTH TLS on the usual port (21); implicit: TLS from the start (990).");
  }
  if (name == "sslmode") {
    for (const char* mode : {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}) {
      if (value == mode) return;
    }
    throw core::Error(core::sqlstate::invalid_parameter_value,
                      "option \"sslmode\" is not one of libpq's modes", {},
                      "Modes are disable, allow, prefer, require, verify-ca, verify-full.");
  }
}

// The option belongs elsewhere, or nowhere.
[[noreturn]] void refuse(std::string_view name, OptionPlace place) {
  const ConnectionOption* option = find(name);
  const char* here = place == OptionPlace::server ? "a server" : "a user mapping";
  const std::string message =
      "option \"" + std::string(name) + "\" is no option of " + here + " of reconcile_source";
  std::string hint = std::string("Options of ") + here + " are " + names_of(place) + ".";
  if (option != nullptr && option->place == OptionPlace::user_mapping) {
    hint = "Everything about the user belongs into CREATE USER MAPPING FOR reconcile_worker.";
  } else if (option != nullptr) {
    hint = "It belongs into CREATE SERVER.";
  }
  throw core::Error("HV00D", message, {}, hint);
}

void validate(List* options, Oid catalog) {
  const OptionPlace place =
      catalog == UserMappingRelationId ? OptionPlace::user_mapping : OptionPlace::server;
  if (catalog == ForeignDataWrapperRelationId && options != NIL) {
    throw core::Error("HV00D", "the foreign data wrapper reconcile_source has no options of its own", {},
                      "Set options of servers and user mappings.");
  }
  for (int i = 0; i < list_length(options); i++) {
    auto* element = static_cast<DefElem*>(list_nth(options, i));
    const std::string_view name = element->defname;
    const ConnectionOption* option = find(name);
    if (option == nullptr || option->place != place) refuse(name, place);
    if (option->superuser_only && !pg::guarded([] { return superuser(); })) {
      throw core::Error(core::sqlstate::insufficient_privilege,
                        "only a superuser may set option \"" + std::string(name) + "\"",
                        "It makes the server's own account read a file.",
                        "Use a password, or for a host's key host_key_sha256.");
    }
    const char* value = pg::guarded([=] { return defGetString(element); });
    check_value(name, value);
  }
}

}  // namespace

std::span<const ConnectionOption> connection_options() {
  return known_options;
}

}  // namespace pg_reconcile::source

PG_RECONCILE_FUNCTION(reconcile_source_options_validator) {
  const Datum array = PG_GETARG_DATUM(0);
  List* options = pg_reconcile::pg::guarded([=] { return untransformRelOptions(array); });
  pg_reconcile::source::validate(options, PG_GETARG_OID(1));
  PG_RETURN_VOID();
}

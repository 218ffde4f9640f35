// Which options the foreign data wrapper reconcile_source takes, and where: the names are libpq's own, where
// libpq has one.
#pragma once

#include <span>
#include <string_view>

namespace pg_reconcile::source {

enum class OptionPlace {
  server,       // where to connect: not a secret, shown by \des+
  user_mapping  // who connects, and everything secret
};

struct ConnectionOption {
  std::string_view name;
  OptionPlace place;
  bool superuser_only;  // makes the server's own account read a file: no choice for others
};

std::span<const ConnectionOption> connection_options();

}  // namespace pg_reconcile::source

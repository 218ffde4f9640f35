// A text's bytes in UTF-8, whatever the database's encoding: what leaves the server.
#pragma once

#include <string_view>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// Throws 22P05 or 22021 for what has no UTF-8.
inline std::string_view to_utf8(std::string_view text) {
  if (GetDatabaseEncoding() == PG_UTF8) return text;
  const char* bytes = text.data();
  const int size = static_cast<int>(text.size());
  const char* converted = guarded([=] { return pg_server_to_any(bytes, size, PG_UTF8); });
  return converted == bytes ? text : std::string_view(converted);
}

}  // namespace pg_reconcile::pg

// Stored formats and channels, as the functions that read files need them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/statement/format_document.h"
#include "extension/pg/time_zones.h"

namespace pg_reconcile::pg {

struct StoredFormat {
  std::string name;
  std::int32_t version = 0;
  core::FormatDocument document;
};

// The newest version of a format. 42704 when there is none.
StoredFormat load_format(const std::string& name, TimeZones& zones);

struct StoredChannel {
  std::string channel;
  std::string currency;
  std::string time_zone;
};

// 42704 when there is none.
StoredChannel load_channel(const std::string& channel);

// Files are turned into UTF-8; a database in another encoding can't take all of it.
void require_utf8_database();

}  // namespace pg_reconcile::pg

#include "extension/statement/format_store.h"

#include "extension/pg/spi.h"

extern "C" {
#include <mb/pg_wchar.h>
}

namespace pg_reconcile::pg {

StoredFormat load_format(const std::string& name, TimeZones& zones) {
  std::string document;
  StoredFormat format;
  format.name = name;
  {
    Spi spi;
    spi.run(
        "SELECT f.version, f.document::text FROM reconcile.file_format f WHERE f.format = $1 "
        "ORDER BY f.version DESC LIMIT 1",
        {Argument::text(name)}, true);
    if (spi.rows() == 0) {
      throw core::Error(
          core::sqlstate::undefined_object, "file format \"" + name + "\" does not exist", {},
          "SELECT format FROM reconcile.file_format; lists them; reconcile.save_format() adds one.");
    }
    format.version = static_cast<std::int32_t>(spi.int8(0, 0));
    document = spi.text(0, 1);
  }
  format.document = core::FormatDocument::compile(document, zones);
  if (format.document.name.empty()) format.document.name = name;
  return format;
}

StoredChannel load_channel(const std::string& channel) {
  Spi spi;
  spi.run("SELECT c.channel, c.currency, c.time_zone FROM reconcile.channel c WHERE c.channel = $1",
          {Argument::text(channel)}, true);
  if (spi.rows() == 0) {
    throw core::Error(
        core::sqlstate::undefined_object, "channel \"" + channel + "\" does not exist", {},
        "Create it with reconcile.create_channel(), or look for its name in reconcile.channel.");
  }
  return {spi.text(0, 0), spi.text(0, 1), spi.text(0, 2)};
}

void require_utf8_database() {
  if (GetDatabaseEncoding() == PG_UTF8) return;
  throw core::Error(core::sqlstate::feature_not_supported,
                    "channel files need a database with the encoding UTF8",
                    std::string("This database has ") + GetDatabaseEncodingName() + ".",
                    "Create the finance database with ENCODING 'UTF8'.");
}

}  // namespace pg_reconcile::pg

#include "extension/statement/file_source.h"

#include "extension/pg/spi.h"

namespace pg_reconcile::pg {

FileSource load_file_source(const std::string& name) {
  Spi spi;
  spi.run(
      "SELECT s.source_id, s.name, s.channel, s.account, s.book, s.format, s.kind FROM reconcile.source s "
      "WHERE s.name = $1 AND s.dropped_at IS NULL",
      {Argument::text(name)});
  if (spi.rows() == 0) {
    throw core::Error(
        core::sqlstate::undefined_object, "source \"" + name + "\" does not exist", {},
        "Create it with reconcile.create_file_source(), or look for its name in reconcile.source_status.");
  }
  if (spi.text(0, 6) != "file") {
    throw core::Error(core::sqlstate::object_not_in_prerequisite_state,
                      "source \"" + name + "\" is no file source", "Its kind is \"" + spi.text(0, 6) + "\".",
                      "Files are taken in by sources that reconcile.create_file_source() made.");
  }
  return {static_cast<std::int32_t>(spi.int8(0, 0)),
          spi.text(0, 1),
          spi.text(0, 2),
          spi.text(0, 3),
          spi.text(0, 4),
          spi.text(0, 5)};
}

}  // namespace pg_reconcile::pg

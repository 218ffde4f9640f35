// reconcile.ingest_file: a file becomes statements with entries (ingestion.h), in the caller's transaction.
#include <optional>
#include <string>
#include <utility>

#include "core/statement/entry_content.h"
#include "core/statement/format_document.h"
#include "extension/pg/acting_role.h"
#include "extension/pg/spi.h"
#include "extension/statement/allowed_path.h"
#include "extension/statement/file_store.h"
#include "extension/statement/format_store.h"
#include "extension/statement/ingestion.h"
#include "extension/values/payload.h"

extern "C" {
#include <utils/date.h>
}

namespace {

using namespace pg_reconcile;

void require_access(const pg::FileSource& source) {
  pg::Spi spi;
  spi.run("SELECT reconcile.require_access($1, nullif($2, ''))",
          {pg::Argument::text(source.channel), pg::Argument::text(source.account)});
}

}  // namespace

PG_RECONCILE_FUNCTION(reconcile_ingest_file) {
  pg::require_utf8_database();
  // Whose rights count for the file is who called, and everything else is done with the owner's. SECURITY
  // DEFINER would hide who called: the session's role is not it inside anybody else's definer function, view
  // or index expression, which a superuser's session (autovacuum's too) runs as their owner.
  const Oid caller = GetUserId();
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) {
    throw core::Error(core::sqlstate::null_value_not_allowed, "ingest_file needs a source and a path", {},
                      "Name a row of reconcile.source_status, and a file on this server by its full path.");
  }
  const pg::ActingRole owner(pg::owner_of(fcinfo->flinfo->fn_oid));
  pg::FileSource source = pg::load_file_source(std::string(pg::payload_in_place(fcinfo->args[0].value)));
  const std::string path = pg::allowed_path(pg::payload_in_place(fcinfo->args[1].value), caller);
  require_access(source);
  std::optional<core::Date> day;
  if (!PG_ARGISNULL(2)) day = DatumGetDateADT(fcinfo->args[2].value);
  PG_RETURN_INT64(pg::Ingestion(std::move(source), path, path.substr(path.rfind('/') + 1), day).run());
}

// A file of the store, by its path there; who may call this is said by its grants.
PG_RECONCILE_FUNCTION(reconcile_ingest_stored) {
  pg::require_utf8_database();
  const pg::ActingRole owner(pg::owner_of(fcinfo->flinfo->fn_oid));
  pg::FileSource source = pg::load_file_source(std::string(pg::payload_in_place(fcinfo->args[0].value)));
  const std::string path = pg::path_in_store(pg::payload_in_place(fcinfo->args[1].value));
  std::string file_name(pg::payload_in_place(fcinfo->args[2].value));
  require_access(source);
  std::optional<core::Date> day;
  if (!PG_ARGISNULL(3)) day = DatumGetDateADT(fcinfo->args[3].value);
  PG_RETURN_INT64(pg::Ingestion(std::move(source), path, std::move(file_name), day).run());
}

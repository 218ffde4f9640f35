#include "worker/replication/replication_worker.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/mapping/normaliser.h"
#include "extension/pg/background.h"
#include "extension/pg/time_zones.h"
#include "worker/replication/change_applier.h"
#include "worker/replication/connection.h"
#include "worker/credentials.h"
#include "worker/replication/initial_copy.h"
#include "worker/replication/remote_table.h"
#include "worker/replication/slot.h"
#include "worker/replication/stream.h"

extern "C" {
#include <access/xact.h>
#include <utils/guc.h>
}

namespace pg_reconcile::worker {
namespace {

Credentials load_credentials(const SourceConfiguration& source) {
  Credentials credentials;
  pg::in_transaction("reading the user mapping", [&] { credentials = read_credentials(source.server); });
  return credentials;
}

// A position may be confirmed to the source only when it survives a crash here.
void make_commits_durable() {
  pg::guarded([] {
    if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF) {
      SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_OVERRIDE);
    }
  });
}

void check_mapped_columns(const SourceConfiguration& source, const RemoteTable& table,
                          const core::Normaliser& normaliser) {
  std::string published;
  for (const std::string& column : table.published_columns) {
    if (!published.empty()) published += ", ";
    published += column;
  }
  for (const std::string& column : normaliser.columns()) {
    if (std::find(table.published_columns.begin(), table.published_columns.end(), column) !=
        table.published_columns.end()) {
      continue;
    }
    throw SourceStop("paused",
                     core::Error(core::sqlstate::undefined_column,
                                 "the mapping reads column \"" + column + "\", which table " +
                                     source.table_name() + " does not publish",
                                 "Published are: " + published + ".",
                                 "Correct the source's mapping, or add the column at the source (also to the "
                                 "publication's column list); then SELECT reconcile.resume_source(...)."));
  }
}

std::string start_command(Connection& replication, const SourceConfiguration& source, core::Lsn from) {
  // publication_names is a list of identifiers inside a literal: quoted twice.
  return "START_REPLICATION SLOT " + replication.quote_identifier(source.slot) + " LOGICAL " +
         core::format_lsn(from) + " (proto_version '1', publication_names " +
         replication.quote_literal(replication.quote_identifier(source.publication)) + ")";
}

}  // namespace

void run_replication(const SourceConfiguration& source) {
  make_commits_durable();
  set_state(source.id, "starting", "connecting to server \"" + source.server + "\"");
  const Credentials credentials = load_credentials(source);
  const std::string application = "pg_reconcile: " + source.name;
  Connection replication(credentials, Connection::Purpose::replication, application);
  Connection queries(credentials, Connection::Purpose::queries, application);
  const RemoteSystem system = identify(replication);
  const std::optional<StoredPosition> stored = load_position(source);
  if (stored) check_position(*stored, system, find_slot(queries, source.slot), source);

  const RemoteTable table = describe_remote_table(queries, source);
  pg::TimeZones zones;
  core::Normaliser normaliser = core::Normaliser::compile(source.mapping, source.defaults, zones);
  check_mapped_columns(source, table, normaliser);
  ChangeApplier applier(source, table, std::move(normaliser));
  pg::in_transaction("looking at what is stored", [&] { applier.load_superseded(); });

  core::Lsn from = core::invalid_lsn;
  if (stored) {
    from = stored->lsn;
  } else {
    // A slot without a position was left by an attempt that ended before its copy was stored.
    drop_slot(replication, source.slot);
    set_state(source.id, "starting", "making the slot: waiting for the transactions that run at the source");
    const NewSlot slot = create_slot(replication, source.slot);
    set_state(source.id, "starting", "copying the rows of table " + source.table_name());
    copy_rows(queries, source, table, slot, system, applier);
    applier.copy_is_done();
    from = slot.consistent_point;
  }
  replication.start_stream(start_command(replication, source, from));
  set_state(source.id, "running", "streaming table " + source.table_name());
  Stream(replication, queries, source, system, applier, from).run();
}

void drop_remote_slot(const SourceConfiguration& source) {
  set_state(source.id, "starting", "dropping the replication slot");
  const Credentials credentials = load_credentials(source);
  Connection replication(credentials, Connection::Purpose::replication, "pg_reconcile: " + source.name);
  drop_slot(replication, source.slot);
  forget_slot(source.id);
}

}  // namespace pg_reconcile::worker

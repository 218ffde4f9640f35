#include "worker/local_source.h"

#include <string_view>

#include "extension/pg/background.h"
#include "extension/pg/valid_text.h"

namespace pg_reconcile::worker {
namespace {

using pg::Argument;

Argument text(std::string_view value) {
  return Argument::text(value);
}

Argument lsn_or_null(core::Lsn lsn) {
  if (lsn == core::invalid_lsn) return Argument::text(std::optional<std::string>());
  return Argument::text(std::string_view(core::format_lsn(lsn)));
}

}  // namespace

std::optional<SourceConfiguration> load_source(std::int32_t id) {
  std::optional<SourceConfiguration> loaded;
  pg::in_transaction("loading the source", [&] {
    pg::Spi spi;
    spi.run(
        "SELECT s.name, s.kind, s.dropped_at IS NOT NULL, s.server, s.publication,"
        "       (pg_catalog.parse_ident(s.relation))[1], (pg_catalog.parse_ident(s.relation))[2], s.mapping,"
        "       s.channel, s.account, s.book, c.currency, c.time_zone, s.slot_name,"
        "       coalesce(s.options->>'copy', 'true')::bool,"
        "       coalesce(s.options->>'reject_limit', '1000')::numeric::int8,"
        "       (coalesce(s.options->>'poll_seconds', '2')::numeric * 1000)::int8, s.resyncs, s.location"
        "  FROM reconcile.source s LEFT JOIN reconcile.channel c USING (channel)"
        " WHERE s.source_id = $1",
        {Argument::int4(id)});
    if (spi.rows() == 0) return;
    SourceConfiguration source;
    source.id = id;
    source.name = spi.text(0, 0);
    source.kind = spi.text(0, 1);
    source.dropped = spi.boolean(0, 2);
    source.server = spi.text(0, 3);
    source.publication = spi.text(0, 4);
    source.schema = spi.text(0, 5);
    source.table = spi.text(0, 6);
    source.mapping = spi.text(0, 7);
    source.defaults.channel = spi.text(0, 8);
    source.defaults.account = spi.text(0, 9);
    source.defaults.book = spi.text(0, 10);
    source.defaults.currency = spi.text(0, 11);
    source.defaults.time_zone = spi.text(0, 12);
    source.slot = spi.text(0, 13);
    source.copies_rows = spi.boolean(0, 14);
    source.reject_limit = spi.int8(0, 15);
    source.poll_ms = spi.int8(0, 16);
    source.resyncs = static_cast<std::int32_t>(spi.int8(0, 17));
    source.location = spi.text(0, 18);
    spi.run(
        "SELECT k FROM reconcile.source s, pg_catalog.jsonb_array_elements_text(s.options->'key') WITH "
        "ORDINALITY"
        "       AS e (k, n) WHERE s.source_id = $1 ORDER BY n",
        {Argument::int4(id)});
    for (std::uint64_t row = 0; row < spi.rows(); row++) source.key_columns.push_back(spi.text(row, 0));
    loaded = std::move(source);
  });
  return loaded;
}

std::optional<StoredPosition> load_position(const SourceConfiguration& source) {
  std::optional<StoredPosition> stored;
  pg::in_transaction("loading the position", [&] {
    pg::Spi spi;
    spi.run(
        "SELECT position, remote_system_identifier FROM reconcile.source_position"
        " WHERE source_id = $1 AND resyncs = $2",
        {Argument::int4(source.id), Argument::int4(source.resyncs)});
    if (spi.rows() == 0) return;
    const auto lsn = core::parse_lsn(spi.text(0, 0));
    if (!lsn) {
      throw core::Error(core::sqlstate::data_corrupted, "the stored position is no LSN: " + spi.text(0, 0),
                        {}, "SELECT reconcile.resync_source(...) reads the source's rows again.");
    }
    stored = StoredPosition{*lsn, spi.text(0, 1)};
  });
  return stored;
}

void store_position(pg::Spi& spi, const SourceConfiguration& source, const NewPosition& position) {
  spi.run(
      "INSERT INTO reconcile.source_position AS p"
      "       (source_id, position, source_time, remote_system_identifier, remote_timeline, resyncs)"
      " VALUES ($1, $2, $3, $4, $5, $6)"
      " ON CONFLICT (source_id) DO UPDATE"
      "    SET position = excluded.position, stored_at = pg_catalog.clock_timestamp(),"
      "        source_time = greatest(p.source_time, excluded.source_time),"
      "        remote_system_identifier = excluded.remote_system_identifier,"
      "        remote_timeline = excluded.remote_timeline, resyncs = excluded.resyncs",
      {Argument::int4(source.id), text(core::format_lsn(position.lsn)),
       Argument::datum(1184 /* timestamptz */, static_cast<Datum>(position.source_time.value_or(0)),
                       !position.source_time.has_value()),
       text(position.remote_system_identifier), Argument::int4(position.remote_timeline),
       Argument::int4(source.resyncs)});
}

void store_progress(pg::Spi& spi, std::int32_t source_id, const Progress& progress) {
  spi.run(
      "UPDATE reconcile.source_state"
      "   SET heartbeat_at = pg_catalog.clock_timestamp(), received_position = coalesce($2, "
      "received_position),"
      "       lag_bytes = coalesce($3, lag_bytes), applied_rows = applied_rows + $4,"
      "       quarantined_rows = quarantined_rows + $5"
      " WHERE source_id = $1",
      {Argument::int4(source_id), lsn_or_null(progress.received),
       Argument::datum(20 /* int8 */, static_cast<Datum>(progress.lag_bytes.value_or(0)),
                       !progress.lag_bytes.has_value()),
       Argument::int8(static_cast<std::int64_t>(progress.applied)),
       Argument::int8(static_cast<std::int64_t>(progress.quarantined))});
}

void store_quarantined(pg::Spi& spi, std::int32_t source_id, const Quarantined& row) {
  spi.run(
      "INSERT INTO reconcile.source_error (source_id, position, relation, operation, source_key, raw, "
      "reason, "
      "stage, committed_at, settled_at)"
      " VALUES ($1, $2, $3, $4, $5, pg_catalog.jsonb_object($6, $7), $8, $9, $10,"
      " CASE WHEN $11 THEN pg_catalog.clock_timestamp() END)",
      {Argument::int4(source_id), text(core::format_lsn(row.position)), text(row.relation),
       text(row.operation), text(row.source_key), Argument::text_array(row.names),
       Argument::text_array(row.values), text(row.reason), text(row.stage),
       Argument::datum(1184 /* timestamptz */, static_cast<Datum>(row.committed_at.value_or(0)),
                       !row.committed_at.has_value()),
       Argument::boolean(row.settled)});
}

void settle_quarantined(pg::Spi& spi, std::int32_t source_id, const std::vector<std::string>& keys) {
  spi.run(
      "UPDATE reconcile.source_error SET settled_at = pg_catalog.clock_timestamp()"
      " WHERE source_id = $1 AND source_key = ANY ($2) AND settled_at IS NULL",
      {Argument::int4(source_id), Argument::text_array(keys)});
}

void set_state(std::int32_t source_id, const std::string& state, const std::string& message) {
  pg::in_transaction("noting the source's state", [&] {
    pg::Spi spi;
    spi.run(
        "INSERT INTO reconcile.source_state AS t (source_id, state, message, pid, heartbeat_at)"
        " VALUES ($1, $2, $3, pg_catalog.pg_backend_pid(), pg_catalog.clock_timestamp())"
        " ON CONFLICT (source_id) DO UPDATE"
        "    SET state = excluded.state, cause = NULL, message = excluded.message, pid = excluded.pid,"
        "        heartbeat_at = excluded.heartbeat_at, next_attempt_at = NULL,"
        "        since = CASE WHEN t.state = excluded.state THEN t.since ELSE pg_catalog.clock_timestamp() "
        "END",
        {Argument::int4(source_id), text(state), text(message)});
  });
}

void set_error(std::int32_t source_id, const std::string& state, const char* cause,
               const core::Error& error) {
  pg::in_transaction("noting the source's error", [&] {
    pg::Spi spi;
    std::string message =
        error.hint().empty() ? error.what() : std::string(error.what()) + ". HINT: " + error.hint();
    // What a server says before it lets us in comes in its own encoding (GBK on a Windows in China): refusing
    // to write that down would leave the state without its reason.
    std::string full = pg::describe(error);
    pg::make_valid(message.data());
    pg::make_valid(full.data());
    spi.run(
        "INSERT INTO reconcile.source_state AS t (source_id, state, cause, message, last_error, "
        "last_error_at)"
        " VALUES ($1, $2, $3, $4, $5, pg_catalog.clock_timestamp())"
        " ON CONFLICT (source_id) DO UPDATE"
        "    SET state = excluded.state, cause = excluded.cause, message = excluded.message, last_error = "
        "excluded.last_error,"
        "        last_error_at = excluded.last_error_at, pid = NULL,"
        "        since = CASE WHEN t.state = excluded.state THEN t.since ELSE pg_catalog.clock_timestamp() "
        "END",
        {Argument::int4(source_id), text(state),
         cause != nullptr ? Argument::text(cause) : Argument::text(std::optional<std::string>()),
         text(message), text(full)});
  });
}

void forget_slot(std::int32_t source_id) {
  pg::in_transaction("noting that the slot is dropped", [&] {
    pg::Spi spi;
    spi.run("UPDATE reconcile.source SET slot_name = NULL WHERE source_id = $1", {Argument::int4(source_id)});
  });
}

}  // namespace pg_reconcile::worker

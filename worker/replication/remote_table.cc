#include "worker/replication/remote_table.h"

#include "core/error.h"

namespace pg_reconcile::worker {
namespace {

std::string listed(const Rows& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.rows.size(); i++) {
    if (i > 0) text += ", ";
    text += rows.text(i, 0);
  }
  return text;
}

// relkind, relreplident
struct Kind {
  std::string oid;
  char relkind;
  char replica_identity;
};

Kind find_table(Connection& queries, const SourceConfiguration& source) {
  const Rows rows = queries.query(
      "SELECT c.oid::text, c.relkind::text, c.relreplident::text FROM pg_catalog.pg_class c"
      " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = " +
      queries.quote_literal(source.schema) + " AND c.relname = " + queries.quote_literal(source.table));
  if (rows.empty()) {
    throw core::Error("42P01", "table " + source.table_name() + " does not exist at the source",
                      "Server \"" + source.server + "\".",
                      "Create it there, or drop this source and name the right one.");
  }
  return {rows.text(0, 0), rows.text(0, 1)[0], rows.text(0, 2)[0]};
}

void read_publication(Connection& queries, const SourceConfiguration& source, RemoteTable& table) {
  const std::string publication = queries.quote_literal(source.publication);
  const Rows known = queries.query("SELECT pubname FROM pg_catalog.pg_publication ORDER BY 1");
  bool exists = false;
  for (std::size_t i = 0; i < known.rows.size(); i++)
    exists = exists || known.text(i, 0) == source.publication;
  if (!exists) {
    throw core::Error(core::sqlstate::undefined_object,
                      "publication \"" + source.publication + "\" does not exist at the source",
                      known.empty() ? "There is none at all." : "There are: " + listed(known) + ".",
                      "There: CREATE PUBLICATION " + queries.quote_identifier(source.publication) +
                          " FOR TABLE " + source.table_name() + ";");
  }
  // Before 15 a publication has no row filters and no column lists.
  const bool has_filters = queries.server_version() >= 150000;
  const Rows published = queries.query(
      std::string("SELECT coalesce(") + (has_filters ? "p.rowfilter" : "NULL") +
      ", ''), pub.pubinsert AND pub.pubupdate AND pub.pubdelete"
      " FROM pg_catalog.pg_publication_tables p JOIN pg_catalog.pg_publication pub USING (pubname)"
      " WHERE p.pubname = " +
      publication + " AND p.schemaname = " + queries.quote_literal(source.schema) +
      " AND p.tablename = " + queries.quote_literal(source.table));
  if (published.empty()) {
    throw core::Error(
        core::sqlstate::undefined_object,
        "publication \"" + source.publication + "\" does not publish table " + source.table_name(),
        table.is_partitioned
            ? "A partitioned table is published under its own name only with publish_via_partition_root."
            : "",
        table.is_partitioned
            ? "There: ALTER PUBLICATION " + queries.quote_identifier(source.publication) +
                  " SET (publish_via_partition_root = true); and add the table if it is not in."
            : "There: ALTER PUBLICATION " + queries.quote_identifier(source.publication) + " ADD TABLE " +
                  source.table_name() + ";");
  }
  table.row_filter = published.text(0, 0);
  if (published.text(0, 1) != "t") {
    throw core::Error(
        core::sqlstate::object_not_in_prerequisite_state,
        "publication \"" + source.publication + "\" does not publish inserts, updates and deletes alike",
        "Entries would drift away from the table.",
        "There: ALTER PUBLICATION " + queries.quote_identifier(source.publication) +
            " SET (publish = 'insert, update, delete, truncate');");
  }
  const Rows columns = queries.query(
      has_filters
          ? "SELECT a FROM pg_catalog.pg_publication_tables p, unnest(p.attnames) WITH ORDINALITY AS u (a, n)"
            " WHERE p.pubname = " +
                publication + " AND p.schemaname = " + queries.quote_literal(source.schema) +
                " AND p.tablename = " + queries.quote_literal(source.table) + " ORDER BY n"
          : "SELECT attname FROM pg_catalog.pg_attribute WHERE attnum > 0 AND NOT attisdropped"
            " AND attgenerated = '' AND attrelid = " +
                queries.quote_literal(queries.quote_identifier(source.schema) + "." +
                                      queries.quote_identifier(source.table)) +
                "::regclass ORDER BY attnum");
  for (std::size_t i = 0; i < columns.rows.size(); i++) table.published_columns.push_back(columns.text(i, 0));
}

}  // namespace

RemoteTable describe_remote_table(Connection& queries, const SourceConfiguration& source) {
  RemoteTable table;
  const Kind kind = find_table(queries, source);
  if (kind.relkind != 'r' && kind.relkind != 'p') {
    throw core::Error("42809", source.table_name() + " at the source is not a table",
                      "Only tables are replicated; a view's rows are not in the WAL.",
                      "Name the table that the view reads.");
  }
  table.is_partitioned = kind.relkind == 'p';
  read_publication(queries, source, table);
  table.key_columns = source.key_columns;
  if (table.key_columns.empty()) {
    const Rows key = queries.query(
        "SELECT a.attname FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, "
        "n),"
        " pg_catalog.pg_attribute a WHERE i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " AND i.indrelid = " +
        kind.oid + " ORDER BY k.n");
    for (std::size_t i = 0; i < key.rows.size(); i++) table.key_columns.push_back(key.text(i, 0));
  }
  if (table.key_columns.empty()) {
    throw core::Error(
        core::sqlstate::object_not_in_prerequisite_state,
        "table " + source.table_name() + " at the source has no primary key",
        "An update or delete could not be told to which entry it belongs.",
        "Add a primary key there; or name unique columns in the source's option \"key\" and set REPLICA "
        "IDENTITY FULL there.");
  }
  if (kind.replica_identity == 'n') {
    throw core::Error(core::sqlstate::object_not_in_prerequisite_state,
                      "table " + source.table_name() + " at the source has REPLICA IDENTITY NOTHING",
                      "Updates and deletes of it are refused there as soon as it is published.",
                      "There: ALTER TABLE " + source.table_name() + " REPLICA IDENTITY DEFAULT;");
  }
  return table;
}

}  // namespace pg_reconcile::worker

#include "worker/replication/initial_copy.h"

#include <string>
#include <string_view>
#include <unordered_set>

#include "core/protocol/copy_text.h"
#include "extension/pg/background.h"

namespace pg_reconcile::worker {
namespace {

std::string copy_command(const Connection& queries, const SourceConfiguration& source,
                         const RemoteTable& table) {
  std::string columns;
  for (const std::string& column : table.published_columns) {
    if (!columns.empty()) columns += ", ";
    columns += queries.quote_identifier(column);
  }
  // Children of an inheritance parent are published under their own names.
  std::string sql = "COPY (SELECT " + columns + " FROM " + (table.is_partitioned ? "" : "ONLY ") +
                    queries.quote_identifier(source.schema) + "." + queries.quote_identifier(source.table);
  if (!table.row_filter.empty()) sql += " WHERE " + table.row_filter;
  return sql + ") TO STDOUT";
}

void copy_in_transaction(Connection& queries, const SourceConfiguration& source, const RemoteTable& table,
                         const NewSlot& slot, ChangeApplier& applier) {
  queries.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  queries.query("SET TRANSACTION SNAPSHOT " + queries.quote_literal(slot.snapshot));
  core::CopyTextRow row;
  const bool must_see_all = applier.must_see_all();
  std::unordered_set<std::string> seen;  // only a resync needs it
  queries.copy_out(copy_command(queries, source, table), [&](std::string_view line) {
    pg::check_for_interrupts();
    applier.apply_copied(row.parse(line, table.published_columns.size()), slot.consistent_point);
    if (must_see_all) seen.insert(applier.copied_key());
  });
  queries.query("COMMIT");
  if (must_see_all) {
    applier.remove_stored([&seen](const std::string& key) { return seen.contains(key); });
  }
}

}  // namespace

void copy_rows(Connection& queries, const SourceConfiguration& source, const RemoteTable& table,
               const NewSlot& slot, const RemoteSystem& system, ChangeApplier& applier) {
  pg::in_transaction("copying the source's rows", [&] {
    applier.begin_batch();
    if (source.copies_rows) copy_in_transaction(queries, source, table, slot, applier);
    Progress progress;
    progress.received = slot.consistent_point;
    applier.finish_batch(progress);
    pg::Spi spi;
    store_position(spi, source, {slot.consistent_point, std::nullopt, system.identifier, system.timeline});
    store_progress(spi, source.id, progress);
  });
}

}  // namespace pg_reconcile::worker

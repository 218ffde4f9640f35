#include "worker/replication/initial_copy.h"

#include <optional>
#include <string>
#include <string_view>

#include "core/protocol/copy_text.h"
#include "extension/pg/background.h"
#include "extension/pg/sorted_texts.h"

namespace pg_reconcile::worker {
namespace {

// What a resync holds of a table's keys in memory, however many rows it has; the rest is on disk.
constexpr int copied_keys_memory_kb = 65536;

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
  std::optional<pg::SortedTexts> copied;  // only a resync needs the keys
  if (applier.must_see_all()) copied.emplace(copied_keys_memory_kb);
  queries.copy_out(copy_command(queries, source, table), [&](std::string_view line) {
    pg::check_for_interrupts();
    applier.apply_copied(row.parse(line, table.published_columns.size()), slot.consistent_point);
    if (copied) copied->add(applier.copied_key());
  });
  queries.query("COMMIT");
  if (!copied) return;
  // Stored keys come in the order of their bytes too: both are read once, side by side.
  copied->sort();
  std::optional<std::string_view> key = copied->next();
  applier.remove_stored([&](const std::string& stored) {
    while (key && *key < stored) key = copied->next();
    return key && *key == stored;
  });
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

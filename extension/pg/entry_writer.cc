#include "extension/pg/entry_writer.h"

#include <optional>

#include "extension/pg/acting_role.h"
#include "extension/pg/entry_ledger.h"
#include "extension/pg/entry_table.h"
#include "extension/pg/spi.h"

namespace pg_reconcile::pg {

namespace column = entry_column;

void EntryWriter::ensure_months(const std::vector<EntryRow>& rows) {
  std::vector<std::string> books;
  std::vector<std::optional<std::int32_t>> days;
  const EntryRow* last = nullptr;
  for (const EntryRow& row : rows) {
    const auto book = row.text(column::book);
    if (last != nullptr && last->date(column::business_date) == row.date(column::business_date) &&
        last->text(column::book) == book) {
      continue;
    }
    last = &row;
    if (!months_.emplace(book.value_or(""), row.date(column::business_date)).second) continue;
    books.emplace_back(book.value_or(""));
    days.emplace_back(row.date(column::business_date));
  }
  if (books.empty()) return;
  Spi spi;
  spi.run("SELECT reconcile.ensure_month(m.day, m.book) FROM unnest($1, $2) AS m (book, day)",
          {Argument::text_array(books), Argument::date_array(days)});
}

std::uint64_t EntryWriter::store(std::vector<EntryRow>& rows, const RowMemory& memory) {
  if (rows.empty()) return 0;
  ensure_months(rows);
  EntryTable table(memory);
  const ActingRole owner(table.owner());
  table.insert(rows.data(), rows.size());
  table.close();
  EntryLedger ledger(source_id_);
  std::uint64_t stored = 0;
  for (const EntryRow& row : rows) {
    if (!row.stored) continue;
    ledger.add(row);
    stored++;
  }
  ledger.write();
  return stored;
}

}  // namespace pg_reconcile::pg

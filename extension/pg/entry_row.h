// An entry as the values that its table stores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/mapping/entry.h"
#include "extension/pg/entry_places.h"
#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// The columns of reconcile.entry; a table finds them by name.
namespace entry_column {
enum Column : std::size_t {
  channel,
  account,
  book,
  kind,
  sub_kind,
  order_key,
  match_key,
  channel_ref,
  original_ref,
  amount,
  currency,
  settle_amount,
  settlement_currency,
  fx_rate,
  fee,
  net,
  status,
  source_status,
  effective,
  occurred_at,
  value_date,
  business_date,
  recon_date,
  settlement_ref,
  attributes,
  source_id,
  source_key,
  statement_id,
  tier,
  count
};
}  // namespace entry_column

extern const char* const entry_column_names[entry_column::count];

// In EntryColumn's order; what values point at is in the memory that the row was made in.
struct EntryRow {
  Datum* values;
  bool* nulls;
  bool stored;  // false: its month holds the key already

  [[nodiscard]] std::optional<std::string_view> text(entry_column::Column column) const;
  [[nodiscard]] std::optional<core::Decimal> decimal(entry_column::Column column) const;
  [[nodiscard]] std::int32_t date(entry_column::Column column) const;
};

// Where a batch's rows are made: a memory context that ends with this.
class RowMemory {
 public:
  RowMemory();
  ~RowMemory();
  RowMemory(const RowMemory&) = delete;
  RowMemory& operator=(const RowMemory&) = delete;

  [[nodiscard]] MemoryContext context() const { return context_; }
  [[nodiscard]] EntryRow row();
  // Throws 22021 for what the database's encoding doesn't know.
  [[nodiscard]] Datum text(std::string_view value);
  // With at least `scale` fraction digits, as numeric_in would make it of such a text.
  [[nodiscard]] Datum numeric(core::Decimal value, int scale);
  [[nodiscard]] Datum jsonb(const core::Entry& entry);

 private:
  MemoryContext context_;
  char* free_ = nullptr;
  std::size_t left_ = 0;

  void* allocate(std::size_t bytes, std::size_t alignment);
};

struct EntryOrigin {
  std::int32_t source_id;
  std::optional<std::int64_t> statement_id;
};

EntryRow make_row(RowMemory& memory, const EntryOrigin& origin, std::string_view source_key,
                  const core::Entry& entry, const EntryPlace& place);

}  // namespace pg_reconcile::pg

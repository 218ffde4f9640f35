// What a batch of stored entries adds to reconcile.entry_total and reconcile.entry_change: a row a day,
// account, book, kind and currency, and one a day, account and book.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/digest/row_hash.h"
#include "extension/pg/entry_row.h"

namespace pg_reconcile::pg {

class EntryLedger {
 public:
  explicit EntryLedger(std::int32_t source_id) : source_id_(source_id) {}

  // The row's values must stay where they are until write().
  void add(const EntryRow& row);
  void write();

 private:
  using Day = std::tuple<std::string_view, std::string_view, std::int32_t,
                         std::string_view>;                    // channel, account, recon_date, book
  using Kind = std::pair<std::string_view, std::string_view>;  // kind, currency

  struct Total {
    std::int64_t entries = 0;
    core::Decimal amount;
    core::Decimal fee;
    // The hashes' sum, by halves: a batch has fewer rows than make either overflow.
    core::uint128 digest_high = 0;
    core::uint128 digest_low = 0;
  };
  struct Changes {
    std::vector<const EntryRow*> rows;
    std::map<Kind, Total> totals;
  };

  std::int32_t source_id_;
  std::map<Day, Changes> days_;
  core::RowHasher hasher_;
  const Day* last_day_ = nullptr;
  Changes* last_ = nullptr;

  Changes& changes_of(const EntryRow& row);
  void count(Total& total, const EntryRow& row);
  void write_totals();
  void write_changes();
};

}  // namespace pg_reconcile::pg

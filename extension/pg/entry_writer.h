// Stores rows of new entries in the caller's transaction: in their partitions, with the totals and changes
// that they add. The accounts are locked already (EntryPlaces). Replays change nothing.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "extension/pg/entry_row.h"

namespace pg_reconcile::pg {

class EntryWriter {
 public:
  explicit EntryWriter(std::int32_t source_id) : source_id_(source_id) {}

  // Returns how many were stored.
  std::uint64_t store(std::vector<EntryRow>& rows, const RowMemory& memory);

 private:
  std::int32_t source_id_;
  std::set<std::pair<std::string, std::int32_t>> months_;  // book and day whose partition is there

  void ensure_months(const std::vector<EntryRow>& rows);
};

}  // namespace pg_reconcile::pg

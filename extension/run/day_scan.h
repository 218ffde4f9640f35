// The day's entries of both books, read page by page and matched exactly by one process or several: what is
// left over, and sums of everything (docs/decisions/0006).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/matching/day_log.h"
#include "extension/compare/match_workers.h"
#include "core/error.h"
#include "extension/pg/heap_scan.h"
#include "extension/pg/spi.h"
#include "extension/run/entry_fields.h"
#include "extension/run/leg_config.h"

namespace pg_reconcile {

// Where a book's entries of a day lie.
struct DayTable {
  Oid table = InvalidOid;  // none: its entries come by queries alone
  std::vector<BlockNumber> blocks;
  std::array<AttrNumber, heap_columns.size()> attributes{};
  std::int64_t expected_rows = 0;
};

// The heap table of a book's entries of a day, where it is one, and the blocks that may hold them. Locked
// until the transaction ends.
DayTable day_table(const pg::HeldSnapshot& snapshot, const std::string& book, core::Date day);

struct DayScope {
  core::Date day;
  std::string channel;
  std::string account;
  std::vector<std::string> kinds;  // that take part

  [[nodiscard]] bool holds(const Datum* values) const;
  // The place in `kinds`.
  [[nodiscard]] std::optional<std::size_t> kind(std::string_view name) const;
};

// An entry as a compact row.
class DayRowMaker {
 public:
  DayRowMaker(core::DayKey key, const core::KeyedHash& hash) : key_(key), hash_(hash) {}
  // nullopt: it does not have the name that is the key.
  [[nodiscard]] std::optional<core::CompactRow> row(const EntryFields& fields, std::size_t kind,
                                                    std::uint64_t currency,
                                                    const core::DayPlace& place) const;

 private:
  core::DayKey key_;
  const core::KeyedHash& hash_;
};

// What queries have found of a book's day: takes part in the match, and is never left to it.
struct KnownRows {
  std::vector<core::CompactRow> rows;
  bool states_reference = false;
};

struct DayMatchRequest {
  const pg::HeldSnapshot* snapshot;
  DayScope scope;
  core::DayPairing pairing;
  const core::KeyedHash::Secret* secret;
  std::array<const DayTable*, 2> tables;
  std::array<const KnownRows*, 2> known;
  std::span<const core::uint128> decided;  // identities of entries that are left to others
};

// Reads and matches both books; what was found goes to `reader`. Returns how many pairs are settled.
std::uint64_t match_day_tables(const DayMatchRequest& request, core::DayLogReader& reader);

// Whether more entries of both books state a match_key than a channel_ref: from a few pages.
bool prefers_match_key(const pg::HeldSnapshot& snapshot, const DayScope& scope,
                       std::array<const DayTable*, 2> tables);

class ActiveSnapshot {
 public:
  explicit ActiveSnapshot(const pg::HeldSnapshot& snapshot);
  ~ActiveSnapshot();
  ActiveSnapshot(const ActiveSnapshot&) = delete;
  ActiveSnapshot& operator=(const ActiveSnapshot&) = delete;
};

// Calls `visit(place, values, nulls)` for each of these entries, which ascend by DayPlace::tuple().
template <class Visit>
void fetch_places(const pg::HeldSnapshot& snapshot, const DayTable& table,
                  const std::vector<core::DayPlace>& places, Visit visit) {
  if (places.empty()) return;
  const ActiveSnapshot active(snapshot);
  pg::HeapScan scan(table.table, places.back().block + 1, table.attributes);
  for (std::size_t i = 0; i < places.size();) {
    const std::uint32_t block = places[i].block;
    scan.read_block(block, [&](const Datum* values, const bool* nulls, OffsetNumber offset) {
      if (i == places.size() || places[i].block != block || places[i].offset != offset) return;
      visit(places[i], values, nulls);
      i++;
    });
    if (i < places.size() && places[i].block == block) {
      throw core::Error(core::sqlstate::internal_error, "an entry that was read is gone");
    }
  }
}

}  // namespace pg_reconcile

// What configured rules look at of the entries that the exact passes have left: fetched again by location, as
// there are few, and only for legs that have such rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/matching/match_rules.h"
#include "extension/run/day_reader.h"

namespace pg_reconcile {

// The columns that some rule of the leg needs.
struct RestColumns {
  std::vector<core::KeyColumn> keys;

  explicit RestColumns(const std::vector<PassConfig>& passes);
  // Where a column is among `keys`.
  [[nodiscard]] std::size_t place(const core::KeyColumn& column) const;
};

struct RestEntry {
  std::uint32_t entry;  // index into BookDay::entries
  std::optional<core::Date> business_date;
  std::optional<core::Date> value_date;
  std::optional<std::uint16_t> source_status;  // code
  std::vector<core::uint128> keys;             // seeded hashes, beside RestColumns::keys; 0: NULL
};

// Of one book, in the canonical order: occurred_at NULLS LAST, source_id, source_key.
using BookRest = std::vector<RestEntry>;

BookRest read_rest(const pg::HeldSnapshot& snapshot, pg::Spi& spi, const LegConfig& leg,
                   const std::string& book_name, const BookDay& book, const std::vector<std::uint32_t>& open,
                   const RestColumns& columns, std::uint64_t seed, Dictionary& statuses);

}  // namespace pg_reconcile

// Entries as CSV with the canonical columns: what COPY ... FROM ... WITH (FORMAT csv, HEADER) reads back.
//
// The columns are those of reconcile.parse_file. NULL is nothing at all, an empty text is "". A point in time
// is written in UTC.
#pragma once

#include <cstdint>
#include <string>

#include "core/mapping/entry.h"

namespace pg_reconcile::core {

// With its line end.
[[nodiscard]] std::string normalised_csv_header();

// Appends one line.
void append_normalised_csv(std::string& out, std::int64_t row_no, const Entry& entry);

// "2026-11-21 10:55:16.500000+00".
[[nodiscard]] std::string utc_text(TimestampTz time);

}  // namespace pg_reconcile::core

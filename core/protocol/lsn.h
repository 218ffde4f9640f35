// A position in a PostgreSQL server's WAL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pg_reconcile::core {

using Lsn = std::uint64_t;
inline constexpr Lsn invalid_lsn = 0;

// "16/B374D848", as pg_lsn reads and writes it.
std::optional<Lsn> parse_lsn(std::string_view text);
std::string format_lsn(Lsn lsn);

}  // namespace pg_reconcile::core

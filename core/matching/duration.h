// Durations as people write them: "2 days", "1 hour 30 minutes".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pg_reconcile::core {

inline constexpr std::int64_t microseconds_per_second = 1'000'000;
inline constexpr std::int64_t microseconds_per_day = 86'400 * microseconds_per_second;

// Longer ones are refused: ten years.
inline constexpr std::int64_t duration_max = 3653 * microseconds_per_day;

// Whole, non-negative counts of days, hours, minutes and seconds, each unit once at most; a day has 24 hours.
// Microseconds; nullopt when it is no such text.
[[nodiscard]] std::optional<std::int64_t> parse_duration(std::string_view text);

}  // namespace pg_reconcile::core

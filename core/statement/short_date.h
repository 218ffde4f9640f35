// Dates of six and of four digits, as banks write them.
#pragma once

#include <optional>
#include <string_view>

#include "core/mapping/entry.h"

namespace pg_reconcile::core {

// "261124" and "241126" for 24 November 2026. Years 80 to 99 are of the last century. nullopt: not six
// digits, or no date of the calendar.
[[nodiscard]] std::optional<Date> date_of_yymmdd(std::string_view text);
[[nodiscard]] std::optional<Date> date_of_ddmmyy(std::string_view text);

// "1124": the day of that name that is nearest to `beside`, in its year, the one before or the one after.
[[nodiscard]] std::optional<Date> nearest_mmdd(std::string_view text, Date beside);
// "328": the same for the day of the year, 001 to 366.
[[nodiscard]] std::optional<Date> nearest_day_of_year(std::string_view text, Date beside);

[[nodiscard]] bool all_digits(std::string_view text);  // and not empty
[[nodiscard]] bool all_zeros(std::string_view text);   // also when empty

}  // namespace pg_reconcile::core

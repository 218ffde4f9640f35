#include "core/matching/duration.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace pg_reconcile::core {
namespace {

struct Unit {
  std::array<std::string_view, 3> words;
  std::int64_t microseconds;
};

constexpr std::array<Unit, 4> units = {{
    {{"days", "day", "d"}, microseconds_per_day},
    {{"hours", "hour", "h"}, 3600 * microseconds_per_second},
    {{"minutes", "minute", "min"}, 60 * microseconds_per_second},
    {{"seconds", "second", "s"}, microseconds_per_second},
}};

// Takes what comes before the next space, and the spaces around it.
std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return word;
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::array<bool, units.size()> seen{};
  std::string_view rest = text;
  do {
    const std::string_view number = next_word(rest);
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
    if (error != std::errc() || end != number.data() + number.size() || count < 0) return std::nullopt;
    const std::string_view word = next_word(rest);
    const auto* const unit = std::find_if(units.begin(), units.end(), [word](const Unit& candidate) {
      return std::find(candidate.words.begin(), candidate.words.end(), word) != candidate.words.end();
    });
    if (unit == units.end() || count > duration_max / unit->microseconds) return std::nullopt;
    bool& again = seen[static_cast<std::size_t>(unit - units.begin())];
    if (again) return std::nullopt;
    again = true;
    total += count * unit->microseconds;
  } while (!rest.empty());
  if (total > duration_max) return std::nullopt;
  return total;
}

}  // namespace pg_reconcile::core

#include "core/mapping/time_zone.h"

namespace pg_reconcile::core {

std::optional<std::int32_t> FixedOffsets::offset_of_local(std::string_view zone, std::int64_t) {
  if (zone == "UTC" || zone == "Z" || zone == "GMT") return 0;
  if (zone.size() < 2 || (zone[0] != '+' && zone[0] != '-')) return std::nullopt;
  std::int32_t digits[4] = {};
  std::size_t count = 0;
  for (char c : zone.substr(1)) {
    if (c == ':' && (count == 1 || count == 2)) continue;
    if (c < '0' || c > '9' || count == 4) return std::nullopt;
    digits[count++] = c - '0';
  }
  std::int32_t hours = 0;
  std::int32_t minutes = 0;
  if (count == 1) hours = digits[0];
  if (count >= 2) hours = digits[0] * 10 + digits[1];
  if (count == 3) return std::nullopt;
  if (count == 4) minutes = digits[2] * 10 + digits[3];
  if (hours > 15 || minutes > 59) return std::nullopt;
  const std::int32_t seconds = hours * 3600 + minutes * 60;
  return zone[0] == '-' ? -seconds : seconds;
}

}  // namespace pg_reconcile::core

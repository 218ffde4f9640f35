#include "extension/pg/time_zones.h"

#include <algorithm>
#include <array>

extern "C" {
#include <pgtime.h>
#include <utils/datetime.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {
namespace {

bool is_posix_specification(std::string_view zone) {
  constexpr std::array<std::string_view, 7> names_of_files = {"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT",
                                                              "GMT+0",   "GMT-0",   "GMT0"};
  if (zone.find('/') != std::string_view::npos) return false;
  if (zone.find_first_of("0123456789<,") == std::string_view::npos) return false;
  return std::find(names_of_files.begin(), names_of_files.end(), zone) == names_of_files.end();
}

}  // namespace

void* TimeZones::find(std::string_view zone) {
  const auto known = named_.find(zone);
  if (known != named_.end()) return known->second;
  const std::string name(zone);
  pg_tz* found = nullptr;
  if (!name.empty() && name.size() <= TZ_STRLEN_MAX && !is_posix_specification(name)) {
    const char* text = name.c_str();
    found = guarded([=] { return pg_tzset(text); });
    if (found != nullptr && !pg_tz_acceptable(found)) found = nullptr;
  }
  named_.emplace(name, found);
  return found;
}

std::optional<std::int32_t> TimeZones::offset_of_local(std::string_view zone, std::int64_t local_seconds) {
  if (const auto offset = fixed_.offset_of_local(zone, local_seconds)) return offset;
  auto* found = static_cast<pg_tz*>(find(zone));
  if (found == nullptr) return std::nullopt;
  std::int64_t days = local_seconds / SECS_PER_DAY;
  std::int64_t second = local_seconds % SECS_PER_DAY;
  if (second < 0) {
    second += SECS_PER_DAY;
    days--;
  }
  struct pg_tm local = {};
  j2date(static_cast<int>(days + POSTGRES_EPOCH_JDATE), &local.tm_year, &local.tm_mon, &local.tm_mday);
  local.tm_hour = static_cast<int>(second / SECS_PER_HOUR);
  local.tm_min = static_cast<int>(second % SECS_PER_HOUR / SECS_PER_MINUTE);
  local.tm_sec = static_cast<int>(second % SECS_PER_MINUTE);
  return -DetermineTimeZoneOffset(&local, found);  // PostgreSQL counts seconds west of Greenwich
}

}  // namespace pg_reconcile::pg

// Time zones are PostgreSQL's business: core asks through this door, the server's own tables answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pg_reconcile::core {

class TimeZones {
 public:
  virtual ~TimeZones() = default;
  // Seconds east of UTC that hold in `zone` (an IANA name, or "+08:00") at the local wall-clock second
  // `local_seconds` (since 2000-01-01 00:00:00). A time that a change of clocks repeats or skips answers as
  // PostgreSQL does. nullopt: no such zone.
  virtual std::optional<std::int32_t> offset_of_local(std::string_view zone, std::int64_t local_seconds) = 0;
};

// Knows "UTC", "Z" and fixed offsets ("+08:00", "-0330", "+8"); for tests and for values that carry their
// offset.
class FixedOffsets final : public TimeZones {
 public:
  std::optional<std::int32_t> offset_of_local(std::string_view zone, std::int64_t local_seconds) override;
};

}  // namespace pg_reconcile::core

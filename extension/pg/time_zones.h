// Time zones as the server's own tables know them.
#pragma once

#include <map>
#include <string>

#include "core/mapping/time_zone.h"
#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

class TimeZones final : public core::TimeZones {
 public:
  // Fixed offsets ("+08:00": east of Greenwich is positive, as ISO 8601 says) and IANA names. POSIX
  // specifications
  // ("GMT+8", whose sign is the other way round) are no zones here: they are a mistake waiting for its day.
  std::optional<std::int32_t> offset_of_local(std::string_view zone, std::int64_t local_seconds) override;

 private:
  core::FixedOffsets fixed_;
  std::map<std::string, void*, std::less<>>
      named_;  // pg_tz; null: no such zone. pg_tz lives as long as the process

  void* find(std::string_view zone);
};

}  // namespace pg_reconcile::pg

// How long an interval is, as its own comparison has it: a month is 30 days, a day 24 hours.
// Source: interval_cmp_value in PostgreSQL's timestamp.c.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/money/decimal.h"
#include "extension/pg/guard.h"

extern "C" {
#include <datatype/timestamp.h>
}

namespace pg_reconcile::pg {

inline core::int128 interval_microseconds(Datum value) {
  Interval interval;
  std::memcpy(&interval, DatumGetPointer(value), sizeof(interval));
  const std::int64_t days = std::int64_t{interval.month} * DAYS_PER_MONTH + interval.day;
  return static_cast<core::int128>(days) * USECS_PER_DAY + interval.time;
}

}  // namespace pg_reconcile::pg

// The canonical entry: one money movement in one book. docs/concepts.md names every column.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

// Days since 2000-01-01, microseconds since 2000-01-01 00:00:00+00: PostgreSQL's own date and timestamptz.
using Date = std::int32_t;
using TimestampTz = std::int64_t;

struct Entry {
  std::string channel;
  std::string account;
  std::string book;
  std::string kind;
  std::optional<std::string> sub_kind;
  std::string order_key;
  std::optional<std::string> match_key;
  std::optional<std::string> channel_ref;
  std::optional<std::string> original_ref;
  Decimal amount;
  std::string currency;
  std::optional<Decimal> settle_amount;
  std::optional<std::string> settlement_currency;
  std::optional<Decimal> fx_rate;
  std::optional<Decimal> fee;
  std::optional<Decimal> net;
  std::string status;
  std::optional<std::string> source_status;
  std::optional<TimestampTz> occurred_at;
  std::optional<Date> value_date;
  std::optional<Date> business_date;  // stated by the source; else the channel's day of occurred_at
  std::optional<std::string> settlement_ref;
  std::vector<std::pair<std::string, std::optional<std::string>>> attributes;
};

}  // namespace pg_reconcile::core

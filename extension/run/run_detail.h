// What a run leaves for an incremental run to go on from: reconcile.run.detail.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "extension/run/day_run.h"

namespace pg_reconcile {

// What matching found in one currency, and what the detail path added up.
struct CurrencyDetail {
  core::CountAndAmount left_in, right_in, left_matched, right_matched;
  core::uint128 left_digest = 0;
  core::uint128 right_digest = 0;
  core::Decimal residual, left_fee, right_fee;
  std::int64_t fees_not_compared = 0;
};

struct RunDetail {
  // The run's own transaction, of which no snapshot tells what was there before: changes up to this one.
  std::string transaction;
  std::int64_t last_change = 0;
  std::string settings;  // digest of what the day's result depends on, but for entries and adjustments
  core::uint128 match_digest = 0;
  std::map<std::string, CurrencyDetail> currencies;
};

// The run's place among changes, and its settings. Everything else is the result's.
RunDetail begin_detail(pg::Spi& spi, const LegConfig& leg);

std::string detail_to_json(const RunDetail& detail);
// Disengaged: not of this version.
std::optional<RunDetail> detail_from_json(const std::string& text);

// `result` came of a run over the whole day or of an incremental one.
void complete_detail(RunDetail& detail, const DayResult& result);

}  // namespace pg_reconcile

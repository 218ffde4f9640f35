// Proof line f: what the source itself counts, asked through a function that an administrator named.
#pragma once

#include <map>
#include <string>

#include "core/matching/proof.h"
#include "extension/run/leg_config.h"

namespace pg_reconcile {

// Runs the leg's control query as its own role. Count and amount per currency.
std::map<std::string, core::CountAndAmount> query_control(pg::Spi& spi, const LegConfig& leg, core::Date day);

}  // namespace pg_reconcile

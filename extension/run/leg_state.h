// What a leg has published, as chains of runs lock it, take it back and go on from it.
#pragma once

#include <string>

#include "core/mapping/entry.h"
#include "core/matching/discrepancy_ledger.h"
#include "extension/pg/spi.h"

namespace pg_reconcile {

struct LegKey {
  std::string channel;
  std::string account;
  std::string leg;

  [[nodiscard]] std::vector<pg::Argument> arguments() const;
  [[nodiscard]] std::vector<pg::Argument> arguments(core::Date day) const;
};

// Until the transaction ends: one chain of a leg at a time, and no day is signed off meanwhile.
void lock_leg(const LegKey& leg);

// Takes back what this day and the later ones had written. Discrepancies stay: the ledger compares.
void take_back(pg::Spi& spi, const LegKey& leg, core::Date first_day);

// Of that, what days suggest alone: it goes on from the day before, and what is not suggested again goes at
// the chain's end.
void take_back_suggestions(pg::Spi& spi, const LegKey& leg, core::Date first_day);

core::DiscrepancyLedger load_ledger(pg::Spi& spi, const LegKey& leg, core::Date first_day);

}  // namespace pg_reconcile

// One day of one leg: read, match, write what can't be derived, classify, prove.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/matching/day_match.h"
#include "core/matching/discrepancy_ledger.h"
#include "core/matching/proof.h"
#include "extension/pg/spi.h"
#include "extension/run/day_reader.h"
#include "extension/run/day_writer.h"
#include "extension/run/leg_config.h"

namespace pg_reconcile {

// What a day came to; becomes a row of reconcile.run and rows of reconcile.run_total.
struct DayResult {
  std::int64_t run_id = 0;
  core::Date day = 0;
  std::map<std::string, core::CurrencyFigures> figures;
  core::Proof proof;
  core::DayFindings findings;
  std::int64_t left_entries = 0;
  std::int64_t right_entries = 0;
  std::int64_t matched_pairs = 0;
  std::int64_t matched_groups = 0;
  std::int64_t in_transit = 0;
  core::uint128 digest = 0;
  double read_s = 0;
  double match_s = 0;
  double write_s = 0;
  double prove_s = 0;
};

class DayRun {
 public:
  // `spi` works under `snapshot`; everything that the chain wrote before is seen.
  DayRun(pg::Spi& spi, const pg::HeldSnapshot& snapshot, LegConfig leg, core::Date day, std::int64_t run_id);

  // Writes open items and matches of the day and feeds the ledger. Whether the proof holds is in the result.
  DayResult execute(core::DiscrepancyLedger& ledger);

 private:
  // What classify_items() says of an unmatched item, of two that belong together, or of a match that differs.
  struct Finding {
    core::DiscrepancyIdentity identity;  // unless in transit
    core::DiscrepancyFacts facts;
    core::Decimal difference;
    bool one_currency = true;
    bool in_transit = false;
    std::optional<core::Date> match_day;     // of a match that differs
    std::optional<CarriedItem> left, right;  // the unmatched entries
  };

  std::int64_t expected_rows(const std::string& book);
  [[nodiscard]] std::vector<std::string> refunded_orders() const;
  std::vector<Finding> read_findings(core::DiscrepancyLedger& ledger);
  bool apply_adjustments(const std::vector<Finding>& findings);
  void classify(core::DiscrepancyLedger& ledger);
  void count_matches(const core::DayMatch& match, const SettledPairs& settled);
  void read_aggregates();
  void read_previous();
  void read_statements();
  void read_control();

  core::CurrencyFigures& figures(const std::string& currency) { return result_.figures[currency]; }
  std::vector<pg::Argument> leg_arguments() const;

  pg::Spi& spi_;
  const pg::HeldSnapshot& snapshot_;
  LegConfig leg_;
  core::Date day_;
  Dictionary kinds_;
  Dictionary currencies_;
  BookDay left_;
  BookDay right_;
  std::map<core::DiscrepancyIdentity, core::DiscrepancyFacts> adjusted_;
  DayResult result_;
};

}  // namespace pg_reconcile

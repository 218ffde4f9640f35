// One day of one leg: read, match, write what can't be derived, classify, prove.
#pragma once

#include <chrono>
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
  core::uint128 match_digest = 0;                                  // of the matches alone
  std::map<std::string, core::uint128> left_digest, right_digest;  // of the entries, per currency
  double read_s = 0;
  double match_s = 0;
  double write_s = 0;
  double prove_s = 0;
};

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Keys the hashes of a run.
std::uint64_t random_seed();

class DayRun {
 public:
  virtual ~DayRun() = default;
  DayRun(const DayRun&) = delete;
  DayRun& operator=(const DayRun&) = delete;

  // `spi` works under `snapshot`; everything that the chain wrote before is seen.
  DayRun(pg::Spi& spi, const pg::HeldSnapshot& snapshot, LegConfig leg, core::Date day, std::int64_t run_id);

  // Writes open items and matches of the day and feeds the ledger. Whether the proof holds is in the result.
  virtual DayResult execute(core::DiscrepancyLedger& ledger);

  // Before execute(): every pair is to be among match().pairs, also those that are certain while reading.
  void keep_every_pair() { settles_ = false; }

  // What was matched, after execute().
  [[nodiscard]] const LegConfig& leg() const { return leg_; }
  [[nodiscard]] const BookDay& left() const { return left_; }
  [[nodiscard]] const BookDay& right() const { return right_; }
  [[nodiscard]] const Dictionary& currencies() const { return currencies_; }
  [[nodiscard]] const core::DayMatch& match() const { return match_; }

 protected:
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
  // Orders whose refunds the day's entries of either book add to.
  [[nodiscard]] virtual std::vector<std::string> refunded_orders();
  std::vector<Finding> read_findings(core::DiscrepancyLedger& ledger);
  bool apply_adjustments(const std::vector<Finding>& findings);
  void classify(core::DiscrepancyLedger& ledger);
  void count_matches(const core::DayMatch& match, const SettledPairs& settled);
  void count_entries();
  // All that follows once matches and open items are written.
  DayResult conclude(core::DiscrepancyLedger& ledger, Stopwatch& watch);
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
  core::DayMatch match_;
  std::map<core::DiscrepancyIdentity, core::DiscrepancyFacts> adjusted_;
  bool aggregates_read_ = false;
  bool settles_ = true;
  DayResult result_;
};

}  // namespace pg_reconcile

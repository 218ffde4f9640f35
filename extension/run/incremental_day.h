// A day that has been run before, matched again as far as its changes reach (decision 0008).
#pragma once

#include <string>
#include <vector>

#include "extension/run/closure_reader.h"
#include "extension/run/day_run.h"

namespace pg_reconcile {

// Why the day has to be run as a whole; empty: it need not. `detail` is that of the run to come.
std::string reason_against_incremental(pg::Spi& spi, const LegConfig& leg, core::Date day,
                                       const PriorRun& prior, const RunDetail& detail);

class IncrementalDay : public DayRun {
 public:
  IncrementalDay(pg::Spi& spi, const pg::HeldSnapshot& snapshot, LegConfig leg, core::Date day,
                 std::int64_t run_id, const PriorRun& prior, ChainChanges& chain);

  // As DayRun's. Throws FallBack; what was written until then is to be rolled back.
  DayResult execute(core::DiscrepancyLedger& ledger) override;

 private:
  // The members of one book in one state, beside the day that they make.
  struct State {
    std::vector<const StoredEntry*> entries;
    std::vector<ClosureMember*> members;
    std::size_t closure = 0;  // so many come first; the others are the rest, at which rules alone look
  };

  State state(Side side, std::optional<StoredEntry> ClosureMember::*of) const;
  void read_closure();
  core::DayMatch match(const BookDay& left, std::size_t left_closure, const BookDay& right,
                       std::size_t right_closure, const std::vector<core::MatchedGroup>& confirmed);
  core::DayMatch match_before();
  void add_matches(const core::DayMatch& match, int sign);
  void require_stored(const core::DayMatch& before);
  void add_totals();
  void require_explained();
  void take_back();
  // Stored matches of the items on days that compare so to this one.
  void reopen_matches(const std::vector<ItemKey>& items, const char* of_days);
  void reopen_adjusted();
  void note_adjusted();
  void note_items();
  void note_rest();
  [[nodiscard]] bool was_open(const ClosureMember* member) const;
  [[nodiscard]] bool is_kept(const ClosureMember* member) const;
  [[nodiscard]] std::vector<std::uint32_t> newly_open(const State& book,
                                                      const std::vector<std::uint32_t>& open) const;
  std::vector<std::string> refunded_orders() override;

  const PriorRun& prior_;
  ChainChanges& chain_;
  ClosureReader reader_;
  std::uint64_t seed_;
  std::vector<ClosureMember*> closure_;  // of reader_
  State left_before_state_, right_before_state_, left_state_, right_state_;
  BookDay left_before_, right_before_;
  std::set<const ClosureMember*> stored_;  // the run before stored an open item of the day for them
  std::set<const ClosureMember*> open_;    // not matched, as it is now
};

}  // namespace pg_reconcile

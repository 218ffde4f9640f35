// Which discrepancies stand after each day of a chain of runs, and what that changes in what is stored.
//
// A re-run of day d runs every later day again. The ledger starts from what stood at the end of day d-1,
// takes the findings of each day in order, and at the end says what must be written: a discrepancy that
// stands as before is left alone, so that re-runs are idempotent and its history has no noise.
//
// Of several discrepancies of one key and kind, which is which is told by their entries: ordinals only name
// them, so that the second does not become the first when the first is settled.
//
// A discrepancy that comes back after it had ended stands in episodes. All are kept: what stood at the end of
// day d-1 can then be told for any d, and a re-run that begins inside an early episode counts as the first.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/mapping/entry.h"

namespace pg_reconcile::core {

struct DiscrepancyIdentity {
  std::string item_key;
  std::string entry_kind;
  std::int32_t ordinal = 1;
  friend auto operator<=>(const DiscrepancyIdentity&, const DiscrepancyIdentity&) = default;
};

// What a run says of a discrepancy. Amounts are texts, as PostgreSQL prints them: the ledger only compares
// them.
struct DiscrepancyFacts {
  std::string kind;
  Date business_date = 0;
  std::string currency;
  std::optional<std::string> difference;
  std::optional<std::string> left_amount, left_currency, right_amount, right_currency;
  std::optional<std::string> left_entry, right_entry;  // JSON
  std::string first_entry;                             // the entry that it is known by
  friend bool operator==(const DiscrepancyFacts&, const DiscrepancyFacts&) = default;
};

// From the end of the day that opened it to the end of the day before the one that cleared it.
struct DiscrepancyEpisode {
  Date opened_on = 0;
  std::optional<Date> cleared_on;
  bool adjusted = false;  // resolved by adjustment
  friend bool operator==(const DiscrepancyEpisode&, const DiscrepancyEpisode&) = default;
};

struct StoredDiscrepancy {
  std::int64_t discrepancy_id = 0;
  DiscrepancyFacts facts;
  DiscrepancyEpisode episode;               // the last one
  std::vector<DiscrepancyEpisode> earlier;  // in order
  bool replaceable = false;                 // stands or was settled, and its first entry is stored no more
  std::int64_t first_run_id = 0;
};

enum class DiscrepancyEvent { opened, changed, cleared, resolved, reopened, redated };

struct DiscrepancyChange {
  DiscrepancyEvent event;
  DiscrepancyIdentity identity;
  std::optional<std::int64_t> discrepancy_id;  // absent: to be inserted
  DiscrepancyFacts facts;
  DiscrepancyEpisode episode;
  std::vector<DiscrepancyEpisode> earlier;
  std::int64_t first_run_id;
  std::int64_t last_run_id;
};

struct DayFindings {
  std::int64_t opened = 0;
  std::int64_t cleared = 0;
  std::int64_t open = 0;
};

class DiscrepancyLedger {
 public:
  // `stored` is everything that the tables hold for the leg; the chain begins with `first_day`.
  DiscrepancyLedger(std::map<DiscrepancyIdentity, StoredDiscrepancy> stored, Date first_day);

  // Which discrepancy a finding is: the one of this key and kind that is known by the same first entry; else
  // one whose first entry is gone, replaced by this one (a statement that was issued again); else a new one.
  // What is stored decides, so that a re-run from any day finds the same names.
  DiscrepancyIdentity identify(const std::string& item_key, const std::string& entry_kind,
                               const std::string& first_entry);

  // One entry of each discrepancy of a kind that stood at the end of the day before.
  [[nodiscard]] std::vector<std::string> standing_entries(std::string_view kind) const;

  // The discrepancies that stand at the end of `day`, and those that adjustments settled: by closing their
  // entries on that day, or, where a match differs, by explaining its difference from then on.
  DayFindings take(Date day, std::int64_t run_id,
                   const std::map<DiscrepancyIdentity, DiscrepancyFacts>& findings,
                   const std::map<DiscrepancyIdentity, DiscrepancyFacts>& adjusted);

  // What differs from `stored`, in the order of identities.
  [[nodiscard]] std::vector<DiscrepancyChange> changes() const;

 private:
  struct Standing {
    DiscrepancyFacts facts;
    std::vector<DiscrepancyEpisode> episodes;  // empty only while it is being entered
    std::int64_t first_run_id;
    std::int64_t last_run_id;

    [[nodiscard]] bool stands() const { return !episodes.empty() && !episodes.back().cleared_on; }
    [[nodiscard]] bool settled() const { return !episodes.empty() && episodes.back().adjusted; }
    void open(Date day);
    void close(Date day, bool adjusted);
  };
  Standing& at(const DiscrepancyIdentity& identity, std::int64_t run_id);
  std::map<std::tuple<std::string, std::string, std::string>, DiscrepancyIdentity> by_first_entry_;
  std::map<std::pair<std::string, std::string>, std::int32_t> last_ordinal_;
  std::map<std::pair<std::string, std::string>, std::vector<DiscrepancyIdentity>> replaceable_;
  std::map<DiscrepancyIdentity, StoredDiscrepancy> stored_;
  std::map<DiscrepancyIdentity, Standing> standing_;
  std::int64_t last_run_id_ = 0;
};

}  // namespace pg_reconcile::core

// What an incremental run reads: the entries and carried items of a day that changed since the run before, or
// that somebody decided on, and all that hangs together with them. Two entries hang together when they share
// a channel_ref, a match key or an order: no exact pass matches along anything else. Where a leg has
// configured rules, also the rest: what the exact passes left, then as now, and rules may match along
// anything (decision 0008).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "extension/pg/spi.h"
#include "extension/run/day_reader.h"
#include "extension/run/leg_config.h"
#include "extension/run/run_detail.h"

namespace pg_reconcile {

// The day has to be run as a whole; the run's row says why.
struct FallBack {
  std::string reason;
};

// The run that stood for the day until now.
struct PriorRun {
  std::int64_t run_id = 0;
  std::string snapshot;
  bool of_this_cluster = false;
  std::optional<RunDetail> detail;
  std::int64_t matched_pairs = 0;
  std::int64_t matched_groups = 0;
};

// An entry as open items and matches know it.
struct ItemKey {
  std::string book;
  std::int32_t source_id = 0;
  std::string source_key;
  friend auto operator<=>(const ItemKey&, const ItemKey&) = default;
};

// What the days of a chain that have been run so far have changed for those that follow.
struct ChainChanges {
  std::set<ItemKey> items;       // whose open items may be other ones than before
  std::set<std::string> orders;  // that anything changed in
};

struct ClosureMember {
  ItemKey item;
  std::optional<StoredEntry> before;  // as the run before saw it
  std::optional<StoredEntry> after;
  bool changed = false;
  bool closed_before = false;  // carried: the run before matched it
  bool rest = false;           // no exact pass is concerned with it: only rules look at it
};

// What the run before matched on the day by a configured rule, or by a decision: pass 0.
struct StoredMatch {
  int pass;
  std::vector<const ClosureMember*> members;
};

class ClosureReader {
 public:
  ClosureReader(pg::Spi& spi, const LegConfig& leg, core::Date day, const PriorRun& prior,
                ChainChanges& chain);

  // Members are told apart by carried or not, book, source, key and order; those of the rest come last.
  // Throws FallBack.
  const std::vector<ClosureMember*>& read();
  // After read(): what no exact pass made.
  [[nodiscard]] std::vector<StoredMatch> stored_matches() const;

 private:
  using MemberKey = std::tuple<bool, ItemKey, std::string>;
  struct Keys {
    std::set<std::string> orders, match_keys, channel_refs;
  };

  // An item, and whether it was carried in.
  struct Place {
    bool carried;
    ItemKey item;
  };
  struct Stored {
    int pass;
    std::vector<Place> members;
  };

  void read_changes();
  void read_touched_items();
  void read_stored_matches();
  void read_decided();
  void read_rest();
  std::vector<ItemKey> rest_of_the_day();
  void read_carried_rest();
  void look_up();
  void look_up_entries(const std::vector<pg::Argument>& arguments);
  void look_up_items(const std::vector<pg::Argument>& arguments);
  void look_up_named(const std::vector<ItemKey>& items);
  void run_for_names(const std::vector<ItemKey>& items);
  void take_entries();
  void take_items();
  [[nodiscard]] std::string scope() const;
  [[nodiscard]] std::vector<pg::Argument> day_arguments() const;
  // Those in the closure or the rest that are of this name.
  [[nodiscard]] std::vector<const ClosureMember*> members_of(const Place& place) const;
  [[nodiscard]] bool has(const Place& place) const;
  ClosureMember& member(bool carried, const ItemKey& item, const std::string& order_key);
  void enqueue(const StoredEntry& entry);
  void require_bounded() const;

  pg::Spi& spi_;
  const LegConfig& leg_;
  core::Date day_;
  const PriorRun& prior_;
  ChainChanges& chain_;
  std::int64_t limit_;
  std::map<MemberKey, ClosureMember> members_;
  std::vector<ClosureMember*> found_;  // of members_
  Keys looked_up_, waiting_;
  std::map<ItemKey, bool> closed_before_;  // of the items that earlier days of the chain touched
  std::vector<Stored> stored_;
};

// Arguments book[], source_id[], source_key[] for a list of items.
std::vector<pg::Argument> item_arguments(const std::vector<ItemKey>& items);

}  // namespace pg_reconcile

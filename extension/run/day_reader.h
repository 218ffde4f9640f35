// Reads what a run matches: the day's effective entries of both books, and the items carried in. What pairs
// for certain is settled while reading; everything known of an entry is kept of the rest alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/matching/day_match.h"
#include "core/matching/proof.h"
#include "extension/pg/cursor.h"
#include "extension/run/entry_fields.h"
#include "extension/run/leg_config.h"

namespace pg_reconcile {

// A text under the seed of a run; 0: NULL.
core::uint128 keyed_hash(std::optional<std::string_view> text, std::uint64_t seed);

// Codes for texts that few entries share: kinds, currencies.
class Dictionary {
 public:
  std::uint16_t code(std::string_view text);
  [[nodiscard]] const std::string& text(std::uint16_t code) const { return texts_[code]; }

 private:
  std::vector<std::string> texts_;
};

// Where an entry is stored: the leaf and the tuple, or the open item that carries it.
struct EntryLocation {
  std::uint32_t table = 0;  // 0: carried, `tuple` is the index into BookDay::carried
  std::uint64_t tuple = 0;  // block << 16 | offset
};

struct CarriedItem {
  std::int32_t source_id;
  std::string source_key;
};

// Texts that stay where they are.
class TextArena {
 public:
  std::string_view keep(std::string_view text);

 private:
  static constexpr std::size_t block_bytes = 65536;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t left_ = 0;
  char* next_ = nullptr;
};

struct BookDay {
  // The day's that are left to match_day(), then those carried in.
  std::vector<core::MatchEntry> entries;
  std::vector<EntryLocation> locations;    // beside `entries`
  std::vector<core::EntrySource> sources;  // beside `entries`; keys lie in `source_keys`
  TextArena source_keys;
  std::vector<CarriedItem> carried;
  // Order keys of the day's refunds, of money that went back in another way, and of what came late: whose
  // refunds may now be more than was paid.
  std::vector<std::string> refunded_orders;
  std::vector<core::EntryVersion> versions;             // the carried and the deltas among `entries`
  std::map<std::string, core::CountAndAmount> in;       // the detail path's sums per currency, of all entries
  std::map<std::string, core::CountAndAmount> opening;  // items carried in
  std::map<std::string, core::uint128> digest;          // per currency
  std::map<std::string, core::CountAndAmount> settled;  // of entries whose pairs are settled

  [[nodiscard]] core::MatchBook match_book() const { return {entries, versions, sources}; }
  // Of the first `count` entries.
  [[nodiscard]] core::MatchBook match_book(std::size_t count) const;
};

// Pairs of the day that are the same whatever else the day holds: not among the entries any more.
struct SettledPairs {
  std::int64_t pairs = 0;
  std::map<std::string, core::Decimal> fees;  // per currency, of pairs where both books state one: equal
  core::uint128 digest = 0;                   // as in DayMatch
};

struct DayRequest {
  const pg::HeldSnapshot& snapshot;
  const LegConfig& leg;
  core::Date day;
  std::uint64_t seed;  // keys the hashes of this run
  std::int64_t left_expected;
  std::int64_t right_expected;
  // Entries that people have decided on: they are kept, and so are those that could pair with them.
  std::vector<core::uint128> decided;
  bool settles = true;  // else every entry is kept, and no pair is settled while reading
};

SettledPairs read_day(const DayRequest& request, Dictionary& kinds, Dictionary& currencies, BookDay& left,
                      BookDay& right);

// An entry with its texts, as a query returns it.
struct StoredEntry {
  std::string kind;
  std::string order_key;
  std::optional<std::string> match_key;
  std::optional<std::string> channel_ref;
  core::Decimal amount;
  std::optional<core::Decimal> fee;
  std::string currency;
  std::string fee_currency;
  std::optional<std::int64_t> occurred_at;
  std::int32_t source_id = 0;
  std::string source_key;
  bool prior_period = false;  // of an earlier business date
  bool carried = false;
  EntryLocation location;  // of the entries that are not carried; 0 where they are stored no more
};

// What a day of these entries alone would be: none of their pairs is settled.
BookDay collect_book_day(const std::vector<const StoredEntry*>& entries, std::uint64_t seed,
                         Dictionary& kinds, Dictionary& currencies);

// An amount as discrepancies store it: with its currency's decimals.
std::optional<std::string> money_text(const std::optional<std::string>& amount,
                                      const std::optional<std::string>& currency);

}  // namespace pg_reconcile

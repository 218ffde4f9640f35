// Reads what a run matches: the day's effective entries of a book, and the items carried in.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/matching/day_match.h"
#include "core/matching/proof.h"
#include "extension/pg/cursor.h"
#include "extension/run/leg_config.h"

namespace pg_reconcile {

// Of entries that state no time: they pair last among equals.
inline constexpr std::int64_t no_time = std::numeric_limits<std::int64_t>::max();

// A text under the seed of a run; 0: NULL.
core::uint128 keyed_hash(std::optional<std::string_view> text, std::uint64_t seed);

// The hash of a source's identity that is the same in every run (MatchEntry::tie).
std::uint64_t identity_hash(std::int32_t source_id, std::string_view source_key);

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

struct BookDay {
  std::vector<core::MatchEntry> entries;  // the day's, then those carried in
  std::vector<EntryLocation> locations;   // beside `entries`
  std::vector<CarriedItem> carried;
  // Order keys of the day's refunds, of money that went back in another way, and of what came late: whose
  // refunds may now be more than was paid.
  std::vector<std::string> refunded_orders;
  std::vector<core::EntryVersion> versions;             // the carried and the deltas among `entries`
  std::map<std::string, core::CountAndAmount> in;       // the detail path's sums per currency
  std::map<std::string, core::CountAndAmount> opening;  // items carried in
  std::map<std::string, core::uint128> digest;          // per currency

  [[nodiscard]] core::MatchBook match_book() const { return {entries, versions}; }
};

// `seed` keys the hashes of this run.
BookDay read_book_day(const pg::HeldSnapshot& snapshot, const LegConfig& leg, const std::string& book,
                      core::Date day, std::uint64_t seed, Dictionary& kinds, Dictionary& currencies);

// An amount as discrepancies store it: with its currency's decimals.
std::optional<std::string> money_text(const std::optional<std::string>& amount,
                                      const std::optional<std::string>& currency);

// An amount or a sum of amounts. Throws 22003 when the text is out of Decimal's range.
core::Decimal exact_decimal(std::string_view text);

}  // namespace pg_reconcile

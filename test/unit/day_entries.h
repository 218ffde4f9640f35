// Entries of a day as tests write them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/matching/day_match.h"

namespace day_entries {

using namespace pg_reconcile::core;

enum Kind : std::uint16_t { payment, refund, reversal };
enum Currency : std::uint16_t { cny, usd };

inline constexpr MatchPass all_passes[] = {{1, MatchRule::channel_ref},
                                           {2, MatchRule::match_key},
                                           {3, MatchRule::carried},
                                           {4, MatchRule::net_order}};

// An entry as a test writes it; texts are hashed under the run's seed, "" is NULL.
struct Row {
  std::string name;
  std::string ref;
  std::string key;
  std::string amount;
  std::string order = key;
  Kind kind = payment;
  Currency currency = cny;
  std::string fee = "";
  bool carried = false;
  std::int64_t at = 0;
  Currency fee_currency = cny;
};

inline uint128 hashed(const std::string& text, std::uint64_t seed) {
  if (text.empty()) return 0;
  const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), seed);
  return (static_cast<uint128>(hash.high64) << 64) | hash.low64;
}

inline std::vector<MatchEntry> entries(const std::vector<Row>& rows, std::uint64_t seed) {
  std::vector<MatchEntry> result;
  for (const Row& row : rows) {
    MatchEntry entry;
    entry.channel_ref = hashed(row.ref, seed);
    entry.match_key = hashed(row.key, seed);
    entry.order_key = hashed(row.order.empty() ? row.name : row.order, seed);
    entry.amount = *Decimal::parse(row.amount);
    entry.has_fee = !row.fee.empty();
    if (entry.has_fee) entry.fee = *Decimal::parse(row.fee);
    entry.carried = row.carried;
    entry.kind = row.kind;
    entry.currency = row.currency;
    entry.fee_currency = row.fee_currency;
    entry.occurred_at = row.at;
    entry.identity = hashed(row.name, 0);
    result.push_back(entry);
  }
  return result;
}

// Rows named "x" and "x#n" are versions of one source row.
inline std::vector<EntryVersion> versions(const std::vector<Row>& rows, std::uint64_t seed) {
  std::vector<EntryVersion> result;
  for (std::uint32_t i = 0; i < rows.size(); i++) {
    const std::string row = rows[i].name.substr(0, rows[i].name.find('#'));
    if (rows[i].carried || row != rows[i].name)
      result.push_back({hashed(row + "/" + rows[i].ref + "/" + rows[i].key + "/" + rows[i].order, seed), i});
  }
  return result;
}

inline std::vector<EntrySource> sources(const std::vector<Row>& rows) {
  std::vector<EntrySource> result;
  for (const Row& row : rows) result.push_back({1, row.name});
  return result;
}

}  // namespace day_entries

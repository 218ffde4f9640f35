// The passes of a run: which entries of two books are the same movement.
//
// Pure and deterministic: the result depends on the entries alone, not on their order in memory nor on the
// seed of their hashes. Keys are compared by 128-bit hashes under a seed drawn for the run, so that no input
// can be built to collide (DESIGN "Exactness").
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/proof.h"
#include "core/money/decimal.h"

namespace pg_reconcile::core {

// One effective entry. Hashes are 0 for NULL; codes stand for texts of one dictionary shared by both sides.
struct MatchEntry {
  uint128 channel_ref = 0;
  uint128 match_key = 0;
  uint128 order_key = 0;
  Decimal amount;
  Decimal fee;
  bool has_fee = false;
  bool carried = false;            // an open item of an earlier day
  std::uint16_t kind = 0;          // code
  std::uint16_t currency = 0;      // code
  std::uint16_t fee_currency = 0;  // code: the settlement currency, where one is stated
  std::int64_t occurred_at = 0;    // microseconds; earlier pairs first among equals
  uint128 identity = 0;            // hash of the source's identity, unseeded
};

// Who an entry is: tells equal entries apart.
struct EntrySource {
  std::int32_t source_id;
  std::string_view source_key;
};

// An entry among the stored versions of one source row: carried in, or the delta of a change that came after
// its day was signed off. Of one book, equal identities are the same row under the same names.
struct EntryVersion {
  uint128 identity;
  std::uint32_t index;
};

struct MatchBook {
  std::span<const MatchEntry> entries;
  std::span<const EntryVersion> versions;
  std::span<const EntrySource> sources;  // beside `entries`
};

enum class MatchRule : std::uint8_t {
  channel_ref,  // equal channel_ref, kind, amount, currency; an equal match_key is preferred
  match_key,    // equal match_key, kind, amount, currency
  carried,   // versions of one source row that add up to nothing; then the two above, against carried items
  net_order  // an order's unmatched entries add up to the same on both sides
};

// Fees are compared where both sides state one, in one currency.
constexpr bool fees_compare(const MatchEntry& left, const MatchEntry& right) {
  return left.has_fee && right.has_fee && left.fee_currency == right.fee_currency;
}

struct MatchPass {
  int pass;
  MatchRule rule;
};

struct MatchedPair {
  std::uint32_t left;
  std::uint32_t right;
  int pass;
  bool fee_differs;        // both sides state a fee in one currency, and they differ
  bool reference_differs;  // both sides state a channel_ref (or a match_key), and they differ
};

struct MatchedGroup {
  std::vector<std::uint32_t> left;
  std::vector<std::uint32_t> right;
  int pass;
};

// What the matches of one currency add up to; fees under their own currency.
struct MatchedFigures {
  CountAndAmount left;
  CountAndAmount right;
  Decimal residual;
  Decimal left_fee;  // of pairs that compare them
  Decimal right_fee;
  std::int64_t fees_not_compared = 0;  // both sides state one, in two currencies
};

struct DayMatch {
  std::vector<MatchedPair> pairs;
  std::vector<MatchedGroup> groups;
  std::vector<std::uint32_t> left_open;   // indexes into left, ascending
  std::vector<std::uint32_t> right_open;  // indexes into right, ascending
  std::vector<MatchedFigures> figures;    // by the currency's code; as long as the highest code needs
  // The identities of the entries of pairs, and a hash per group over those of its entries, added up: equal
  // data gives an equal digest, whatever the order of the entries and the seed of their hashes.
  uint128 digest = 0;
};

// Entries that are equal in all that a pass compares pair in the order of occurred_at, source_id and the
// bytes of source_key. `reversal_kind` is the code of kind "reversal": an order that one book alone has, and
// that a reversal brings back to zero, matches itself under net_order. `decided` come before all passes, in
// their order: those whose entries are all still free.
DayMatch match_day(const MatchBook& left, const MatchBook& right, std::span<const MatchPass> passes,
                   std::uint16_t reversal_kind, Interrupts& interrupts,
                   std::span<const MatchedGroup> decided = {});

// The hash of a match that the day's digest adds up: equal for equal entries, in every run.
uint128 digest_of(std::span<const MatchEntry> left, std::span<const MatchEntry> right,
                  const MatchedPair& pair);
uint128 digest_of(std::span<const MatchEntry> left, std::span<const MatchEntry> right,
                  const MatchedGroup& group);

// Adds a match to figures and digest, and to the pairs when it is one to one, else to the groups.
// `references`: whether a pair whose channel_ref or match_key differ is to say so. The open lists are the
// caller's.
void add_match(DayMatch& match, std::span<const MatchEntry> left, std::span<const MatchEntry> right,
               MatchedGroup group, bool references);

}  // namespace pg_reconcile::core

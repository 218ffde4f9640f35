// What a run takes from an entry: from a heap page, or from a query's row.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "core/digest/row_hash.h"
#include "core/mapping/entry.h"
#include "core/matching/day_match.h"
#include "extension/pg/guard.h"

namespace pg_reconcile {

// Of entries that state no time: they pair last among equals.
inline constexpr std::int64_t no_time = std::numeric_limits<std::int64_t>::max();

// The hash of a source's identity that is the same in every run (MatchEntry::identity).
core::uint128 identity_hash(std::int32_t source_id, std::string_view source_key);

struct EntryFields {
  std::string_view kind;
  std::string_view order_key;
  std::optional<std::string_view> match_key;
  std::optional<std::string_view> channel_ref;
  core::Decimal amount;
  std::optional<core::Decimal> fee;
  std::string_view currency;
  std::string_view fee_currency;
  std::int64_t occurred_at;
  std::int32_t source_id;
  std::string_view source_key;
  bool prior_period = false;  // of an earlier business date

  // The refunds of its order may now be more than was paid: a refund, money that went back in another way, or
  // what came late.
  [[nodiscard]] bool touches_refunds() const {
    return kind == "refund" || (amount.is_negative() && (kind == "payment" || kind == "reversal")) ||
           prior_period;
  }
  [[nodiscard]] core::uint128 identity() const { return identity_hash(source_id, source_key); }
};

// An amount or a sum of amounts. Throws 22003 when the text is out of Decimal's range.
core::Decimal exact_decimal(std::string_view text);

// ---- heap pages -----------------------------------------------------------------------------------------

enum HeapColumn : std::uint8_t {
  heap_effective,
  heap_business_date,
  heap_recon_date,
  heap_channel,
  heap_account,
  heap_kind,
  heap_order_key,
  heap_match_key,
  heap_channel_ref,
  heap_amount,
  heap_fee,
  heap_currency,
  heap_settlement_currency,
  heap_occurred_at,
  heap_source_id,
  heap_source_key
};
// In the order of HeapColumn.
inline constexpr std::array<const char*, 16> heap_columns = {
    "effective",           "business_date", "recon_date",  "channel",   "account", "kind",
    "order_key",           "match_key",     "channel_ref", "amount",    "fee",     "currency",
    "settlement_currency", "occurred_at",   "source_id",   "source_key"};

// Views into the page: valid as long as `values`.
EntryFields fields_of(const Datum* values, const bool* nulls);

// The published row hash that entry_total.digest adds up, straight from the page.
core::uint128 row_hash_of(const EntryFields& fields, const Datum* values, const bool* nulls,
                          core::RowHasher& hasher);

}  // namespace pg_reconcile

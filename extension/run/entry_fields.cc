#include "extension/run/entry_fields.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "extension/pg/numeric_view.h"
#include "extension/values/payload.h"
#include "extension/values/published_value.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/numeric.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile {
namespace {

std::optional<std::string_view> text_of(const Datum* values, const bool* nulls, HeapColumn column) {
  if (nulls[column]) return std::nullopt;
  return pg::payload_of(values[column]);
}

// A numeric's digits as a Decimal; through its text where they don't fit, which says what is wrong.
core::Decimal decimal_of(Datum value) {
  const pg::NumericView numeric(pg::payload_of(value));
  constexpr int fraction_groups = core::Decimal::scale_digits / 4;
  constexpr int digits_max = 8;  // 10^32: fits 128 bits
  const auto digits = static_cast<int>(numeric.digit_count());
  const int shift = numeric.weight - (digits - 1) + fraction_groups;  // of the last digit, in groups of four
  if (numeric.special == 0 && shift >= 0 && digits + shift <= digits_max) {
    core::int128 units = 0;
    for (int i = 0; i < digits; i++) units = units * 10000 + numeric.digit(static_cast<std::size_t>(i));
    for (int i = 0; i < shift; i++) units *= 10000;
    return core::Decimal::from_units(numeric.negative ? -units : units);
  }
  if (digits == 0 && numeric.special == 0) return {};
  return exact_decimal(pg::guarded([=] { return DatumGetCString(DirectFunctionCall1(numeric_out, value)); }));
}

}  // namespace

core::uint128 identity_hash(std::int32_t source_id, std::string_view source_key) {
  const XXH128_hash_t hash =
      XXH3_128bits_withSeed(source_key.data(), source_key.size(), static_cast<std::uint64_t>(source_id));
  return (static_cast<core::uint128>(hash.high64) << 64) | hash.low64;
}

core::Decimal exact_decimal(std::string_view text) {
  const std::optional<core::Decimal> value = core::Decimal::parse_sum(text);
  if (!value) {
    throw core::Error(core::sqlstate::numeric_value_out_of_range,
                      "amount " + std::string(text) + " is out of range",
                      "Sums of amounts have at most 26 integer and 12 fraction digits.",
                      "Look for amounts that cannot be, and correct them at their source.");
  }
  return *value;
}

EntryFields fields_of(const Datum* values, const bool* nulls) {
  EntryFields fields{};
  fields.kind = pg::payload_of(values[heap_kind]);
  fields.order_key = pg::payload_of(values[heap_order_key]);
  fields.match_key = text_of(values, nulls, heap_match_key);
  fields.channel_ref = text_of(values, nulls, heap_channel_ref);
  fields.amount = decimal_of(values[heap_amount]);
  if (!nulls[heap_fee]) fields.fee = decimal_of(values[heap_fee]);
  fields.currency = pg::payload_of(values[heap_currency]);
  fields.fee_currency = text_of(values, nulls, heap_settlement_currency).value_or(fields.currency);
  fields.occurred_at = nulls[heap_occurred_at] ? no_time : DatumGetTimestampTz(values[heap_occurred_at]);
  fields.source_id = DatumGetInt32(values[heap_source_id]);
  fields.source_key = pg::payload_of(values[heap_source_key]);
  return fields;
}

core::uint128 row_hash_of(const EntryFields& fields, const Datum* values, const bool* nulls,
                          core::RowHasher& hasher) {
  hasher.add(fields.order_key);
  hasher.add(fields.match_key);
  hasher.add(fields.channel_ref);
  hasher.add(fields.kind);
  pg::PublishedValue::add_numeric(values[heap_amount], hasher);
  hasher.add(fields.currency);
  if (nulls[heap_fee]) {
    hasher.add_null();
  } else {
    pg::PublishedValue::add_numeric(values[heap_fee], hasher);
  }
  return hasher.finish();
}

}  // namespace pg_reconcile

#include "extension/run/day_reader.h"

#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/digest/row_hash.h"
#include "core/error.h"
#include "core/money/currency.h"
#include "extension/pg/progress.h"

extern "C" {
#include <storage/itemptr.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile {
namespace {

using core::uint128;

enum Column {
  table_column,
  tuple_column,
  kind_column,
  order_key_column,
  match_key_column,
  channel_ref_column,
  amount_column,
  currency_column,
  fee_column,
  fee_currency_column,
  occurred_at_column,
  source_id_column,
  source_key_column
};

// `settlement_currency`: where it is found.
std::string entry_columns(const char* settlement_currency) {
  return std::string(
             "e.kind, e.order_key, e.match_key, e.channel_ref, trim_scale(e.amount)::text, e.currency, "
             "trim_scale(e.fee)::text, coalesce(") +
         settlement_currency + ", e.currency), e.occurred_at, e.source_id, e.source_key";
}

uint128 keyed_hash(std::string_view text, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), seed);
  const uint128 value = (static_cast<uint128>(hash.high64) << 64) | hash.low64;
  return value == 0 ? 1 : value;
}

uint128 keyed_hash(std::optional<std::string_view> text, std::uint64_t seed) {
  return text ? keyed_hash(*text, seed) : 0;
}

class BookReader {
 public:
  BookReader(BookDay& day, std::uint64_t seed, Dictionary& kinds, Dictionary& currencies)
      : day_(day), seed_(seed), kinds_(kinds), currencies_(currencies) {}

  void read(pg::Cursor& cursor, bool carried) {
    while (cursor.next_batch()) {
      for (std::uint64_t row = 0; row < cursor.rows(); row++) take(cursor, row, carried);
      pg::Progress::rows_done(day_.entries.size());
    }
  }

 private:
  void take(const pg::Cursor& cursor, std::uint64_t row, bool carried) {
    const auto kind = cursor.text(row, kind_column);
    const auto order_key = cursor.text(row, order_key_column);
    const auto match_key = cursor.text(row, match_key_column);
    const auto channel_ref = cursor.text(row, channel_ref_column);
    const auto amount = cursor.text(row, amount_column);
    const auto currency = cursor.text(row, currency_column);
    const auto fee = cursor.text(row, fee_column);
    const auto source_key = cursor.text(row, source_key_column);
    bool null = false;

    core::MatchEntry entry;
    entry.kind = kinds_.code(*kind);
    entry.currency = currencies_.code(*currency);
    entry.order_key = keyed_hash(order_key, seed_);
    entry.match_key = keyed_hash(match_key, seed_);
    entry.channel_ref = keyed_hash(channel_ref, seed_);
    entry.amount = exact_decimal(*amount);
    entry.has_fee = fee.has_value();
    if (fee) entry.fee = exact_decimal(*fee);
    entry.fee_currency = currencies_.code(*cursor.text(row, fee_currency_column));
    entry.carried = carried;
    entry.occurred_at = DatumGetTimestampTz(cursor.datum(row, occurred_at_column, null));
    if (null) entry.occurred_at = std::numeric_limits<std::int64_t>::max();
    const auto source_id = DatumGetInt32(cursor.datum(row, source_id_column, null));
    entry.tie =
        XXH3_64bits_withSeed(source_key->data(), source_key->size(), static_cast<std::uint64_t>(source_id));

    EntryLocation location;
    auto& totals = (carried ? day_.opening : day_.in)[std::string(*currency)];
    totals.add(entry.amount);
    if (carried) {
      location.tuple = day_.carried.size();
      day_.carried.push_back({source_id, std::string(*source_key)});
    } else {
      location.table = DatumGetObjectId(cursor.datum(row, table_column, null));
      const auto* tuple =
          reinterpret_cast<ItemPointer>(DatumGetPointer(cursor.datum(row, tuple_column, null)));
      location.tuple = (static_cast<std::uint64_t>(ItemPointerGetBlockNumberNoCheck(tuple)) << 16) |
                       ItemPointerGetOffsetNumberNoCheck(tuple);
      for (const auto& field : {order_key, match_key, channel_ref, kind, amount, currency, fee})
        hasher_.add(field);
      day_.digest[std::string(*currency)] += hasher_.finish();
    }
    // "key#n" is the n-th delta of "key"; sources escape "#" in keys of their own.
    const std::size_t delta = source_key->find('#');
    if (carried || delta != std::string_view::npos) {
      day_.versions.push_back({version_identity(entry, source_id, source_key->substr(0, delta)),
                               static_cast<std::uint32_t>(day_.entries.size())});
    }
    day_.entries.push_back(entry);
    day_.locations.push_back(location);
  }

  // A delta is entered per source row, order, keys, kind and currency (reconcile.enter_delta).
  [[nodiscard]] uint128 version_identity(const core::MatchEntry& entry, std::int32_t source_id,
                                         std::string_view row_key) const {
    struct {
      uint128 row_key;
      uint128 order_key;
      uint128 match_key;
      uint128 channel_ref;
      std::uint64_t source_id;
      std::uint64_t codes;
    } fields{keyed_hash(row_key, seed_),
             entry.order_key,
             entry.match_key,
             entry.channel_ref,
             static_cast<std::uint64_t>(source_id),
             (static_cast<std::uint64_t>(entry.kind) << 16) | entry.currency};
    return keyed_hash(std::string_view(reinterpret_cast<const char*>(&fields), sizeof(fields)), seed_);
  }

  BookDay& day_;
  std::uint64_t seed_;
  Dictionary& kinds_;
  Dictionary& currencies_;
  core::RowHasher hasher_;
};

}  // namespace

std::uint16_t Dictionary::code(std::string_view text) {
  for (std::size_t i = 0; i < texts_.size(); i++) {
    if (texts_[i] == text) return static_cast<std::uint16_t>(i);
  }
  if (texts_.size() > std::numeric_limits<std::uint16_t>::max()) {
    throw core::Error(core::sqlstate::program_limit_exceeded,
                      "a day holds more than 65,536 kinds or currencies");
  }
  texts_.emplace_back(text);
  return static_cast<std::uint16_t>(texts_.size() - 1);
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

std::optional<std::string> money_text(const std::optional<std::string>& amount,
                                      const std::optional<std::string>& currency) {
  if (!amount) return std::nullopt;
  return core::amount_text(exact_decimal(*amount), currency.value_or(""));
}

BookDay read_book_day(const pg::HeldSnapshot& snapshot, const LegConfig& leg, const std::string& book,
                      core::Date day, std::uint64_t seed, Dictionary& kinds, Dictionary& currencies) {
  using pg::Argument;
  BookDay result;
  BookReader reader(result, seed, kinds, currencies);
  {
    // Entries of the day lie in the day's partition; prior-period items are found by their own small index.
    const std::string scope =
        "e.channel = $1 AND e.account = $2 AND e.book = $3 AND e.recon_date = $4 AND e.kind = ANY ($5) AND "
        "e.effective";
    const std::string columns = entry_columns("e.settlement_currency");
    pg::Cursor cursor(snapshot,
                      "SELECT e.tableoid, e.ctid, " + columns + " FROM reconcile.entry e WHERE " + scope +
                          " AND e.business_date = $4 UNION ALL SELECT e.tableoid, e.ctid, " + columns +
                          " FROM reconcile.entry e WHERE " + scope + " AND e.recon_date <> e.business_date",
                      {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(book),
                       Argument::date(day), Argument::text_array(leg.kinds)});
    reader.read(cursor, false);
  }
  {
    pg::Cursor cursor(
        snapshot,
        "SELECT NULL::oid, NULL::tid, " + entry_columns("e.entry ->> 'settlement_currency'") +
            " FROM reconcile.open_item e WHERE e.channel = $1 AND e.account = $2 AND e.leg = $3 "
            "AND e.book = $4 AND e.opened_on < $5 AND (e.closed_on IS NULL OR e.closed_on >= $5)",
        {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(leg.leg),
         Argument::text(book), Argument::date(day)});
    reader.read(cursor, true);
  }
  return result;
}

}  // namespace pg_reconcile

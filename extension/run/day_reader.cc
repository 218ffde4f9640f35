#include "extension/run/day_reader.h"

#include <algorithm>
#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/digest/row_hash.h"
#include "core/error.h"
#include "core/money/currency.h"
#include "extension/pg/block_ranges.h"
#include "extension/pg/heap_scan.h"
#include "extension/pg/numeric_view.h"
#include "extension/pg/progress.h"
#include "extension/pg/settings.h"
#include "extension/values/payload.h"

extern "C" {
#include <catalog/namespace.h>
#include <storage/itemptr.h>
#include <storage/lmgr.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/lsyscache.h>
#include <utils/numeric.h>
#include <utils/snapmgr.h>
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
  source_key_column,
  prior_period_column
};

// `settlement_currency`, `prior_period`: where they are found.
std::string entry_columns(const char* settlement_currency, const char* prior_period) {
  return std::string(
             "e.kind, e.order_key, e.match_key, e.channel_ref, trim_scale(e.amount)::text, e.currency, "
             "trim_scale(e.fee)::text, coalesce(") +
         settlement_currency + ", e.currency), e.occurred_at, e.source_id, e.source_key, " + prior_period;
}

// What a run takes from an entry, whoever reads it.
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
};

class BookReader {
 public:
  BookReader(BookDay& day, std::uint64_t seed, Dictionary& kinds, Dictionary& currencies)
      : day_(day), seed_(seed), kinds_(kinds), currencies_(currencies) {}

  void read(pg::Cursor& cursor, bool carried) {
    while (cursor.next_batch()) {
      for (std::uint64_t row = 0; row < cursor.rows(); row++) take_row(cursor, row, carried);
      pg::Progress::rows_done(day_.entries.size());
    }
  }

  void take(const EntryFields& fields, const EntryLocation& location, bool carried) {
    core::MatchEntry entry;
    entry.kind = kinds_.code(fields.kind);
    entry.currency = currencies_.code(fields.currency);
    entry.order_key = keyed_hash(fields.order_key, seed_);
    entry.match_key = keyed_hash(fields.match_key, seed_);
    entry.channel_ref = keyed_hash(fields.channel_ref, seed_);
    entry.amount = fields.amount;
    entry.has_fee = fields.fee.has_value();
    if (fields.fee) entry.fee = *fields.fee;
    entry.fee_currency = currencies_.code(fields.fee_currency);
    entry.carried = carried;
    entry.occurred_at = fields.occurred_at;
    const std::string_view source_key = fields.source_key;
    entry.tie = identity_hash(fields.source_id, source_key);

    sums(carried ? opening_ : in_, entry.currency).add(entry.amount);
    if (!carried) {
      if (fields.kind == "refund" ||
          (fields.amount.is_negative() && (fields.kind == "payment" || fields.kind == "reversal")) ||
          fields.prior_period) {
        day_.refunded_orders.emplace_back(fields.order_key);
      }
      const std::string amount = fields.amount.to_string();
      const std::string fee = fields.fee ? fields.fee->to_string() : std::string();
      hasher_.add(fields.order_key);
      hasher_.add(fields.match_key);
      hasher_.add(fields.channel_ref);
      hasher_.add(fields.kind);
      hasher_.add(amount);
      hasher_.add(fields.currency);
      hasher_.add(fields.fee ? std::optional<std::string_view>(fee) : std::nullopt);
      sums(digest_, entry.currency) += hasher_.finish();
    }
    // "key#n" is the n-th delta of "key"; sources escape "#" in keys of their own.
    const std::size_t delta = source_key.find('#');
    if (carried || delta != std::string_view::npos) {
      day_.versions.push_back({version_identity(entry, fields.source_id, source_key.substr(0, delta)),
                               static_cast<std::uint32_t>(day_.entries.size())});
    }
    day_.entries.push_back(entry);
    day_.locations.push_back(location);
  }

  void finish() {
    const auto name = [this](std::size_t code) { return currencies_.text(static_cast<std::uint16_t>(code)); };
    for (std::size_t code = 0; code < in_.size(); code++) {
      if (in_[code].count == 0) continue;
      day_.in[name(code)] = in_[code];
      day_.digest[name(code)] = digest_[code];
    }
    for (std::size_t code = 0; code < opening_.size(); code++) {
      if (opening_[code].count != 0) day_.opening[name(code)] = opening_[code];
    }
  }

 private:
  void take_row(const pg::Cursor& cursor, std::uint64_t row, bool carried) {
    bool null = false;
    EntryFields fields{};
    fields.kind = *cursor.text(row, kind_column);
    fields.order_key = *cursor.text(row, order_key_column);
    fields.match_key = cursor.text(row, match_key_column);
    fields.channel_ref = cursor.text(row, channel_ref_column);
    fields.amount = exact_decimal(*cursor.text(row, amount_column));
    if (const auto fee = cursor.text(row, fee_column)) fields.fee = exact_decimal(*fee);
    fields.currency = *cursor.text(row, currency_column);
    fields.fee_currency = *cursor.text(row, fee_currency_column);
    fields.occurred_at = DatumGetTimestampTz(cursor.datum(row, occurred_at_column, null));
    if (null) fields.occurred_at = no_time;
    fields.source_id = DatumGetInt32(cursor.datum(row, source_id_column, null));
    fields.source_key = *cursor.text(row, source_key_column);
    fields.prior_period = DatumGetBool(cursor.datum(row, prior_period_column, null));

    EntryLocation location;
    if (carried) {
      location.tuple = day_.carried.size();
      day_.carried.push_back({fields.source_id, std::string(fields.source_key)});
    } else {
      location.table = DatumGetObjectId(cursor.datum(row, table_column, null));
      const auto* tuple =
          reinterpret_cast<ItemPointer>(DatumGetPointer(cursor.datum(row, tuple_column, null)));
      location.tuple = (static_cast<std::uint64_t>(ItemPointerGetBlockNumberNoCheck(tuple)) << 16) |
                       ItemPointerGetOffsetNumberNoCheck(tuple);
    }
    take(fields, location, carried);
  }

  template <class Value>
  static Value& sums(std::vector<Value>& of_currencies, std::uint16_t code) {
    if (of_currencies.size() <= code) of_currencies.resize(code + std::size_t{1});
    return of_currencies[code];
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
  // By the currency's code.
  std::vector<core::CountAndAmount> in_;
  std::vector<core::CountAndAmount> opening_;
  std::vector<uint128> digest_;
};

// ---- the day's partition, read page by page ------------------------------------------------------------

constexpr const char* heap_columns[] = {
    "effective",           "business_date", "recon_date",  "channel",   "account", "kind",
    "order_key",           "match_key",     "channel_ref", "amount",    "fee",     "currency",
    "settlement_currency", "occurred_at",   "source_id",   "source_key"};
enum HeapColumn {
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

Oid raw_entry_table() {
  return get_relname_relid("entry", get_namespace_oid("reconcile", false));
}

// The heap table that holds a book's entries of a day, where it is one.
Oid heap_partition(const std::string& book, core::Date day) {
  const char* text = book.c_str();
  const Oid entry = pg::guarded([] { return raw_entry_table(); });
  if (!OidIsValid(entry)) return InvalidOid;
  const Datum values[] = {pg::guarded([=] { return CStringGetTextDatum(text); }), DateADTGetDatum(day)};
  const Oid leaf = pg::partition_for(entry, values);
  if (!OidIsValid(leaf)) return InvalidOid;
  pg::guarded([=] { LockRelationOid(leaf, AccessShareLock); });
  return pg::reason_against_heap_scan(leaf, true).empty() ? leaf : InvalidOid;
}

class ActiveSnapshot {
 public:
  explicit ActiveSnapshot(const pg::HeldSnapshot& snapshot) {
    const Snapshot held = snapshot.get();
    pg::guarded([=] { PushActiveSnapshot(held); });
  }
  ~ActiveSnapshot() {
    if (!pg::detail::abort_is_due()) PopActiveSnapshot();
  }
  ActiveSnapshot(const ActiveSnapshot&) = delete;
  ActiveSnapshot& operator=(const ActiveSnapshot&) = delete;
};

void read_heap_day(const pg::HeldSnapshot& snapshot, const LegConfig& leg, core::Date day, Oid table,
                   BookReader& reader, std::size_t& rows) {
  const ActiveSnapshot active(snapshot);
  std::vector<AttrNumber> attributes;
  for (const char* column : heap_columns) {
    attributes.push_back(pg::guarded([=] { return get_attnum(table, column); }));
  }
  const std::vector<BlockNumber> blocks = pg::blocks_of_day(table, "business_date", day);
  if (blocks.empty()) return;
  pg::HeapScan scan(table, blocks.back() + 1, attributes);
  std::uint64_t visited = 0;
  for (const BlockNumber block : blocks) {
    scan.read_block(block, [&](const Datum* values, const bool* nulls, OffsetNumber offset) {
      if (!DatumGetBool(values[heap_effective]) || DatumGetDateADT(values[heap_business_date]) != day ||
          DatumGetDateADT(values[heap_recon_date]) != day ||
          pg::payload_of(values[heap_channel]) != leg.channel ||
          pg::payload_of(values[heap_account]) != leg.account) {
        return;
      }
      EntryFields fields{};
      fields.kind = pg::payload_of(values[heap_kind]);
      if (std::find(leg.kinds.begin(), leg.kinds.end(), fields.kind) == leg.kinds.end()) return;
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
      reader.take(fields, {table, (static_cast<std::uint64_t>(block) << 16) | offset}, false);
      rows++;
    });
    if (++visited % 64 == 0) pg::Progress::rows_done(rows);
  }
}

}  // namespace

uint128 keyed_hash(std::optional<std::string_view> text, std::uint64_t seed) {
  if (!text) return 0;
  const XXH128_hash_t hash = XXH3_128bits_withSeed(text->data(), text->size(), seed);
  const uint128 value = (static_cast<uint128>(hash.high64) << 64) | hash.low64;
  return value == 0 ? 1 : value;
}

std::uint64_t identity_hash(std::int32_t source_id, std::string_view source_key) {
  return XXH3_64bits_withSeed(source_key.data(), source_key.size(), static_cast<std::uint64_t>(source_id));
}

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
    const Oid table = heap_partition(book, day);
    std::size_t rows = 0;
    if (OidIsValid(table)) read_heap_day(snapshot, leg, day, table, reader, rows);
    const std::string scope =
        "e.channel = $1 AND e.account = $2 AND e.book = $3 AND e.recon_date = $4 AND e.kind = ANY ($5) AND "
        "e.effective";
    const std::string columns = entry_columns("e.settlement_currency", "e.recon_date <> e.business_date");
    const std::string of_the_day = "SELECT e.tableoid, e.ctid, " + columns +
                                   " FROM reconcile.entry e WHERE " + scope + " AND e.business_date = $4";
    const std::string of_prior_days = "SELECT e.tableoid, e.ctid, " + columns +
                                      " FROM reconcile.entry e WHERE " + scope +
                                      " AND e.recon_date <> e.business_date";
    // There are few prior-period items, and the planner, who knows no correlation of the two dates, expects
    // nearly all rows to be some.
    const pg::LocalSetting by_index("enable_seqscan", OidIsValid(table) ? "off" : "on");
    pg::Cursor cursor(snapshot,
                      OidIsValid(table) ? of_prior_days : of_the_day + " UNION ALL " + of_prior_days,
                      {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(book),
                       Argument::date(day), Argument::text_array(leg.kinds)});
    reader.read(cursor, false);
  }
  {
    pg::Cursor cursor(
        snapshot,
        "SELECT NULL::oid, NULL::tid, " + entry_columns("e.entry ->> 'settlement_currency'", "false") +
            " FROM reconcile.open_item e WHERE e.channel = $1 AND e.account = $2 AND e.leg = $3 "
            "AND e.book = $4 AND e.opened_on < $5 AND (e.closed_on IS NULL OR e.closed_on >= $5)",
        {Argument::text(leg.channel), Argument::text(leg.account), Argument::text(leg.leg),
         Argument::text(book), Argument::date(day)});
    reader.read(cursor, true);
  }
  reader.finish();
  return result;
}

}  // namespace pg_reconcile

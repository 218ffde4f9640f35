// Core headers first: they refuse to come after PostgreSQL's.
#include "core/matching/day_log.h"

#include "extension/run/day_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/digest/row_hash.h"
#include "core/error.h"
#include "core/money/currency.h"
#include "extension/pg/settings.h"
#include "extension/run/day_scan.h"

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

// What is known of a book's day so far.
class BookReader {
 public:
  BookReader(BookDay& day, std::uint64_t seed, Dictionary& kinds, Dictionary& currencies)
      : day_(day), seed_(seed), kinds_(kinds), currencies_(currencies) {}

  // Rows of a query: counted, and kept. Calls `visit(fields)` for each.
  template <class Visit>
  void read(pg::Cursor& cursor, bool carried, Visit visit) {
    while (cursor.next_batch()) {
      for (std::uint64_t row = 0; row < cursor.rows(); row++) {
        const EntryFields fields = fields_of_row(cursor, row);
        visit(fields);
        take(fields, carried ? EntryLocation{} : location_of(cursor, row), carried);
      }
    }
  }

  void take(const EntryFields& fields, const EntryLocation& location, bool carried) {
    if (carried) {
      keep(fields, {0, day_.carried.size()}, true);
      day_.carried.push_back({fields.source_id, std::string(fields.source_key)});
      day_.opening[std::string(fields.currency)].add(fields.amount);
    } else {
      keep(fields, location, false);
      count(fields);
    }
  }

  // An entry that has been counted already, and whose pair is not settled.
  void rest(const EntryFields& fields, Oid table, const core::DayPlace& place) {
    keep(fields, {table, (std::uint64_t{place.block} << 16) | place.offset}, false);
    core::CountAndAmount& settled = day_.settled[std::string(fields.currency)];
    settled.count--;
    settled.amount -= fields.amount;
    rest_identities += fields.identity();
  }

  uint128 rest_identities = 0;

 private:
  void keep(const EntryFields& fields, const EntryLocation& location, bool carried) {
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
    entry.identity = fields.identity();
    // "key#n" is the n-th delta of "key"; sources escape "#" in keys of their own.
    const std::string_view source_key = fields.source_key;
    const std::size_t delta = source_key.find('#');
    if (carried || delta != std::string_view::npos) {
      day_.versions.push_back({version_identity(entry, fields.source_id, source_key.substr(0, delta)),
                               static_cast<std::uint32_t>(day_.entries.size())});
    }
    day_.entries.push_back(entry);
    day_.locations.push_back(location);
    day_.sources.push_back({fields.source_id, day_.source_keys.keep(source_key)});
  }

  void count(const EntryFields& fields) {
    const std::string currency(fields.currency);
    day_.in[currency].add(fields.amount);
    if (fields.touches_refunds()) day_.refunded_orders.emplace_back(fields.order_key);
    const std::string amount = fields.amount.to_string();
    const std::string fee = fields.fee ? fields.fee->to_string() : std::string();
    hasher_.add(fields.order_key);
    hasher_.add(fields.match_key);
    hasher_.add(fields.channel_ref);
    hasher_.add(fields.kind);
    hasher_.add(amount);
    hasher_.add(fields.currency);
    hasher_.add(fields.fee ? std::optional<std::string_view>(fee) : std::nullopt);
    day_.digest[currency] += hasher_.finish();
  }

  static EntryFields fields_of_row(const pg::Cursor& cursor, std::uint64_t row) {
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
    return fields;
  }

  static EntryLocation location_of(const pg::Cursor& cursor, std::uint64_t row) {
    bool null = false;
    const auto* tuple = reinterpret_cast<ItemPointer>(DatumGetPointer(cursor.datum(row, tuple_column, null)));
    return {DatumGetObjectId(cursor.datum(row, table_column, null)),
            (static_cast<std::uint64_t>(ItemPointerGetBlockNumberNoCheck(tuple)) << 16) |
                ItemPointerGetOffsetNumberNoCheck(tuple)};
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

// What the processes that read the day have found, added up.
class Findings final : public core::DayLogReader {
 public:
  Findings(SettledPairs& settled, BookDay& left, BookDay& right) : settled_(settled), days_{&left, &right} {}

  void rest(core::Side side, const core::DayPlace& place) override {
    if (place.offset != 0) places_[index(side)].push_back(place);
  }
  void refunded_order(core::Side side, std::string order_key) override {
    days_[index(side)]->refunded_orders.push_back(std::move(order_key));
  }
  void sums(core::Side side, const core::DaySums& sums) override {
    BookDay& day = *days_[index(side)];
    const std::string currency = core::currency_text(sums.currency);
    day.digest[currency] += sums.digest;
    for (core::CountAndAmount* figure : {&day.in[currency], &day.settled[currency]}) {
      figure->add(sums.in.amount, sums.in.count);
    }
  }
  void identities(core::Side, uint128 sum) override { settled_.digest += sum; }
  void fees(std::uint64_t currency, core::Decimal sum) override {
    settled_.fees[core::currency_text(currency)] += sum;
  }

  // In the order in which they are stored.
  std::vector<core::DayPlace>& places(std::size_t side) {
    std::sort(places_[side].begin(), places_[side].end(),
              [](const core::DayPlace& a, const core::DayPlace& b) { return a.tuple() < b.tuple(); });
    return places_[side];
  }

 private:
  static std::size_t index(core::Side side) { return static_cast<std::size_t>(side); }

  SettledPairs& settled_;
  std::array<BookDay*, 2> days_;
  std::array<std::vector<core::DayPlace>, 2> places_;
};

core::KeyedHash::Secret random_secret() {
  core::KeyedHash::Secret secret;
  if (!pg_strong_random(secret.data(), secret.size())) {
    throw core::Error(core::sqlstate::internal_error, "could not draw random values",
                      "The system's source of strong random numbers failed.",
                      "Check that the server process can read /dev/urandom.");
  }
  return secret;
}

// Both books of a day while they are read.
class DayReader {
 public:
  DayReader(const DayRequest& request, Dictionary& kinds, Dictionary& currencies, BookDay& left,
            BookDay& right)
      : request_(request),
        scope_{request.day, request.leg.channel, request.leg.account, request.leg.kinds},
        readers_{BookReader(left, request.seed, kinds, currencies),
                 BookReader(right, request.seed, kinds, currencies)},
        findings_(settled_, left, right),
        secret_(random_secret()) {}

  SettledPairs read() {
    tables_[0] = table_of(request_.leg.left_book, request_.left_expected);
    tables_[1] = table_of(request_.leg.right_book, request_.right_expected);
    const core::DayPairing pairing = choose_pairing();
    for (std::size_t side = 0; side < 2; side++) read_known(side, pairing.key);
    const DayMatchRequest match{
        &request_.snapshot,       scope_,          pairing, &secret_, {&tables_[0], &tables_[1]},
        {&known_[0], &known_[1]}, request_.decided};
    settled_.pairs = static_cast<std::int64_t>(match_day_tables(match, findings_));
    for (std::size_t side = 0; side < 2; side++) {
      fetch_rest(side);
      read_carried(side);
      settled_.digest -= readers_[side].rest_identities;
    }
    return std::move(settled_);
  }

 private:
  [[nodiscard]] const std::string& book(std::size_t side) const {
    return side == 0 ? request_.leg.left_book : request_.leg.right_book;
  }

  DayTable table_of(const std::string& book, std::int64_t expected_rows) {
    DayTable table = day_table(request_.snapshot, book, request_.day);
    table.expected_rows = expected_rows;
    return table;
  }

  core::DayPairing choose_pairing() {
    // Rows that come by queries are all kept: with such a book nothing is gained.
    if (!request_.settles || !OidIsValid(tables_[0].table) || !OidIsValid(tables_[1].table)) return {};
    const std::vector<core::MatchPass> passes = request_.leg.exact_passes();
    const bool has_choice = !passes.empty() && passes[0].rule == core::MatchRule::channel_ref;
    return core::DayPairing::of(
        passes, has_choice && prefers_match_key(request_.snapshot, scope_, {&tables_[0], &tables_[1]}));
  }

  // Entries that no scan of the day's partition finds: prior-period items by their own small index, or all.
  void read_known(std::size_t side, core::DayKey key) {
    using pg::Argument;
    const bool is_scanned = OidIsValid(tables_[side].table);
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
    const pg::LocalSetting by_index("enable_seqscan", is_scanned ? "off" : "on");
    pg::Cursor cursor(
        request_.snapshot, is_scanned ? of_prior_days : of_the_day + " UNION ALL " + of_prior_days,
        {Argument::text(scope_.channel), Argument::text(scope_.account), Argument::text(book(side)),
         Argument::date(scope_.day), Argument::text_array(scope_.kinds)});
    const core::KeyedHash hash(secret_);
    const DayRowMaker maker(key, hash);
    KnownRows& known = known_[side];
    readers_[side].read(cursor, false, [&](const EntryFields& fields) {
      const std::optional<std::size_t> kind = scope_.kind(fields.kind);
      const std::optional<std::uint64_t> currency = core::currency_word(fields.currency);
      if (!kind || !currency) return;
      known.states_reference = known.states_reference || fields.channel_ref.has_value();
      if (const auto row = maker.row(fields, *kind, *currency, {})) known.rows.push_back(*row);
    });
  }

  void fetch_rest(std::size_t side) {
    const Oid table = tables_[side].table;
    fetch_places(request_.snapshot, tables_[side], findings_.places(side),
                 [&](const core::DayPlace& place, const Datum* values, const bool* nulls) {
                   readers_[side].rest(fields_of(values, nulls), table, place);
                 });
  }

  void read_carried(std::size_t side) {
    using pg::Argument;
    pg::Cursor cursor(
        request_.snapshot,
        "SELECT NULL::oid, NULL::tid, " + entry_columns("e.entry ->> 'settlement_currency'", "false") +
            " FROM reconcile.open_item e WHERE e.channel = $1 AND e.account = $2 AND e.leg = $3 "
            "AND e.book = $4 AND e.opened_on < $5 AND (e.closed_on IS NULL OR e.closed_on >= $5)",
        {Argument::text(scope_.channel), Argument::text(scope_.account), Argument::text(request_.leg.leg),
         Argument::text(book(side)), Argument::date(scope_.day)});
    readers_[side].read(cursor, true, [](const EntryFields&) {});
  }

  const DayRequest& request_;
  DayScope scope_;
  SettledPairs settled_;
  std::array<BookReader, 2> readers_;
  Findings findings_;
  core::KeyedHash::Secret secret_;
  std::array<DayTable, 2> tables_;
  std::array<KnownRows, 2> known_;
};

}  // namespace

uint128 keyed_hash(std::optional<std::string_view> text, std::uint64_t seed) {
  if (!text) return 0;
  const XXH128_hash_t hash = XXH3_128bits_withSeed(text->data(), text->size(), seed);
  const uint128 value = (static_cast<uint128>(hash.high64) << 64) | hash.low64;
  return value == 0 ? 1 : value;
}

std::string_view TextArena::keep(std::string_view text) {
  if (text.empty()) return {};
  if (left_ < text.size()) {
    left_ = std::max(block_bytes, text.size());
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    next_ = blocks_.back().get();
  }
  char* to = next_;
  std::memcpy(to, text.data(), text.size());
  next_ += text.size();
  left_ -= text.size();
  return {to, text.size()};
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

std::optional<std::string> money_text(const std::optional<std::string>& amount,
                                      const std::optional<std::string>& currency) {
  if (!amount) return std::nullopt;
  return core::amount_text(exact_decimal(*amount), currency.value_or(""));
}

core::MatchBook BookDay::match_book(std::size_t count) const {
  const auto beyond =
      std::partition_point(versions.begin(), versions.end(),
                           [count](const core::EntryVersion& version) { return version.index < count; });
  return {std::span(entries).first(count),
          std::span(versions).first(static_cast<std::size_t>(beyond - versions.begin())),
          std::span(sources).first(count)};
}

BookDay collect_book_day(const std::vector<const StoredEntry*>& entries, std::uint64_t seed,
                         Dictionary& kinds, Dictionary& currencies) {
  BookDay result;
  BookReader reader(result, seed, kinds, currencies);
  for (const StoredEntry* entry : entries) {
    reader.take({entry->kind, entry->order_key, entry->match_key, entry->channel_ref, entry->amount,
                 entry->fee, entry->currency, entry->fee_currency, entry->occurred_at.value_or(no_time),
                 entry->source_id, entry->source_key, entry->prior_period},
                entry->location, entry->carried);
  }
  return result;
}

SettledPairs read_day(const DayRequest& request, Dictionary& kinds, Dictionary& currencies, BookDay& left,
                      BookDay& right) {
  return DayReader(request, kinds, currencies, left, right).read();
}

}  // namespace pg_reconcile

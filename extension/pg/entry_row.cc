#include "extension/pg/entry_row.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/money/currency.h"
#include "extension/pg/numeric_view.h"
#include "extension/values/payload.h"

extern "C" {
#include <mb/pg_wchar.h>
#include <utils/builtins.h>
#include <utils/date.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile::pg {

const char* const entry_column_names[entry_column::count] = {"channel",
                                                             "account",
                                                             "book",
                                                             "kind",
                                                             "sub_kind",
                                                             "order_key",
                                                             "match_key",
                                                             "channel_ref",
                                                             "original_ref",
                                                             "amount",
                                                             "currency",
                                                             "settle_amount",
                                                             "settlement_currency",
                                                             "fx_rate",
                                                             "fee",
                                                             "net",
                                                             "status",
                                                             "source_status",
                                                             "effective",
                                                             "occurred_at",
                                                             "value_date",
                                                             "business_date",
                                                             "recon_date",
                                                             "settlement_ref",
                                                             "attributes",
                                                             "source_id",
                                                             "source_key",
                                                             "statement_id",
                                                             "tier"};

namespace {

constexpr std::size_t chunk_bytes = 65536;
constexpr std::size_t short_payload_max = 126;

// Without a NUL: no encoding of a database has other bytes for these.
bool is_plain_ascii(std::string_view text) {
  constexpr std::uint64_t high_bits = 0x8080808080808080U;
  constexpr std::uint64_t low_bits = 0x0101010101010101U;
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= text.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, sizeof(word));
    if (((word | (word - low_bits)) & high_bits) != 0) return false;
  }
  for (; i < text.size(); i++) {
    if (static_cast<signed char>(text[i]) <= 0) return false;
  }
  return true;
}

void raw_verify(const char* data, std::size_t size) {
  if (size > MaxAllocSize - VARHDRSZ) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a text of %zu bytes is too long", size),
                    errdetail("The longest that PostgreSQL stores has 1 GB.")));
  }
  pg_verify_mbstr(GetDatabaseEncoding(), data, static_cast<int>(size), false);
}

void verify(std::string_view text) {
  if (text.size() <= chunk_bytes && is_plain_ascii(text)) return;
  const char* data = text.data();
  const std::size_t size = text.size();
  guarded([=] { raw_verify(data, size); });
}

struct RawText {
  const char* data;  // nullptr: null
  std::size_t size;
};

JsonbValue raw_json_text(RawText text) {
  JsonbValue value;
  if (text.data == nullptr) {
    value.type = jbvNull;
    return value;
  }
  value.type = jbvString;
  value.val.string.val = const_cast<char*>(text.data);
  value.val.string.len = static_cast<int>(text.size);
  return value;
}

// Names and values take turns.
Datum raw_jsonb(MemoryContext memory, const RawText* texts, std::size_t count) {
  const MemoryContext before = MemoryContextSwitchTo(memory);
  JsonbParseState* state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  for (std::size_t i = 0; i < count; i += 2) {
    JsonbValue name = raw_json_text(texts[i]);
    JsonbValue value = raw_json_text(texts[i + 1]);
    pushJsonbValue(&state, WJB_KEY, &name);
    pushJsonbValue(&state, WJB_VALUE, &value);
  }
  const Datum result = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
  MemoryContextSwitchTo(before);
  return result;
}

// A numeric's digits, the last first.
struct NumericDigits {
  static constexpr std::size_t digits_max = 10;  // 26 integer digits and 12 of the fraction
  std::array<std::int16_t, digits_max> digits;
  std::size_t count = 0;
  int weight = 0;  // of the last of them, which is the first digit
};

NumericDigits numeric_digits(core::uint128 units) {
  constexpr unsigned base = 10000;
  constexpr int fraction_digits = core::Decimal::scale_digits / 4;
  NumericDigits result;
  int place = -fraction_digits;
  const auto put = [&](unsigned digit) {
    if (result.count > 0 || digit != 0) result.digits[result.count++] = static_cast<std::int16_t>(digit);
    place++;
  };
  constexpr core::uint128 word_max = ~std::uint64_t{0};
  for (; units > word_max; units /= base) put(static_cast<unsigned>(units % base));
  for (auto rest = static_cast<std::uint64_t>(units); rest > 0; rest /= base)
    put(static_cast<unsigned>(rest % base));
  result.weight = result.count == 0 ? 0 : place - 1;
  return result;
}

int fraction_digits_of(core::uint128 units) {
  int digits = core::Decimal::scale_digits;
  auto fraction = static_cast<std::uint64_t>(units % 1000000000000U);
  if (fraction == 0) return 0;
  for (; fraction % 10 == 0; fraction /= 10) digits--;
  return digits;
}

// What a row is filled through: one column after the other.
class RowWriter {
 public:
  RowWriter(RowMemory& memory, EntryRow& row) : memory_(memory), row_(row) {}

  void put(entry_column::Column column, Datum value) {
    row_.values[column] = value;
    row_.nulls[column] = false;
  }
  void text(entry_column::Column column, std::string_view value) { put(column, memory_.text(value)); }
  // What must be stated and is not is left to the table's own check.
  void code(entry_column::Column column, const std::string& value) {
    if (!value.empty()) text(column, std::string_view(value));
  }
  void text(entry_column::Column column, const std::optional<std::string>& value) {
    if (value) text(column, std::string_view(*value));
  }
  void amount(entry_column::Column column, const std::optional<core::Decimal>& value, int scale) {
    if (value) put(column, memory_.numeric(*value, scale));
  }
  void date(entry_column::Column column, std::optional<std::int32_t> value) {
    if (value) put(column, DateADTGetDatum(*value));
  }

 private:
  RowMemory& memory_;
  EntryRow& row_;
};

int minor_digits(const std::string& currency) {
  constexpr int most_have = 2;
  return core::minor_unit_digits(currency).value_or(most_have);
}

}  // namespace

std::optional<std::string_view> EntryRow::text(entry_column::Column column) const {
  if (nulls[column]) return std::nullopt;
  return payload_in_place(values[column]);
}

std::int32_t EntryRow::date(entry_column::Column column) const {
  return DatumGetDateADT(values[column]);
}

std::optional<core::Decimal> EntryRow::decimal(entry_column::Column column) const {
  if (nulls[column]) return std::nullopt;
  const NumericView view(payload_in_place(values[column]));
  constexpr int fraction_places = core::Decimal::scale_digits / 4;
  const int last = view.weight - static_cast<int>(view.digit_count()) + 1;
  constexpr int weight_max = 4;  // below 10^20
  if (view.special != 0 || view.weight > weight_max || last < -fraction_places) {
    throw core::Error(core::sqlstate::numeric_value_out_of_range, "an amount of an entry is out of range", {},
                      "Amounts are below 10^18, with 12 fraction digits at most.");
  }
  core::int128 units = 0;
  for (std::size_t i = 0; i < view.digit_count(); i++) units = units * 10000 + view.digit(i);
  for (int place = last; place > -fraction_places; place--) units *= 10000;
  return core::Decimal::from_units(view.negative ? -units : units);
}

RowMemory::RowMemory()
    : context_(guarded([] {
        return AllocSetContextCreate(CurrentMemoryContext, "entries to store", ALLOCSET_DEFAULT_SIZES);
      })) {}

RowMemory::~RowMemory() {
  MemoryContextDelete(context_);
}

void* RowMemory::allocate(std::size_t bytes, std::size_t alignment) {
  const MemoryContext context = context_;
  if (bytes > chunk_bytes / 8) return guarded([=] { return MemoryContextAlloc(context, bytes); });
  const std::size_t padding = (alignment - reinterpret_cast<std::uintptr_t>(free_) % alignment) % alignment;
  if (left_ < bytes + padding) {
    free_ = static_cast<char*>(guarded([=] { return MemoryContextAlloc(context, chunk_bytes); }));
    left_ = chunk_bytes;
    return allocate(bytes, alignment);
  }
  void* const result = free_ + padding;
  free_ += bytes + padding;
  left_ -= bytes + padding;
  return result;
}

EntryRow RowMemory::row() {
  EntryRow row{};
  row.values = static_cast<Datum*>(allocate(entry_column::count * sizeof(Datum), alignof(Datum)));
  row.nulls = static_cast<bool*>(allocate(entry_column::count * sizeof(bool), 1));
  std::fill_n(row.values, entry_column::count, static_cast<Datum>(0));
  std::fill_n(row.nulls, entry_column::count, true);
  return row;
}

Datum RowMemory::text(std::string_view value) {
  verify(value);
  char* to = nullptr;
  if (value.size() <= short_payload_max) {
    to = static_cast<char*>(allocate(value.size() + VARHDRSZ_SHORT, 1));
    SET_VARSIZE_SHORT(to, value.size() + VARHDRSZ_SHORT);
  } else {
    to = static_cast<char*>(allocate(value.size() + VARHDRSZ, alignof(std::int32_t)));
    SET_VARSIZE(to, value.size() + VARHDRSZ);
  }
  if (!value.empty()) std::memcpy(VARDATA_ANY(to), value.data(), value.size());
  return PointerGetDatum(to);
}

// The short form of NumericData (numeric_view.h): sign, display scale and weight in one word, then the
// digits.
Datum RowMemory::numeric(core::Decimal value, int scale) {
  const bool negative = value.is_negative();
  const core::uint128 units =
      negative ? -static_cast<core::uint128>(value.units()) : static_cast<core::uint128>(value.units());
  const NumericDigits number = numeric_digits(units);
  const int shown = std::max(scale, fraction_digits_of(units));
  constexpr unsigned is_short = 0x8000;
  constexpr unsigned is_negative = 0x2000;
  constexpr int scale_shift = 7;
  constexpr unsigned weight_bits = 0x007F;
  const auto header = static_cast<std::uint16_t>(is_short | (negative ? is_negative : 0U) |
                                                 static_cast<unsigned>(shown) << scale_shift |
                                                 (static_cast<unsigned>(number.weight) & weight_bits));
  const std::size_t size = VARHDRSZ_SHORT + sizeof(header) + number.count * sizeof(std::int16_t);
  char* const to = static_cast<char*>(allocate(size, 1));
  SET_VARSIZE_SHORT(to, size);
  char* at = VARDATA_SHORT(to);
  std::memcpy(at, &header, sizeof(header));
  at += sizeof(header);
  for (std::size_t i = number.count; i-- > 0; at += sizeof(std::int16_t)) {
    std::memcpy(at, &number.digits[i], sizeof(std::int16_t));
  }
  return PointerGetDatum(to);
}

Datum RowMemory::jsonb(const core::Entry& entry) {
  std::vector<RawText> texts;
  texts.reserve(entry.attributes.size() * 2);
  for (const auto& [name, value] : entry.attributes) {
    verify(name);
    if (value) verify(*value);
    texts.push_back({name.data(), name.size()});
    texts.push_back(value ? RawText{value->data(), value->size()} : RawText{nullptr, 0});
  }
  const RawText* data = texts.data();
  const std::size_t count = texts.size();
  const MemoryContext context = context_;
  return guarded([=] { return raw_jsonb(context, data, count); });
}

EntryRow make_row(RowMemory& memory, const EntryOrigin& origin, std::string_view source_key,
                  const core::Entry& entry, const EntryPlace& place) {
  namespace column = entry_column;
  EntryRow row = memory.row();
  RowWriter to(memory, row);
  to.code(column::channel, entry.channel);
  to.code(column::account, entry.account);
  to.code(column::book, entry.book);
  to.code(column::kind, entry.kind);
  to.text(column::sub_kind, entry.sub_kind);
  to.text(column::order_key, entry.order_key.empty() ? source_key : std::string_view(entry.order_key));
  to.text(column::match_key, entry.match_key);
  to.text(column::channel_ref, entry.channel_ref);
  to.text(column::original_ref, entry.original_ref);
  const int scale = minor_digits(entry.currency);
  const int settled_scale = entry.settlement_currency && *entry.settlement_currency != entry.currency
                                ? minor_digits(*entry.settlement_currency)
                                : scale;
  to.amount(column::amount, entry.amount, scale);
  to.code(column::currency, entry.currency);
  to.amount(column::settle_amount, entry.settle_amount, settled_scale);
  to.text(column::settlement_currency, entry.settlement_currency);
  to.amount(column::fx_rate, entry.fx_rate, 0);
  to.amount(column::fee, entry.fee, settled_scale);
  to.amount(column::net, entry.net, settled_scale);
  to.code(column::status, entry.status);
  to.text(column::source_status, entry.source_status);
  if (place.effective) to.put(column::effective, BoolGetDatum(*place.effective));
  if (entry.occurred_at) to.put(column::occurred_at, TimestampTzGetDatum(*entry.occurred_at));
  to.date(column::value_date, entry.value_date);
  to.date(column::business_date, place.day);
  to.date(column::recon_date, place.recon_day);
  to.text(column::settlement_ref, entry.settlement_ref);
  if (!entry.attributes.empty()) to.put(column::attributes, memory.jsonb(entry));
  to.put(column::source_id, Int32GetDatum(origin.source_id));
  to.text(column::source_key, source_key);
  if (origin.statement_id) to.put(column::statement_id, Int64GetDatum(*origin.statement_id));
  to.put(column::tier, Int16GetDatum(0));
  return row;
}

}  // namespace pg_reconcile::pg

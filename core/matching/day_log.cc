#include "core/matching/day_log.h"

namespace pg_reconcile::core {
namespace {

// A record begins with a word of its kind, side and a number: a place, or a length in bytes.
enum class Record : std::uint64_t { rest, refunded_order, sums, identities, fees };

constexpr unsigned kind_shift = 60;
constexpr unsigned side_shift = 59;
constexpr std::uint64_t number_mask = (std::uint64_t{1} << side_shift) - 1;

std::uint64_t head(Record record, Side side, std::uint64_t number = 0) {
  return (static_cast<std::uint64_t>(record) << kind_shift) |
         (static_cast<std::uint64_t>(side) << side_shift) | number;
}

uint128 take_wide(WordReader& words) {
  const std::uint64_t low = words.take();
  return (static_cast<uint128>(words.take()) << 64) | low;
}

}  // namespace

std::string currency_text(std::uint64_t word) {
  std::string text;
  for (; word != 0; word >>= 8) text.push_back(static_cast<char>(word & 0xFF));
  return text;
}

void DayLog::rest(Side side, const DayPlace& place) {
  words_.word(head(Record::rest, side, place.ordinal()));
}

void DayLog::refunded_order(Side side, std::string_view order_key) {
  words_.word(head(Record::refunded_order, side, order_key.size()));
  words_.text(order_key);
}

void DayLog::sums(Side side, const DaySums& sums) {
  words_.word(head(Record::sums, side));
  words_.word(sums.currency);
  words_.word(static_cast<std::uint64_t>(sums.in.count));
  wide(static_cast<uint128>(sums.in.amount.units()));
  wide(sums.digest);
}

void DayLog::identities(Side side, uint128 sum) {
  words_.word(head(Record::identities, side));
  wide(sum);
}

void DayLog::fees(std::uint64_t currency, Decimal sum) {
  words_.word(head(Record::fees, Side::left));
  words_.word(currency);
  wide(static_cast<uint128>(sum.units()));
}

void DayLog::wide(uint128 value) {
  words_.word(static_cast<std::uint64_t>(value));
  words_.word(static_cast<std::uint64_t>(value >> 64));
}

void replay(ChunkStore& store, ChunkReference newest, DayLogReader& reader) {
  WordReader words(store, newest);
  while (!words.at_end()) {
    const std::uint64_t word = words.take();
    const auto side = static_cast<Side>((word >> side_shift) & 1);
    const std::uint64_t number = word & number_mask;
    switch (static_cast<Record>(word >> kind_shift)) {
      case Record::rest:
        reader.rest(side, DayPlace::of(number));
        break;
      case Record::refunded_order:
        reader.refunded_order(side, words.take_text(number));
        break;
      case Record::sums: {
        DaySums sums;
        sums.currency = words.take();
        sums.in.count = static_cast<std::int64_t>(words.take());
        sums.in.amount = Decimal::from_units(static_cast<int128>(take_wide(words)));
        sums.digest = take_wide(words);
        reader.sums(side, sums);
        break;
      }
      case Record::identities:
        reader.identities(side, take_wide(words));
        break;
      case Record::fees: {
        const std::uint64_t currency = words.take();
        reader.fees(currency, Decimal::from_units(static_cast<int128>(take_wide(words))));
        break;
      }
    }
  }
}

}  // namespace pg_reconcile::core

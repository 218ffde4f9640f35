// The entries of a day as the partitioned match takes them: 32 bytes each, and which of them pair for certain
// (docs/decisions/0006).
//
// A row's key is one of an entry's names (its channel_ref, or its match_key) with kind, amount and currency;
// the other name tells rows of one key apart. Pairs that the passes would come to whatever else the day holds
// are settled here, everything else is left to match_day().
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/matching/day_match.h"
#include "core/matching/partitioned_match.h"

namespace pg_reconcile::core {

// ---- a fee in 32 bits -----------------------------------------------------------------------------------

// Two fees of one currency have the same code exactly when they are equal, unless it is `other`: a fee that
// does not fit (more than four decimals, or too large), or that is stated in another currency than the
// amount.
class FeeCode {
 public:
  static constexpr std::uint32_t none = 0;  // not stated
  static constexpr std::uint32_t other = 0xFFFFFFFFU;
  static std::uint32_t of(Decimal fee);
  static Decimal value(std::uint32_t code);  // not of none and other
};

// ---- rows -----------------------------------------------------------------------------------------------

// Where an entry lies in its table, and which currency it is in: the 48 bits of a row's ordinal.
struct DayPlace {
  static constexpr unsigned offset_bits = 11;
  static constexpr unsigned currency_bits = 5;
  static constexpr std::uint32_t currencies_max = (1U << currency_bits) - 1;
  static constexpr std::uint32_t other_currency = currencies_max;

  std::uint32_t block = 0;
  std::uint16_t offset = 0;  // 0: an entry that is known already; its pairs are left to match_day()
  std::uint32_t currency = other_currency;

  [[nodiscard]] std::uint64_t ordinal() const {
    return (std::uint64_t{currency} << (32 + offset_bits)) | tuple();
  }
  // Ascends as places in the table do.
  [[nodiscard]] std::uint64_t tuple() const { return (std::uint64_t{block} << offset_bits) | offset; }
  static DayPlace of(std::uint64_t ordinal) {
    return {static_cast<std::uint32_t>(ordinal >> offset_bits),
            static_cast<std::uint16_t>(ordinal & ((1U << offset_bits) - 1)),
            static_cast<std::uint32_t>(ordinal >> (32 + offset_bits)) & currencies_max};
  }
};
static_assert(32 + DayPlace::offset_bits + DayPlace::currency_bits == CompactRow::ordinal_bits);

// 128 bits of the key, 48 of the other name (0: NULL), 32 of the fee, 48 of the place.
class DayRow {
 public:
  static CompactRow make(const Hash128& key, std::optional<Hash128> other_name, std::uint32_t fee,
                         const DayPlace& place) {
    const std::uint64_t name = other_name ? std::max<std::uint64_t>(other_name->low >> 16, 1) : 0;
    return {key, {(name << 16) | (fee >> 16), fee & 0xFFFFU}, place.ordinal()};
  }
  static std::uint64_t other_name(const CompactRow& row) { return row.compared_low() >> 16; }
  static std::uint32_t fee(const CompactRow& row) {
    return (static_cast<std::uint32_t>(row.compared_low() & 0xFFFFU) << 16) | row.compared_high();
  }
};

// Of a key: a name and what pairs must agree in beside it.
[[nodiscard]] inline Hash128 day_key(const KeyedHash& hash, const Hash128& name, Decimal amount,
                                     std::uint64_t kind, std::uint64_t currency) {
  const auto units = static_cast<uint128>(amount.units());
  const std::uint64_t fields[] = {
      name.low, name.high, static_cast<std::uint64_t>(units), static_cast<std::uint64_t>(units >> 64),
      kind,     currency};
  return hash(fields, sizeof(fields));
}

// ---- which pairs are certain ----------------------------------------------------------------------------

enum class DayKey : std::uint8_t { none, channel_ref, match_key };

// What the leading passes say of rows of one key.
struct DayPairing {
  // none: the passes begin with something else, nothing is certain.
  DayKey key = DayKey::none;
  // One against one pairs, although one of the two has no other name ...
  bool pairs_without_name = false;
  // ... or neither has one.
  bool pairs_nameless = false;
  // Of several of one key, those of one other name pair first.
  bool names_first = false;
  // The other name counts for nothing once a book states none.
  bool silence_pairs = false;

  // `prefers_key`: match_key is the better key where the passes leave the choice.
  static DayPairing of(std::span<const MatchPass> passes, bool prefers_key);
  // What holds when a book states no other name at all.
  [[nodiscard]] DayPairing with_silent_book() const {
    DayPairing pairing = *this;
    pairing.pairs_without_name = pairs_without_name || silence_pairs;
    return pairing;
  }
};

class DayRowSink {
 public:
  virtual ~DayRowSink() = default;
  // A row that is left to match_day().
  virtual void rest(Side side, const DayPlace& place) = 0;
};

class DayPartMatcher final : public PartMatcher {
 public:
  DayPartMatcher(const DayPairing& pairing, DayRowSink& sink, Interrupts& interrupts)
      : pairing_(pairing), sink_(sink), interrupts_(interrupts) {}
  std::uint64_t match(std::span<const CompactRow> left, std::span<const CompactRow> right) override;

  // By the currency's number: the fees of pairs where both sides state one, which are equal.
  [[nodiscard]] const std::array<Decimal, DayPlace::currencies_max>& fees() const { return fees_; }

 private:
  bool take(const CompactRow& left, const CompactRow& right);
  std::uint64_t match_many(const KeyGroups::Group& group, std::span<const CompactRow> left,
                           std::span<const CompactRow> right);
  void leave(Side side, const CompactRow& row) { sink_.rest(side, DayPlace::of(row.ordinal())); }

  DayPairing pairing_;
  DayRowSink& sink_;
  Interrupts& interrupts_;
  KeyGroups keys_;
  std::array<Decimal, DayPlace::currencies_max> fees_{};
  std::vector<CompactRow> many_left_, many_right_;
};

}  // namespace pg_reconcile::core

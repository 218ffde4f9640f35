// What one process found while it read and matched the entries of a day, as words that the leader adds up.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/matching/chunk_words.h"
#include "core/matching/day_rows.h"

namespace pg_reconcile::core {

// Currencies have short names: a word holds one. nullopt: longer than eight bytes.
[[nodiscard]] inline std::optional<std::uint64_t> currency_word(std::string_view currency) {
  if (currency.size() > sizeof(std::uint64_t)) return std::nullopt;
  std::uint64_t word = 0;
  for (std::size_t i = currency.size(); i > 0; i--) {
    word = (word << 8) | static_cast<unsigned char>(currency[i - 1]);
  }
  return word;
}
[[nodiscard]] std::string currency_text(std::uint64_t word);

// Entries of one book in one currency, added up.
struct DaySums {
  std::uint64_t currency = 0;  // currency_word()
  CountAndAmount in;
  uint128 digest = 0;  // of row hashes
};

class DayLog final : public DayRowSink {
 public:
  explicit DayLog(ChunkStore& store) : words_(store) {}
  void rest(Side side, const DayPlace& place) override;
  void refunded_order(Side side, std::string_view order_key);
  void sums(Side side, const DaySums& sums);
  // The sum of the identities of all entries of a book that were read.
  void identities(Side side, uint128 sum);
  void fees(std::uint64_t currency, Decimal sum);
  ChunkReference finish() { return words_.finish(); }

 private:
  void wide(uint128 value);
  WordWriter words_;
};

class DayLogReader {
 public:
  virtual ~DayLogReader() = default;
  virtual void rest(Side side, const DayPlace& place) = 0;
  virtual void refunded_order(Side side, std::string order_key) = 0;
  virtual void sums(Side side, const DaySums& sums) = 0;
  virtual void identities(Side side, uint128 sum) = 0;
  virtual void fees(std::uint64_t currency, Decimal sum) = 0;
};

void replay(ChunkStore& store, ChunkReference newest, DayLogReader& reader);

}  // namespace pg_reconcile::core

// The published sketch, version 1: an invertible Bloom lookup table over the rows of one side.
//
// A row is an item of 63 bytes: its key (a length and 48 bytes) and 112 bits of its row hash. Every item is
// added to four cells, one of each quarter of the table; a cell counts its items and adds up their words and
// their checksums, modulo the prime 2^61 - 1. Subtracting the sketches of two sides cancels what both have;
// a cell in which one item is left gives it back, however often it is there, because a sum can be divided by
// its count. What is read is taken out of its other cells, until nothing is left (sketch_difference.h).
//
// Bytes, all integers little-endian: "RSKETCH" and the version 0x01; cells, columns, rows (64 bits each);
// the cells, each of 11 words of 64 bits: count (signed), checksum, 9 words of the item; XXH3-64 (seed 0) of
// everything before. The item's words are 7 bytes each, little-endian. XXH3-128 of its 63 bytes under seed 1,
// cut into four 32-bit numbers from its lowest bits on, says which cell of each quarter: number * quarter /
// 2^32. XXH3-64 under seed 2, modulo the prime, is its checksum.
// Source: Goodrich and Mitzenmacher, Invertible Bloom Lookup Tables (2011); the sums modulo a prime are ours,
// for twins.
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/money/decimal.h"

namespace pg_reconcile::core {

// Arithmetic modulo 2^61 - 1; arguments are below it.
namespace field61 {
inline constexpr std::uint64_t prime = (std::uint64_t{1} << 61) - 1;
inline std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum >= prime ? sum - prime : sum;
}
inline std::uint64_t negate(std::uint64_t a) {
  return a == 0 ? 0 : prime - a;
}
std::uint64_t multiply(std::uint64_t a, std::uint64_t b);
std::uint64_t inverse(std::uint64_t a);
std::uint64_t of_signed(std::int64_t value);
}  // namespace field61

// A row as a sketch holds it.
class SketchItem {
 public:
  static constexpr std::size_t key_bytes_max = 48;
  static constexpr std::size_t size = 1 + key_bytes_max + 14;
  static constexpr std::size_t words = size / 7;

  // A key beyond key_bytes_max is represented by its own row hash.
  SketchItem(std::optional<std::string_view> key, uint128 row_hash);
  // What a cell holds; nullopt when no row is written so.
  static std::optional<SketchItem> from_words(const std::array<std::uint64_t, words>& stored);

  [[nodiscard]] std::uint64_t word(std::size_t i) const;
  [[nodiscard]] std::uint64_t checksum() const;
  // The item's cell in each quarter of a table.
  [[nodiscard]] std::array<std::size_t, 4> cells(std::uint64_t quarter) const;

  // The key where it is there in full; nullopt for NULL and for one that is too long.
  [[nodiscard]] std::optional<std::string_view> key() const;
  // reconcile.row_hash(key).
  [[nodiscard]] uint128 key_hash() const;
  // The part that says the key: equal for equal keys.
  [[nodiscard]] std::string_view key_part() const { return {bytes_.data(), 1 + key_bytes_max}; }

 private:
  static constexpr unsigned char key_is_null = 0xFF;
  static constexpr unsigned char key_is_long = 0xFE;

  SketchItem() = default;
  [[nodiscard]] unsigned char length() const { return static_cast<unsigned char>(bytes_[0]); }

  std::array<char, size + 1> bytes_{};  // one more, so that the last word can be read as eight bytes
};

// A table of cells in somebody else's memory.
class Sketch {
 public:
  static constexpr std::uint64_t cells_min = 64;
  static constexpr std::uint64_t cells_max = 1'000'000;
  static constexpr std::size_t cell_words = 2 + SketchItem::words;

  // The table's size for a wish of so many cells: a multiple of four. Throws 22023.
  static std::uint64_t checked_cells(std::int64_t wish);
  static std::size_t words_of(std::uint64_t cells) { return header_words + cells * cell_words; }
  static std::size_t bytes_of(std::uint64_t cells) { return sizeof(std::uint64_t) * (words_of(cells) + 2); }

  // A sketch that is already in `words`.
  explicit Sketch(std::uint64_t* words) : words_(words) {}
  // Makes `words`, words_of(cells), the sketch of no rows.
  static Sketch make(std::uint64_t* words, std::uint64_t cells, std::uint64_t columns);

  [[nodiscard]] std::uint64_t cells() const { return words_[0]; }
  [[nodiscard]] std::uint64_t columns() const { return words_[1]; }
  [[nodiscard]] std::uint64_t rows() const { return words_[2]; }
  [[nodiscard]] std::uint64_t* cell(std::size_t i) const { return words_ + header_words + i * cell_words; }

  void add(const SketchItem& item);
  // Adds, or takes off, another sketch. Throws 22023 when their cells or columns differ.
  void combine(const Sketch& other);
  void subtract(const Sketch& other);
  // Takes an item off `count` times; a negative count adds it.
  void remove(const SketchItem& item, std::int64_t count);

  // The published bytes, bytes_of(cells()) of them.
  void write(char* bytes) const;
  // How many cells the bytes hold. Throws 22P03 when they are no sketch, or damaged.
  static std::uint64_t cells_in(std::string_view bytes);
  // Reads bytes into words_of(cells_in(bytes)) words. Throws like cells_in.
  static Sketch read(std::string_view bytes, std::uint64_t* words);

 private:
  static constexpr std::size_t header_words = 3;

  void require_alike(const Sketch& other) const;

  std::uint64_t* words_;
};

}  // namespace pg_reconcile::core

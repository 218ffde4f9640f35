#include "core/digest/sketch.h"

#include <cstring>
#include <string>

#include "core/digest/row_hash.h"
#include "core/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pg_reconcile::core {
namespace {

constexpr std::string_view magic("RSKETCH\1", 8);
constexpr std::size_t word_bytes = sizeof(std::uint64_t);
constexpr std::uint64_t seven_bytes = (std::uint64_t{1} << 56) - 1;

std::uint64_t load(const char* from) {
  unsigned char bytes[word_bytes];
  std::memcpy(bytes, from, word_bytes);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < word_bytes; i++) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

void store(std::uint64_t value, char* to, std::size_t size = word_bytes) {
  for (std::size_t i = 0; i < size; i++) to[i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

[[noreturn]] void throw_no_sketch(const std::string& detail) {
  throw Error(sqlstate::invalid_binary_representation, "these bytes are not a sketch", detail,
              "Pass on what reconcile.sketch() returned, unchanged.");
}

}  // namespace

namespace field61 {

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  const uint128 product = static_cast<uint128>(a) * b;
  return add(static_cast<std::uint64_t>(product) & prime, static_cast<std::uint64_t>(product >> 61));
}

// a^(prime - 2)
std::uint64_t inverse(std::uint64_t a) {
  std::uint64_t result = 1;
  for (std::uint64_t exponent = prime - 2; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(result, a);
    a = multiply(a, a);
  }
  return result;
}

std::uint64_t of_signed(std::int64_t value) {
  const std::uint64_t magnitude =
      (value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value)) % prime;
  return value < 0 ? negate(magnitude) : magnitude;
}

}  // namespace field61

SketchItem::SketchItem(std::optional<std::string_view> key, uint128 row_hash) {
  char* const slot = bytes_.data() + 1;
  if (!key) {
    bytes_[0] = static_cast<char>(key_is_null);
  } else if (key->size() <= key_bytes_max) {
    bytes_[0] = static_cast<char>(key->size());
    if (!key->empty()) std::memcpy(slot, key->data(), key->size());
  } else {
    bytes_[0] = static_cast<char>(key_is_long);
    RowHasher hasher;
    hasher.add(key);
    const uint128 hash = hasher.finish();
    store(static_cast<std::uint64_t>(hash), slot);
    store(static_cast<std::uint64_t>(hash >> 64), slot + word_bytes);
  }
  store(static_cast<std::uint64_t>(row_hash), slot + key_bytes_max);
  store(static_cast<std::uint64_t>(row_hash >> 64), slot + key_bytes_max + word_bytes, 6);
}

std::optional<SketchItem> SketchItem::from_words(const std::array<std::uint64_t, words>& stored) {
  SketchItem item;
  for (std::size_t i = 0; i < words; i++) {
    if (stored[i] > seven_bytes) return std::nullopt;
    store(stored[i], item.bytes_.data() + 7 * i, 7);
  }
  std::size_t used = item.length();
  if (used == key_is_null) used = 0;
  if (used == key_is_long) used = sizeof(uint128);
  if (used > key_bytes_max) return std::nullopt;
  for (std::size_t i = used; i < key_bytes_max; i++) {
    if (item.bytes_[1 + i] != 0) return std::nullopt;
  }
  return item;
}

std::uint64_t SketchItem::word(std::size_t i) const {
  return load(bytes_.data() + 7 * i) & seven_bytes;
}

std::uint64_t SketchItem::checksum() const {
  return XXH3_64bits_withSeed(bytes_.data(), size, 2) % field61::prime;
}

std::array<std::size_t, 4> SketchItem::cells(std::uint64_t quarter) const {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes_.data(), size, 1);
  const auto place = [quarter](std::uint64_t number) {
    return static_cast<std::size_t>((number & 0xFFFFFFFFU) * quarter >> 32);
  };
  return {place(hash.low64), quarter + place(hash.low64 >> 32), 2 * quarter + place(hash.high64),
          3 * quarter + place(hash.high64 >> 32)};
}

std::optional<std::string_view> SketchItem::key() const {
  if (length() > key_bytes_max) return std::nullopt;
  return std::string_view(bytes_.data() + 1, length());
}

uint128 SketchItem::key_hash() const {
  if (length() == key_is_long) {
    return (static_cast<uint128>(load(bytes_.data() + 1 + word_bytes)) << 64) | load(bytes_.data() + 1);
  }
  RowHasher hasher;
  hasher.add(key());
  return hasher.finish();
}

std::uint64_t Sketch::checked_cells(std::int64_t wish) {
  if (wish < static_cast<std::int64_t>(cells_min) || wish > static_cast<std::int64_t>(cells_max)) {
    throw Error(sqlstate::invalid_parameter_value,
                "a sketch has " + std::to_string(cells_min) + " to " + std::to_string(cells_max) + " cells",
                "cells is " + std::to_string(wish) + ".",
                "reconcile.sketch_cells(n) says how many n differing rows need.");
  }
  return (static_cast<std::uint64_t>(wish) + 3) / 4 * 4;
}

Sketch Sketch::make(std::uint64_t* words, std::uint64_t cells, std::uint64_t columns) {
  std::memset(words, 0, words_of(cells) * word_bytes);
  words[0] = cells;
  words[1] = columns;
  return Sketch(words);
}

void Sketch::add(const SketchItem& item) {
  std::array<std::uint64_t, cell_words> addend;
  addend[0] = 1;
  addend[1] = item.checksum();
  for (std::size_t i = 0; i < SketchItem::words; i++) addend[2 + i] = item.word(i);
  for (const std::size_t place : item.cells(cells() / 4)) {
    std::uint64_t* const at = cell(place);
    at[0] += addend[0];
    for (std::size_t i = 1; i < cell_words; i++) at[i] = field61::add(at[i], addend[i]);
  }
  words_[2]++;
}

void Sketch::remove(const SketchItem& item, std::int64_t count) {
  const std::uint64_t factor = field61::negate(field61::of_signed(count));
  std::array<std::uint64_t, cell_words> addend;
  addend[0] = ~static_cast<std::uint64_t>(count) + 1;
  addend[1] = field61::multiply(item.checksum(), factor);
  for (std::size_t i = 0; i < SketchItem::words; i++) {
    addend[2 + i] = field61::multiply(item.word(i), factor);
  }
  for (const std::size_t place : item.cells(cells() / 4)) {
    std::uint64_t* const at = cell(place);
    at[0] += addend[0];
    for (std::size_t i = 1; i < cell_words; i++) at[i] = field61::add(at[i], addend[i]);
  }
}

void Sketch::require_alike(const Sketch& other) const {
  if (cells() != other.cells()) {
    throw Error(sqlstate::invalid_parameter_value, "the sketches have different numbers of cells",
                std::to_string(cells()) + " and " + std::to_string(other.cells()) + " cells.",
                "Take both with the same number of cells.");
  }
  if (columns() != other.columns()) {
    throw Error(
        sqlstate::invalid_parameter_value, "the sketches are of different numbers of columns",
        std::to_string(columns()) + " and " + std::to_string(other.columns()) + " columns, the key counted.",
        "Take both over the same columns, in the same order.");
  }
}

void Sketch::combine(const Sketch& other) {
  require_alike(other);
  for (std::size_t c = 0; c < cells(); c++) {
    std::uint64_t* const at = cell(c);
    const std::uint64_t* const more = other.cell(c);
    at[0] += more[0];
    for (std::size_t i = 1; i < cell_words; i++) at[i] = field61::add(at[i], more[i]);
  }
  words_[2] += other.rows();
}

void Sketch::subtract(const Sketch& other) {
  require_alike(other);
  for (std::size_t c = 0; c < cells(); c++) {
    std::uint64_t* const at = cell(c);
    const std::uint64_t* const less = other.cell(c);
    at[0] -= less[0];
    for (std::size_t i = 1; i < cell_words; i++) at[i] = field61::add(at[i], field61::negate(less[i]));
  }
  words_[2] -= other.rows();
}

void Sketch::write(char* bytes) const {
  char* to = bytes;
  std::memcpy(to, magic.data(), magic.size());
  to += magic.size();
  for (std::size_t i = 0; i < words_of(cells()); i++, to += word_bytes) store(words_[i], to);
  store(XXH3_64bits(bytes, static_cast<std::size_t>(to - bytes)), to);
}

std::uint64_t Sketch::cells_in(std::string_view bytes) {
  if (bytes.size() < magic.size() + header_words * word_bytes ||
      bytes.substr(0, magic.size() - 1) != magic.substr(0, magic.size() - 1)) {
    throw_no_sketch(std::to_string(bytes.size()) + " bytes that do not begin like one.");
  }
  if (bytes[magic.size() - 1] != magic.back()) {
    throw Error(sqlstate::feature_not_supported, "this version of sketches is not known",
                "Version " + std::to_string(static_cast<unsigned char>(bytes[magic.size() - 1])) +
                    "; version 1 is known here.",
                "Use one version of pg_reconcile on both servers.");
  }
  const std::uint64_t cells = load(bytes.data() + magic.size());
  if (cells < cells_min || cells > cells_max || cells % 4 != 0 || bytes.size() != bytes_of(cells)) {
    throw_no_sketch(std::to_string(bytes.size()) + " bytes, said to be " + std::to_string(cells) + " cells.");
  }
  if (XXH3_64bits(bytes.data(), bytes.size() - word_bytes) !=
      load(bytes.data() + bytes.size() - word_bytes)) {
    throw_no_sketch("The closing checksum does not fit: the bytes were changed on their way.");
  }
  return cells;
}

Sketch Sketch::read(std::string_view bytes, std::uint64_t* words) {
  const std::uint64_t cells = cells_in(bytes);
  for (std::size_t i = 0; i < words_of(cells); i++) {
    words[i] = load(bytes.data() + magic.size() + i * word_bytes);
  }
  const Sketch sketch(words);
  for (std::size_t c = 0; c < cells; c++) {
    for (std::size_t i = 1; i < cell_words; i++) {
      if (sketch.cell(c)[i] >= field61::prime) {
        throw_no_sketch("Cell " + std::to_string(c) + " holds a number that no sum can be.");
      }
    }
  }
  return sketch;
}

}  // namespace pg_reconcile::core

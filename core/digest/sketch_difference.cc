#include "core/digest/sketch_difference.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

struct Found {
  SketchItem item;
  std::int64_t count;
};

// The one item of which a cell holds `count`, or none where several lie upon each other.
std::optional<Found> single_item(const Sketch& sketch, std::size_t place) {
  const std::uint64_t* const cell = sketch.cell(place);
  const auto count = static_cast<std::int64_t>(cell[0]);
  if (count == 0) return std::nullopt;
  const std::uint64_t share = count == 1 ? 1 : field61::inverse(field61::of_signed(count));
  std::array<std::uint64_t, SketchItem::words> words;
  for (std::size_t i = 0; i < words.size(); i++) words[i] = field61::multiply(cell[2 + i], share);
  const std::optional<SketchItem> item = SketchItem::from_words(words);
  if (!item || item->checksum() != field61::multiply(cell[1], share)) return std::nullopt;
  const auto cells = item->cells(sketch.cells() / 4);
  if (std::find(cells.begin(), cells.end(), place) == cells.end()) return std::nullopt;
  return Found{*item, count};
}

bool is_empty(const Sketch& sketch) {
  const std::uint64_t* const first = sketch.cell(0);
  return std::all_of(first, first + sketch.cells() * Sketch::cell_words,
                     [](std::uint64_t word) { return word == 0; });
}

[[noreturn]] void throw_too_small(const Sketch& sketch, std::uint64_t rows) {
  // Near its limit a sketch fails by bad luck: more cells in any case.
  const std::uint64_t cells = std::max(cells_for(rows + rows / 8), sketch.cells() * 3 / 2);
  const std::string detail = "About " + std::to_string(rows) + " rows differ, more than " +
                             std::to_string(sketch.cells()) + " cells can tell apart.";
  const std::string hint =
      cells <= Sketch::cells_max
          ? "Take both sketches again with " + std::to_string(cells) + " cells."
          : "Take sketches of parts, such as a day or a range of keys, or move the rows and use "
            "reconcile.compare().";
  throw Error(sqlstate::program_limit_exceeded, "the sketches are too small for what differs", detail, hint);
}

// Reads items until nothing can be read any more. Every item that two honest sketches differ in empties a
// cell for good, so that there are at most as many as cells.
std::vector<Found> peel(Sketch& sketch, Interrupts& interrupts) {
  std::vector<Found> found;
  std::vector<std::size_t> waiting(sketch.cells());
  for (std::size_t i = 0; i < waiting.size(); i++) waiting[i] = i;
  for (std::uint64_t looked_at = 0; !waiting.empty() && found.size() <= sketch.cells(); looked_at++) {
    if (looked_at % 1024 == 0) interrupts.poll();
    const std::size_t place = waiting.back();
    waiting.pop_back();
    const std::optional<Found> single = single_item(sketch, place);
    if (!single) continue;
    sketch.remove(single->item, single->count);
    found.push_back(*single);
    for (const std::size_t other : single->item.cells(sketch.cells() / 4)) {
      if (other != place) waiting.push_back(other);
    }
  }
  return found;
}

// An item that damaged cells give and take again is no row; with honest ones each is found once.
std::vector<KeyDifference> by_key(std::vector<Found> found) {
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.item.key_part() < b.item.key_part(); });
  std::vector<KeyDifference> keys;
  for (std::size_t i = 0; i < found.size(); i++) {
    const SketchItem& item = found[i].item;
    if (i == 0 || found[i - 1].item.key_part() != item.key_part()) {
      keys.push_back({item.key() ? std::optional<std::string>(*item.key()) : std::nullopt, item.key_hash()});
    }
    const auto count = static_cast<std::uint64_t>(found[i].count);
    if (found[i].count > 0) {
      keys.back().left_rows += count;
    } else {
      keys.back().right_rows += ~count + 1;
    }
  }
  std::sort(keys.begin(), keys.end(), [](const KeyDifference& a, const KeyDifference& b) {
    return std::forward_as_tuple(!a.key, a.key, a.key_hash) <
           std::forward_as_tuple(!b.key, b.key, b.key_hash);
  });
  return keys;
}

}  // namespace

std::vector<KeyDifference> read_difference(Sketch& difference, Interrupts& interrupts) {
  const std::uint64_t rows = estimated_rows(difference);
  std::vector<Found> found = peel(difference, interrupts);
  if (!is_empty(difference)) throw_too_small(difference, rows);
  return by_key(std::move(found));
}

// Few rows: that two of them have the same four cells, rows^2 / 2 / (cells / 4)^4, is to be 1 in 10,000.
// Many: a table with four cells an item can be read while it has 1.295 cells an item, and random places vary.
std::uint64_t cells_for(std::uint64_t rows) {
  const double root = std::sqrt(static_cast<double>(rows));
  const double cells = std::max(34 * root, 1.3 * static_cast<double>(rows) + 5 * root);
  return std::max(Sketch::cells_min, static_cast<std::uint64_t>(std::ceil(cells / 4)) * 4);
}

// By the empty cells while there are enough of them; beyond that by the squares of the counts, whose expected
// sum is that of the items' own: rows of either side cancel in a cell's count, never in their variance.
std::uint64_t estimated_rows(const Sketch& difference) {
  const auto quarter = static_cast<double>(difference.cells()) / 4;
  double empty = 0;
  double squares = 0;
  double net = 0;
  for (std::size_t c = 0; c < difference.cells(); c++) {
    const std::uint64_t* const cell = difference.cell(c);
    const auto count = static_cast<double>(static_cast<std::int64_t>(cell[0]));
    if (std::all_of(cell, cell + Sketch::cell_words, [](std::uint64_t word) { return word == 0; })) empty++;
    squares += count * count;
    net += count;
  }
  if (empty >= 0.1 * 4 * quarter)
    return static_cast<std::uint64_t>(std::lround(quarter * std::log(4 * quarter / empty)));
  net /= 4;  // every item is in four cells
  const double items = (squares / 4 - net * net / quarter) / (1 - 1 / quarter);
  return static_cast<std::uint64_t>(std::clamp(items, quarter, 1e18));
}

}  // namespace pg_reconcile::core

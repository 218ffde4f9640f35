// Which rows differ, read from the difference of two sketches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/digest/sketch.h"
#include "core/interrupts.h"

namespace pg_reconcile::core {

// Of one key: how many rows each side has that the other has not (twins counted, as EXCEPT ALL counts them).
struct KeyDifference {
  std::optional<std::string> key;  // nullopt: NULL, or longer than a sketch's cell
  uint128 key_hash = 0;            // row_hash(key)
  std::uint64_t left_rows = 0;
  std::uint64_t right_rows = 0;
};

// Reads `difference`, left minus right, and empties it. In the order of keys, those without last.
// Throws 54000 with how many cells to take when it holds more than can be read: all or nothing.
std::vector<KeyDifference> read_difference(Sketch& difference, Interrupts& interrupts);

// How many cells to take for so many differing rows; a row that is changed counts twice. With these, a
// difference can't be read once in 10,000 times.
std::uint64_t cells_for(std::uint64_t rows);

// How many rows differ, from cells of which not all can be read. Within a few percent.
std::uint64_t estimated_rows(const Sketch& difference);

}  // namespace pg_reconcile::core

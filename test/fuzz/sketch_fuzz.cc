// Whatever bytes come as a sketch: they are refused, or read to the end with rows or with 54000.
//
// The closing checksum would stop nearly every change, so it is made to fit. The input's first byte says what
// the rest is: a sketch, or cells of a sketch (64 of them, numbers made small enough), to get past the frame.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest/sketch.h"
#include "core/digest/sketch_difference.h"
#include "core/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace {

using namespace pg_reconcile::core;

void close(std::string& bytes) {
  if (bytes.size() < sizeof(std::uint64_t)) return;
  const std::size_t size = bytes.size() - sizeof(std::uint64_t);
  const std::uint64_t checksum = XXH3_64bits(bytes.data(), size);
  std::memcpy(bytes.data() + size, &checksum, sizeof(checksum));
}

std::string of_cells(std::string_view rest) {
  constexpr std::uint64_t cells = Sketch::cells_min;
  std::vector<std::uint64_t> words(Sketch::words_of(cells));
  Sketch sketch = Sketch::make(words.data(), cells, 2);
  std::uint64_t* const first = sketch.cell(0);
  const std::size_t size = std::min(rest.size() / 8, static_cast<std::size_t>(cells * Sketch::cell_words));
  std::memcpy(first, rest.data(), size * 8);
  for (std::size_t i = 0; i < size; i++) {
    if (i % Sketch::cell_words != 0) first[i] %= field61::prime;
  }
  std::string bytes(Sketch::bytes_of(cells), '\0');
  sketch.write(bytes.data());
  return bytes;
}

void read(const std::string& bytes) {
  std::vector<std::uint64_t> words(Sketch::words_of(Sketch::cells_in(bytes)));
  Sketch sketch = Sketch::read(bytes, words.data());
  // What was read is written again as it was.
  std::string again(Sketch::bytes_of(sketch.cells()), '\0');
  sketch.write(again.data());
  if (again != bytes) std::abort();
  NoInterrupts interrupts;
  std::size_t sum = 0;
  for (const KeyDifference& row : read_difference(sketch, interrupts)) {
    if (row.key) sum += row.key->size();
    if (row.left_rows == 0 && row.right_rows == 0) std::abort();
  }
  static_cast<void>(sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string bytes = (data[0] & 1) != 0 ? of_cells(rest) : std::string(rest);
  close(bytes);
  try {
    read(bytes);
  } catch (const Error& error) {
    const std::string_view state = error.state();
    if (state != sqlstate::invalid_binary_representation && state != sqlstate::feature_not_supported &&
        state != sqlstate::program_limit_exceeded) {
      std::abort();
    }
  }
  return 0;
}

#include "core/digest/sketch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/digest/row_hash.h"
#include "core/digest/sketch_difference.h"
#include "core/error.h"

using namespace pg_reconcile::core;

namespace {

using Key = std::optional<std::string>;

struct Row {
  Key key;
  std::string rest;
  friend auto operator<=>(const Row&, const Row&) = default;
};

class OwnedSketch {
 public:
  explicit OwnedSketch(std::uint64_t cells, std::uint64_t columns = 2) : words_(Sketch::words_of(cells)) {
    Sketch::make(words_.data(), cells, columns);
  }
  explicit OwnedSketch(const std::string& bytes) : words_(Sketch::words_of(Sketch::cells_in(bytes))) {
    Sketch::read(bytes, words_.data());
  }
  Sketch operator*() { return Sketch(words_.data()); }
  std::string bytes() {
    std::string bytes(Sketch::bytes_of((**this).cells()), '\0');
    (**this).write(bytes.data());
    return bytes;
  }

 private:
  std::vector<std::uint64_t> words_;
};

SketchItem item_of(const Row& row) {
  RowHasher hasher;
  const std::optional<std::string_view> key =
      row.key ? std::optional<std::string_view>(*row.key) : std::nullopt;
  hasher.add(key);
  hasher.add(row.rest);
  return {key, hasher.finish()};
}

uint128 hash_of(const Key& key) {
  RowHasher hasher;
  hasher.add(key ? std::optional<std::string_view>(*key) : std::nullopt);
  return hasher.finish();
}

OwnedSketch sketch_of(const std::vector<Row>& rows, std::uint64_t cells) {
  OwnedSketch sketch(cells);
  for (const Row& row : rows) (*sketch).add(item_of(row));
  return sketch;
}

std::vector<KeyDifference> difference(OwnedSketch& left, OwnedSketch& right) {
  NoInterrupts interrupts;
  Sketch sketch = *left;
  sketch.subtract(*right);
  return read_difference(sketch, interrupts);
}

// What a difference must be, the plain way: per key's hash, rows that either side has more of.
struct Counts {
  Key key;
  std::uint64_t left = 0;
  std::uint64_t right = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
};
using Differences = std::map<uint128, Counts>;

Differences expected(const std::vector<Row>& left, const std::vector<Row>& right) {
  std::map<Row, std::int64_t> net;
  for (const Row& row : left) net[row]++;
  for (const Row& row : right) net[row]--;
  Differences found;
  for (const auto& [row, count] : net) {
    if (count == 0) continue;
    Counts& counts = found[hash_of(row.key)];
    if (row.key && row.key->size() <= SketchItem::key_bytes_max) counts.key = row.key;
    (count > 0 ? counts.left : counts.right) += static_cast<std::uint64_t>(count > 0 ? count : -count);
  }
  return found;
}

Differences read(const std::vector<KeyDifference>& rows) {
  Differences found;
  for (const KeyDifference& row : rows) {
    CHECK(found.emplace(row.key_hash, Counts{row.key, row.left_rows, row.right_rows}).second);
  }
  return found;
}

std::string state_of_failure(const std::string& bytes) {
  try {
    OwnedSketch sketch(bytes);
  } catch (const Error& error) {
    return error.state();
  }
  return "";
}

}  // namespace

TEST_CASE("the rows that differ are read, twins counted, whatever the keys") {
  std::mt19937_64 random(20261123);
  for (int round = 0; round < 300; round++) {
    const auto draw = [&](std::uint64_t n) { return static_cast<int>(random() % n); };
    std::vector<Row> left;
    std::vector<Row> right;
    const auto any_row = [&]() -> Row {
      const int kind = draw(20);
      Key key = "order" + std::to_string(random() % 1000000);
      if (kind == 0) key = std::nullopt;
      if (kind == 1) key = "";
      if (kind == 2) key->append(100, 'x');
      if (kind == 3) *key = std::string(48, static_cast<char>('a' + draw(3)));
      if (kind == 4) *key = std::string(49, static_cast<char>('a' + draw(3)));
      if (kind == 5) *key = std::string("\0\xff", 2) + *key;
      return {key, std::to_string(draw(3))};
    };
    for (int i = draw(500); i > 0; i--) {  // on both sides
      left.push_back(any_row());
      right.push_back(left.back());
    }
    for (int i = draw(40); i > 0; i--) (draw(2) == 0 ? left : right).push_back(any_row());
    for (int i = draw(10); i > 0 && !left.empty(); i--) {  // twins, up to many of them
      const Row twin = left[random() % left.size()];
      for (int n = draw(50); n > 0; n--) (draw(2) == 0 ? left : right).push_back(twin);
    }
    for (int i = draw(10); i > 0 && !right.empty(); i--) right[random() % right.size()].rest = "changed";
    OwnedSketch left_sketch = sketch_of(left, 320);
    OwnedSketch right_sketch = sketch_of(right, 320);
    CHECK(read(difference(left_sketch, right_sketch)) == expected(left, right));
  }
}

TEST_CASE("the same rows in another order, in parts and through bytes are the same sketch") {
  std::vector<Row> rows;
  for (int i = 0; i < 1000; i++) rows.push_back({"key" + std::to_string(i % 900), std::to_string(i % 7)});
  OwnedSketch whole = sketch_of(rows, 64);
  std::shuffle(rows.begin(), rows.end(), std::mt19937(5));
  OwnedSketch parts = sketch_of({rows.begin(), rows.begin() + 300}, 64);
  OwnedSketch rest(sketch_of({rows.begin() + 300, rows.end()}, 64).bytes());
  (*parts).combine(*rest);
  CHECK(parts.bytes() == whole.bytes());
  CHECK((*parts).rows() == 1000);
  CHECK(difference(parts, whole).empty());
}

TEST_CASE("keys come in order, those that are not there in full last") {
  OwnedSketch left = sketch_of({{"b", ""}, {std::nullopt, ""}, {"a", ""}, {std::string(60, 'c'), ""}}, 64);
  OwnedSketch right = sketch_of({{"a", "other"}}, 64);
  const std::vector<KeyDifference> rows = difference(left, right);
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].key == "a");
  CHECK(rows[0].left_rows == 1);
  CHECK(rows[0].right_rows == 1);
  CHECK(rows[1].key == "b");
  CHECK(!rows[2].key);
  CHECK(!rows[3].key);
}

TEST_CASE("a sketch that is too small says how many rows differ and how many cells to take, and no row") {
  for (const std::uint64_t rows : {200U, 1000U, 5000U, 100000U}) {
    OwnedSketch left(100);
    OwnedSketch right(100);
    for (std::uint64_t i = 0; i < rows; i++) {
      (*(i % 3 == 0 ? right : left)).add(item_of({"order" + std::to_string(i), ""}));
    }
    std::string state;
    std::string hint;
    std::uint64_t estimate = 0;
    Sketch sketch = *left;
    sketch.subtract(*right);
    estimate = estimated_rows(sketch);
    try {
      NoInterrupts interrupts;
      static_cast<void>(read_difference(sketch, interrupts));
    } catch (const Error& error) {
      state = error.state();
      hint = error.hint();
    }
    CHECK(state == "54000");
    CHECK(hint ==
          "Take both sketches again with " + std::to_string(cells_for(estimate + estimate / 8)) + " cells.");
    CHECK(estimate > rows / 2);
    CHECK(estimate < rows * 2);
  }
}

TEST_CASE("the cells that are advised are enough, also when what is advised after a failure is taken") {
  std::mt19937_64 random(7);
  int failures = 0;
  int sketches = 0;
  for (const std::uint64_t rows : {1U, 2U, 3U, 10U, 30U, 100U, 300U, 1000U, 3000U}) {
    for (std::uint64_t round = 0; round < 6000 / (rows + 20); round++, sketches++) {
      OwnedSketch left(cells_for(rows));
      OwnedSketch right(cells_for(rows));
      for (std::uint64_t i = 0; i < rows; i++) {
        (*(i % 2 == 0 ? left : right)).add(item_of({std::to_string(random()), ""}));
      }
      try {
        CHECK(difference(left, right).size() == rows);
      } catch (const Error&) {
        failures++;
      }
    }
  }
  CHECK(sketches > 1000);
  CHECK(failures <= 3);  // 1 in 10,000 is expected
}

TEST_CASE("bytes that were changed are refused, every one of them") {
  OwnedSketch sketch = sketch_of({{"a", "1"}, {"b", "2"}}, 64);
  const std::string whole = sketch.bytes();
  CHECK(state_of_failure(whole).empty());
  for (std::size_t i = 0; i < whole.size(); i++) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    CHECK(!state_of_failure(bytes).empty());
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{8}, std::size_t{31}, whole.size() - 1}) {
    CHECK(state_of_failure(whole.substr(0, size)) == "22P03");
  }
  CHECK(state_of_failure(whole + "x") == "22P03");
  std::string later = whole;
  later[7] = 2;
  CHECK(state_of_failure(later) == "0A000");
}

TEST_CASE("sketches of different shapes do not meet") {
  OwnedSketch small(64);
  OwnedSketch large(128);
  OwnedSketch wide(64, 3);
  CHECK_THROWS_AS((*small).subtract(*large), Error);
  CHECK_THROWS_AS((*small).combine(*wide), Error);
  CHECK_THROWS_AS(static_cast<void>(Sketch::checked_cells(63)), Error);
  CHECK_THROWS_AS(static_cast<void>(Sketch::checked_cells(1'000'001)), Error);
  CHECK(Sketch::checked_cells(65) == 68);
}

TEST_CASE("sums can be divided by any count") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 1000; i++) {
    const std::uint64_t a = random() % field61::prime;
    const auto count = static_cast<std::int64_t>(random() >> (random() % 60));
    const std::uint64_t n = field61::of_signed(count);
    if (n == 0) continue;
    CHECK(field61::multiply(field61::multiply(a, n), field61::inverse(n)) == a);
    CHECK(field61::add(n, field61::of_signed(-count)) == 0);
  }
}

TEST_CASE("version 1 of the sketch is published: it never changes") {
  OwnedSketch sketch = sketch_of({{"order 1", "12.5"}, {"order 2", ""}, {std::nullopt, "x"}}, 64);
  const std::string bytes = sketch.bytes();
  CHECK(bytes.size() == 5672);
  CHECK(bytes.substr(0, 8) == "RSKETCH\1");
  CHECK(to_string(hash_of(bytes)) == "151429378412962425317240433936779337603");
}

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include "core/error.h"
#include "core/matching/match_log.h"
#include "core/matching/ordered_match.h"
#include "core/matching/partitioned_match.h"

using namespace pg_reconcile::core;

namespace {

KeyedHash::Secret secret_of(unsigned seed) {
  std::mt19937 random(seed);
  KeyedHash::Secret secret;
  for (unsigned char& byte : secret) byte = static_cast<unsigned char>(random());
  return secret;
}

struct PlainRow {
  int key;
  int value;
};

std::vector<CompactRow> compact(const std::vector<PlainRow>& rows, const KeyedHash& hash) {
  std::vector<CompactRow> result;
  for (const PlainRow& row : rows) {
    result.emplace_back(hash(&row.key, sizeof(row.key)), hash(&row.value, sizeof(row.value)), result.size());
  }
  return result;
}

// Chunks in plain memory; a reference is a place in the list, from 1.
class PlainChunks final : public ChunkStore {
 public:
  Open go_on(const Open& full) override {
    chunks_.emplace_back(smallest_chunk / sizeof(Chunk));
    Chunk* chunk = chunks_.back().data();
    chunk->next = full.reference;
    chunk->used = 0;
    chunk->capacity = smallest_chunk - sizeof(Chunk);
    return {chunk, chunks_.size()};
  }
  const Chunk* read(ChunkReference reference) override { return chunks_[reference - 1].data(); }

 private:
  std::vector<std::vector<Chunk>> chunks_;
};

using Ordinals = std::vector<std::uint64_t>;

// Of equal rows, those that were read first have paired.
Ordinals left_over(const OrdinalRun& run) {
  return {run.ordinals.end() - static_cast<std::ptrdiff_t>(run.left_over), run.ordinals.end()};
}

struct Found final : MatchReader {
  std::uint64_t matched = 0;
  Ordinals missing_rows[2], surplus_rows[2];
  std::vector<std::pair<Ordinals, Ordinals>> groups;
  std::pair<Ordinals, Ordinals> open;

  void missing(Side present, std::uint64_t ordinal) override {
    missing_rows[static_cast<int>(present)].push_back(ordinal);
  }
  void surplus(Side present, OrdinalRun run) override {
    const Ordinals rows = left_over(run);
    Ordinals& target = surplus_rows[static_cast<int>(present)];
    target.insert(target.end(), rows.begin(), rows.end());
  }
  void contested(Side side, OrdinalRun run) override {
    const Ordinals rows = left_over(run);
    Ordinals& target = side == Side::left ? open.first : open.second;
    target.insert(target.end(), rows.begin(), rows.end());
  }
  void end_key() override {
    std::sort(open.first.begin(), open.first.end());
    std::sort(open.second.begin(), open.second.end());
    if (!open.first.empty() && !open.second.empty()) {
      groups.push_back(open);
    } else {
      surplus_rows[0].insert(surplus_rows[0].end(), open.first.begin(), open.first.end());
      surplus_rows[1].insert(surplus_rows[1].end(), open.second.begin(), open.second.end());
    }
    open = {};
  }
  void settle() {
    for (int side = 0; side < 2; side++) {
      std::sort(missing_rows[side].begin(), missing_rows[side].end());
      std::sort(surplus_rows[side].begin(), surplus_rows[side].end());
    }
    std::sort(groups.begin(), groups.end());
  }
};

using Partitions = std::vector<std::vector<CompactRow>>;

Partitions partitioned(const std::vector<CompactRow>& rows, unsigned bits) {
  Partitions parts(std::size_t{1} << bits);
  for (const CompactRow& row : rows) parts[partition_of(row, bits)].push_back(row);
  return parts;
}

// Through the log, as processes do that match for another.
Found match_rows(const std::vector<CompactRow>& left, const std::vector<CompactRow>& right,
                 Interrupts& interrupts) {
  const unsigned bits = partition_bits_for(left.size() + right.size(), 10000);
  const Partitions left_parts = partitioned(left, bits);
  const Partitions right_parts = partitioned(right, bits);
  PlainChunks chunks;
  MatchLog log(chunks);
  PartitionMatcher matcher(log, interrupts);
  Found found;
  DividedRows left_rows;
  DividedRows right_rows;
  for (std::size_t i = 0; i < left_parts.size(); i++) {
    for (DividedRows* rows : {&left_rows, &right_rows}) rows->begin(left.size() + right.size(), bits);
    left_rows.add(left_parts[i]);
    right_rows.add(right_parts[i]);
    for (std::size_t p = 0; p < left_rows.parts(); p++) {
      found.matched += matcher.match(left_rows.part(p), right_rows.part(p));
    }
  }
  replay(chunks, log.finish(), found);
  found.settle();
  return found;
}

class VectorRows final : public OrderedRows {
 public:
  explicit VectorRows(std::vector<CompactRow> rows) : rows_(std::move(rows)) {
    std::sort(rows_.begin(), rows_.end(), [](const CompactRow& a, const CompactRow& b) {
      return a.key() != b.key() ? a.key() < b.key() : CompactRow::sorts_before(a, b);
    });
  }
  [[nodiscard]] const CompactRow* head() const override {
    return next_ < rows_.size() ? &rows_[next_] : nullptr;
  }
  void advance() override { next_++; }
  void mark() override { marked_ = next_; }
  void restore() override { next_ = marked_; }

 private:
  std::vector<CompactRow> rows_;
  std::size_t next_ = 0;
  std::size_t marked_ = 0;
};

// As a partition that does not fit into memory.
Found match_in_order(const std::vector<PlainRow>& left, const std::vector<PlainRow>& right, unsigned seed) {
  const KeyedHash hash(secret_of(seed));
  NoInterrupts interrupts;
  PlainChunks chunks;
  MatchLog log(chunks);
  VectorRows left_rows(compact(left, hash));
  VectorRows right_rows(compact(right, hash));
  Found found;
  found.matched = OrderedMatcher(log, interrupts).match(left_rows, right_rows);
  replay(chunks, log.finish(), found);
  found.settle();
  return found;
}

Found match(const std::vector<PlainRow>& left, const std::vector<PlainRow>& right, unsigned seed = 1) {
  const KeyedHash hash(secret_of(seed));
  NoInterrupts interrupts;
  return match_rows(compact(left, hash), compact(right, hash), interrupts);
}

// The same by ordered maps: which rows are left over; of equal ones, the later.
Found match_plainly(const std::vector<PlainRow>& left, const std::vector<PlainRow>& right) {
  Found found;
  std::map<int, std::array<std::map<int, Ordinals>, 2>> keys;
  for (std::size_t i = 0; i < left.size(); i++) keys[left[i].key][0][left[i].value].push_back(i);
  for (std::size_t i = 0; i < right.size(); i++) keys[right[i].key][1][right[i].value].push_back(i);
  for (auto& [key, sides] : keys) {
    const bool one_sided = sides[0].empty() || sides[1].empty();
    for (auto& [value, rows] : sides[0]) {
      Ordinals& others = sides[1][value];
      const std::size_t pairs = std::min(rows.size(), others.size());
      found.matched += pairs;
      rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(pairs));
      others.erase(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(pairs));
    }
    std::pair<Ordinals, Ordinals> rest;
    for (auto& [value, rows] : sides[0]) rest.first.insert(rest.first.end(), rows.begin(), rows.end());
    for (auto& [value, rows] : sides[1]) rest.second.insert(rest.second.end(), rows.begin(), rows.end());
    std::sort(rest.first.begin(), rest.first.end());
    std::sort(rest.second.begin(), rest.second.end());
    if (!rest.first.empty() && !rest.second.empty()) {
      found.groups.push_back(rest);
      continue;
    }
    for (int side = 0; side < 2; side++) {
      const Ordinals& rows = side == 0 ? rest.first : rest.second;
      Ordinals& target = one_sided ? found.missing_rows[side] : found.surplus_rows[side];
      target.insert(target.end(), rows.begin(), rows.end());
    }
  }
  found.settle();
  return found;
}

void check_equal(const Found& a, const Found& b) {
  CHECK(a.matched == b.matched);
  for (int side = 0; side < 2; side++) {
    CHECK(a.missing_rows[side] == b.missing_rows[side]);
    CHECK(a.surplus_rows[side] == b.surplus_rows[side]);
  }
  CHECK(a.groups == b.groups);
}

}  // namespace

TEST_CASE("no rows on either side match without a word") {
  const Found found = match({}, {});
  CHECK(found.matched == 0);
  CHECK(found.groups.empty());
}

TEST_CASE("a key on one side alone is missing on the other, however often it occurs") {
  const Found found = match({{1, 10}, {1, 10}}, {{2, 10}});
  CHECK(found.matched == 0);
  CHECK(found.missing_rows[0] == Ordinals{0, 1});
  CHECK(found.missing_rows[1] == Ordinals{0});
}

TEST_CASE("equal rows pair first, what is left of one side is surplus") {
  const Found found = match({{1, 10}, {1, 20}, {1, 10}}, {{1, 10}, {1, 20}});
  CHECK(found.matched == 2);
  CHECK(found.surplus_rows[0] == Ordinals{2});
  CHECK(found.groups.empty());
}

TEST_CASE("rows left on both sides are contested together") {
  const Found found = match({{1, 10}, {1, 11}}, {{1, 10}, {1, 12}, {1, 13}});
  CHECK(found.matched == 1);
  REQUIRE(found.groups.size() == 1);
  CHECK(found.groups[0].first == Ordinals{1});
  CHECK(found.groups[0].second == Ordinals{1, 2});
}

TEST_CASE("equal rows of which some are left over are all named, in the order of their ordinals") {
  const KeyedHash hash(secret_of(1));
  NoInterrupts interrupts;
  PlainChunks chunks;
  MatchLog log(chunks);
  PartitionMatcher matcher(log, interrupts);
  CHECK(matcher.match(compact({{1, 10}, {1, 10}, {1, 10}}, hash), compact({{1, 10}}, hash)) == 1);
  struct Runs final : MatchReader {
    std::vector<OrdinalRun> runs;
    void missing(Side, std::uint64_t) override {}
    void surplus(Side, OrdinalRun run) override { runs.push_back(std::move(run)); }
    void contested(Side, OrdinalRun) override {}
    void end_key() override {}
  } found;
  replay(chunks, log.finish(), found);
  REQUIRE(found.runs.size() == 1);
  CHECK(found.runs[0].ordinals == Ordinals{0, 1, 2});
  CHECK(found.runs[0].left_over == 2);
}

TEST_CASE("a compact row keeps 80 bits of what is compared and 48 of where it lies") {
  const Hash128 key{1, 2};
  const CompactRow row(key, {5, 0x123456789ABCDEF0}, CompactRow::ordinal_max);
  CHECK(row.ordinal() == CompactRow::ordinal_max);
  CHECK(row.key() == key);
  CHECK(row.equals(CompactRow(key, {5, 0x123456789ABCDEF0}, 0)));
  CHECK(!row.equals(CompactRow(key, {6, 0x123456789ABCDEF0}, CompactRow::ordinal_max)));
  CHECK(!row.equals(CompactRow(key, {5, 0x123456789ABCDEF1}, CompactRow::ordinal_max)));
}

TEST_CASE("random rows match as ordered maps match them") {
  std::mt19937 random(20261122);
  for (int round = 0; round < 300; round++) {
    const auto rows = [&](std::size_t count, int keys, int values) {
      std::vector<PlainRow> result;
      for (std::size_t i = 0; i < count; i++) {
        result.push_back({static_cast<int>(random() % static_cast<unsigned>(keys)),
                          static_cast<int>(random() % static_cast<unsigned>(values))});
      }
      return result;
    };
    const int keys = 1 << (round % 12);
    const int values = 1 + round % 4;
    const auto left = rows(random() % 400, keys, values);
    const auto right = rows(random() % 400, keys, values);
    const Found expected = match_plainly(left, right);
    check_equal(match(left, right, static_cast<unsigned>(round)), expected);
    check_equal(match_in_order(left, right, static_cast<unsigned>(round)), expected);
  }
}

TEST_CASE("many partitions, and half of all rows under one key") {
  std::vector<PlainRow> left;
  std::vector<PlainRow> right;
  for (int i = 0; i < 100000; i++) {
    const int key = i % 2 == 0 ? -1 : i;
    left.push_back({key, i % 3});
    right.push_back({key, (i + (i % 1000 == 0 ? 1 : 0)) % 3});
  }
  CHECK(partition_bits_for(left.size() + right.size(), 10000) > 2);
  check_equal(match(left, right), match_plainly(left, right));
}

TEST_CASE("a key's rows are in one partition on both sides, and keys spread") {
  const KeyedHash hash(secret_of(3));
  std::vector<PlainRow> plain;
  for (int i = 0; i < 10000; i++) plain.push_back({i % 777, i});
  std::map<std::uint64_t, std::size_t> home;
  std::vector<std::size_t> sizes(32);
  for (const CompactRow& row : compact(plain, hash)) {
    const std::size_t partition = partition_of(row, 5);
    CHECK(home.try_emplace(row.key().low, partition).first->second == partition);
    sizes[partition]++;
  }
  CHECK(std::all_of(sizes.begin(), sizes.end(), [](std::size_t size) { return size > 0; }));
  CHECK(partition_of(compact(plain, hash)[0], 0) == 0);
}

TEST_CASE("a list of chunks gives back what was put in, newest chunk first") {
  PlainChunks chunks;
  ChunkWriter<std::uint64_t> writer;
  for (std::uint64_t i = 0; i < 1000; i++) writer.append(i, chunks);
  std::vector<std::uint64_t> all;
  read_chunks<std::uint64_t>(chunks, writer.finish(chunks), [&](std::span<const std::uint64_t> part) {
    all.insert(all.begin(), part.begin(), part.end());
  });
  REQUIRE(all.size() == 1000);
  for (std::uint64_t i = 0; i < 1000; i++) CHECK(all[i] == i);
  CHECK(ChunkWriter<std::uint64_t>().finish(chunks) == 0);
}

TEST_CASE("a cancel reaches a long match") {
  struct Cancel final : Interrupts {
    int polls = 0;
    void poll() override {
      if (++polls == 3) throw Error(sqlstate::query_canceled, "canceled");
    }
  } cancel;
  const KeyedHash hash(secret_of(1));
  std::vector<PlainRow> rows(100000, {1, 1});
  CHECK_THROWS_AS(match_rows(compact(rows, hash), compact(rows, hash), cancel), Error);
}

TEST_CASE("hashes depend on the whole input and on the key") {
  const KeyedHash one(secret_of(1));
  const KeyedHash two(secret_of(2));
  CHECK(one("abc", 3) == one("abc", 3));
  CHECK(one("abc", 3) != one("abd", 3));
  CHECK(one("abc", 3) != one("abc", 2));
  CHECK(one("abc", 3) != two("abc", 3));
  CHECK(stable_hash("abc", 3) == stable_hash("abc", 3));
}

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include "core/error.h"
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
  std::uint64_t image = 0;
};

std::vector<CompactRow> compact(const std::vector<PlainRow>& rows, const KeyedHash& hash) {
  std::vector<CompactRow> result;
  for (const PlainRow& row : rows) {
    result.push_back({hash(&row.key, sizeof(row.key)), hash(&row.value, sizeof(row.value)), row.image,
                      static_cast<std::uint64_t>(result.size())});
  }
  return result;
}

using Ordinals = std::vector<std::uint64_t>;

struct Found final : MatchSink {
  std::uint64_t matched = 0;
  Ordinals missing_rows[2], surplus_rows[2], contested_rows[2];
  std::vector<std::pair<Ordinals, Ordinals>> groups;

  void missing(Side present, std::uint64_t ordinal) override {
    missing_rows[static_cast<int>(present)].push_back(ordinal);
  }
  void surplus(Side present, std::uint64_t ordinal) override {
    surplus_rows[static_cast<int>(present)].push_back(ordinal);
  }
  void contested(std::span<const LeftoverRow> left, std::span<const LeftoverRow> right) override {
    std::pair<Ordinals, Ordinals> group;
    for (const LeftoverRow& row : left) group.first.push_back(row.ordinal);
    for (const LeftoverRow& row : right) group.second.push_back(row.ordinal);
    std::sort(group.first.begin(), group.first.end());
    std::sort(group.second.begin(), group.second.end());
    groups.push_back(group);
  }
  void settle() {
    for (int side = 0; side < 2; side++) {
      std::sort(missing_rows[side].begin(), missing_rows[side].end());
      std::sort(surplus_rows[side].begin(), surplus_rows[side].end());
    }
    std::sort(groups.begin(), groups.end());
  }
};

Found match(const std::vector<PlainRow>& left, const std::vector<PlainRow>& right, unsigned seed = 1) {
  const KeyedHash hash(secret_of(seed));
  Found found;
  NoInterrupts interrupts;
  found.matched = match_rows(compact(left, hash), compact(right, hash), found, interrupts);
  found.settle();
  return found;
}

// The same by ordered maps: which rows are left over, for rows without images the later ones.
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

TEST_CASE(
    "of equal rows that are written differently the same ones are left over in any order and under any hash "
    "key") {
  for (unsigned seed = 1; seed < 20; seed++) {
    CHECK(match({{1, 10, 7}, {1, 10, 3}, {1, 10, 5}}, {{1, 10, 9}}, seed).surplus_rows[0] == Ordinals{0, 2});
    CHECK(match({{1, 10, 3}, {1, 10, 5}, {1, 10, 7}}, {{1, 10, 9}}, seed).surplus_rows[0] == Ordinals{1, 2});
  }
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
    check_equal(match(left, right, static_cast<unsigned>(round)), match_plainly(left, right));
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
  CHECK(partition_bits_for(left.size() + right.size()) > 4);
  check_equal(match(left, right), match_plainly(left, right));
}

TEST_CASE("partitioning keeps every row, and a key's rows together") {
  const KeyedHash hash(secret_of(3));
  std::vector<PlainRow> plain;
  for (int i = 0; i < 10000; i++) plain.push_back({i % 777, i});
  NoInterrupts interrupts;
  const PartitionedRows parts(compact(plain, hash), 5, interrupts);
  REQUIRE(parts.partitions() == 32);
  std::vector<bool> seen(plain.size());
  std::map<std::uint64_t, std::size_t> home;
  for (std::size_t p = 0; p < parts.partitions(); p++) {
    for (const CompactRow& row : parts.partition(p)) {
      CHECK(!seen[row.ordinal]);
      seen[row.ordinal] = true;
      CHECK(home.try_emplace(row.key.low, p).first->second == p);
    }
  }
  CHECK(std::count(seen.begin(), seen.end(), true) == 10000);
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
  Found found;
  CHECK_THROWS_AS(match_rows(compact(rows, hash), compact(rows, hash), found, cancel), Error);
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

#include "core/matching/row_survey.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>

using namespace pg_reconcile::core;

namespace {

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

struct PlainRow {
  int key;
  int value;
};
using Rows = std::vector<PlainRow>;
using Places = std::set<std::uint64_t>;

struct Answer {
  Places suspects[2];
  std::size_t fine_words = 0;
  bool is_settled = false;
};

constexpr Side both[] = {Side::left, Side::right};

// Several processes share the rows of both sides; `forget`: a suspect that is not read again.
Answer survey(const Rows (&rows)[2], std::size_t processes, unsigned bits, unsigned seed,
              bool forget = false) {
  std::mt19937 random(seed);
  KeyedHash::Secret secret;
  for (unsigned char& byte : secret) byte = static_cast<unsigned char>(random());
  const KeyedHash hash(secret);
  const auto hashes_of = [&](const PlainRow& row) {
    const Hash128 key = hash.word(static_cast<std::uint64_t>(row.key));
    const Hash128 value = hash.word(static_cast<std::uint64_t>(row.value));
    const Hash128 all[] = {key, value};
    return std::pair(key, hash(all, sizeof(all)));
  };

  std::vector<BucketSums::Sum> sums(std::size_t{1} << bits);
  std::vector<PlainChunks> stores(processes);
  std::vector<std::unique_ptr<RowSurvey>> parts;
  for (PlainChunks& store : stores) parts.push_back(std::make_unique<RowSurvey>(BucketSums(sums), store));
  for (const Side side : both) {
    for (const auto& part : parts) part->begin(side);
    const Rows& mine = rows[static_cast<std::size_t>(side)];
    // Places as pages have them: some numbers are left out, and a page is one process's.
    for (std::size_t i = 0; i < mine.size(); i++) {
      const auto [key, digest] = hashes_of(mine[i]);
      parts[i / 50 % processes]->add(i + i / 7 * 100, key, digest);
    }
    for (const auto& part : parts) part->end(side);
  }
  for (const auto& part : parts) part->share();

  Answer answer;
  NoInterrupts interrupts;
  answer.fine_words = parts.front()->fine_words_wanted(rows[0].size() + rows[1].size());
  if (answer.fine_words > 0) {
    std::vector<std::uint64_t> fine(answer.fine_words);
    for (const auto& part : parts) part->find_suspects(fine, interrupts);
    for (const auto& part : parts) {
      for (const Side side : both) {
        part->visit_suspects(side, fine, [&](std::uint64_t place) {
          const auto i = static_cast<std::size_t>(side);
          const std::uint64_t row = place / 107 * 7 + place % 107;
          if (std::exchange(forget, false)) return;
          answer.suspects[i].insert(row);
          const auto [key, digest] = hashes_of(rows[i][row]);
          part->settle(side, key, digest);
        });
      }
    }
  }
  answer.is_settled = parts.back()->is_settled();
  return answer;
}

// The rows of all keys whose rows are not the same, as often, on both sides.
std::set<int> differing_keys(const Rows (&rows)[2]) {
  std::map<int, std::map<int, int>> counts;
  for (const PlainRow& row : rows[0]) counts[row.key][row.value]++;
  for (const PlainRow& row : rows[1]) counts[row.key][row.value]--;
  std::set<int> keys;
  for (const auto& [key, values] : counts) {
    for (const auto& [value, count] : values) {
      if (count != 0) keys.insert(key);
    }
  }
  return keys;
}

}  // namespace

TEST_CASE("row survey: equal sides in any order need nothing more") {
  Rows rows[2];
  for (int i = 0; i < 5000; i++) rows[0].push_back({i % 3000, i % 11});
  rows[1].assign(rows[0].rbegin(), rows[0].rend());
  for (const std::size_t processes : {1U, 3U}) {
    const Answer answer = survey(rows, processes, 10, 1);
    CHECK(answer.fine_words == 0);
    CHECK(answer.is_settled);
  }
}

TEST_CASE("row survey: every row of a key that differs is read again, and few others") {
  for (unsigned seed = 1; seed <= 60; seed++) {
    std::mt19937 random(seed);
    const auto up_to = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
    const int keys = seed % 3 == 0 ? 5 : 2000;  // half of all rows under one key, or nearly none twice
    Rows rows[2];
    for (int i = 0; i < 4000; i++) {
      const PlainRow row{up_to(2) == 0 && keys == 5 ? 0 : up_to(keys), up_to(3)};
      if (up_to(300) != 0) rows[0].push_back(row);
      if (up_to(300) != 0) rows[1].push_back({row.key, up_to(300) == 0 ? 7 : row.value});
      if (up_to(500) == 0) rows[1].push_back(row);
    }
    std::shuffle(rows[1].begin(), rows[1].end(), random);
    const std::set<int> wanted = differing_keys(rows);
    const Answer answer = survey(rows, 1 + seed % 3, 4 + seed % 8, seed);
    CHECK(answer.is_settled);
    for (std::size_t side = 0; side < 2; side++) {
      std::size_t needed = 0;
      for (std::size_t i = 0; i < rows[side].size(); i++) {
        if (!wanted.contains(rows[side][i].key)) continue;
        needed++;
        CHECK(answer.suspects[side].contains(i));
      }
      CHECK(answer.suspects[side].size() <= needed + rows[side].size() / 10);
    }
  }
}

TEST_CASE("row survey: a row that differs and is not read again shows") {
  Rows rows[2];
  for (int i = 0; i < 3000; i++) {
    rows[0].push_back({i, i % 5});
    rows[1].push_back({i, i % 100 == 0 ? 77 : i % 5});
  }
  CHECK(survey(rows, 2, 8, 3).is_settled);
  CHECK_FALSE(survey(rows, 2, 8, 3, true).is_settled);
}

TEST_CASE("row survey: copies count") {
  Rows rows[2] = {{{1, 1}, {1, 1}, {2, 2}}, {{1, 1}, {2, 2}, {2, 2}}};
  const Answer answer = survey(rows, 1, 4, 5);
  CHECK(answer.suspects[0] == Places{0, 1, 2});
  CHECK(answer.suspects[1] == Places{0, 1, 2});
  CHECK(answer.is_settled);
}

TEST_CASE("row survey: buckets by rows, as far as memory goes") {
  CHECK(survey_bits_for(0, 1 << 20) == 4);
  CHECK(survey_bits_for(20'000'000, std::uint64_t{1} << 30) == 21);
  CHECK(survey_bits_for(20'000'000, std::uint64_t{1} << 20) == 16);
  CHECK(survey_bits_for(16'000, std::uint64_t{1} << 30) == 11);
}

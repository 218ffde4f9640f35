// A first look at two sides, after which only rows that may differ are looked at again.
//
// Every row's digest, a keyed hash of its key and its compared columns, is added to the sum of its key's
// bucket when the row is of the left side, and subtracted when it is of the right. Where a bucket's sums are
// zero at the end, both sides have the same rows in it, as often: each has its equal, and none is needed any
// more. Of each row 64 bits wait until that is known, in the order of reading: half of them of the key, half
// of the digest. In buckets that are not zero they are summed once more, in finer ones: what is left is about
// as much as really differs, and the caller reads those rows again.
//
// The 64 bits prove nothing, so rows that were read again take their digests back: when all sums are zero
// then, the rows that were not read again are equal as multisets, by 128-bit sums (docs/decisions/0014).
#pragma once

#ifdef POSTGRES_H
#error "core/ never meets postgres.h: include core headers first"
#endif

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/chunk.h"
#include "core/matching/keyed_hash.h"
#include "core/matching/partitioned_match.h"

namespace pg_reconcile::core {

// Two sums modulo 2^64 for each of 2^bits buckets.
class BucketSums {
 public:
  struct Sum {
    std::uint64_t low;
    std::uint64_t high;
    [[nodiscard]] bool is_zero() const { return (low | high) == 0; }
  };

  explicit BucketSums(std::span<Sum> sums) : sums_(sums) {}
  [[nodiscard]] std::size_t size() const { return sums_.size(); }
  [[nodiscard]] const Sum& operator[](std::size_t bucket) const { return sums_[bucket]; }
  void prefetch(std::size_t bucket) const { __builtin_prefetch(&sums_[bucket], 1); }
  // `sign`: 0 to add, all ones to subtract.
  void add(std::size_t bucket, const Hash128& digest, std::uint64_t sign) {
    sums_[bucket].low += (digest.low ^ sign) - sign;
    sums_[bucket].high += (digest.high ^ sign) - sign;
  }
  // The same while other processes do it, too.
  void add_shared(std::size_t bucket, const Hash128& digest, std::uint64_t sign);

 private:
  std::span<Sum> sums_;
};

// Memory of zeros for sums that one process alone adds to: large pages where the system has them.
class PrivateSums {
 public:
  explicit PrivateSums(std::size_t buckets);
  ~PrivateSums();
  PrivateSums(const PrivateSums&) = delete;
  PrivateSums& operator=(const PrivateSums&) = delete;
  [[nodiscard]] BucketSums sums() const { return BucketSums({memory_, buckets_}); }

 private:
  BucketSums::Sum* memory_;
  std::size_t buckets_;
};

// How many buckets a survey has, of 16 bytes each: about one for eight rows of both sides, as far as
// `bytes_max` go.
[[nodiscard]] unsigned survey_bits_for(std::uint64_t rows, std::uint64_t bytes_max);

// One process's part of a survey. All processes go through its steps together: nobody begins one before
// everybody has ended the one before.
class RowSurvey {
 public:
  static constexpr unsigned bits_max = 21;

  // `shared`: the sums of all processes, 2^bits of them. `store`: of this process alone.
  RowSurvey(BucketSums shared, ChunkStore& store);

  // Step 1: every row, side by side.
  void begin(Side side) {
    sign_ = side == Side::left ? 0 : ~std::uint64_t{0};
    side_ = side;
  }
  // `place`: 48 bits by which the caller finds the row again. Rows whose places follow each other take the
  // least memory.
  void add(std::uint64_t place, const Hash128& key, const Hash128& digest) {
    if (place != run_place_ + run_rows_ || run_rows_ == run_rows_max) end_run(place);
    Row& row = run_[run_rows_++];
    row.mark = (key.high & key_mask) | (digest.low >> 32);
    row.digest = digest;
    own_.prefetch(bucket_of(row.mark));
  }
  [[nodiscard]] std::uint64_t rows(Side side) const { return rows_[static_cast<std::size_t>(side)]; }
  void end(Side side);
  void share();

  // Step 2, by one process: how many words `fine` should have for so many rows of both sides, a power of two;
  // 0: no row differs.
  [[nodiscard]] std::size_t fine_words_wanted(std::uint64_t rows) const;
  // Step 3: finds the rows of buckets that are not zero, and adds them to `fine`, words of zero that all
  // processes share.
  void find_suspects(std::span<std::uint64_t> fine, Interrupts& interrupts);

  // Step 4: calls `visit(place)` for each row of a side that is to be read again, in about the order of
  // reading. Who reads it calls settle().
  template <class Visit>
  void visit_suspects(Side side, std::span<const std::uint64_t> fine, Visit visit);
  void settle(Side side, const Hash128& key, const Hash128& digest) {
    shared_.add_shared(bucket_of(key.high), digest, side == Side::left ? ~std::uint64_t{0} : 0);
  }

  // Step 5: whether the rows that were not read again are equal on both sides.
  [[nodiscard]] bool is_settled() const;

 private:
  static constexpr std::uint64_t key_mask = 0xFFFFFFFF00000000U;
  static constexpr std::size_t run_rows_max = 256;
  static constexpr std::size_t sides = 2;

  struct Row {
    std::uint64_t mark;
    Hash128 digest;
  };

  [[nodiscard]] std::size_t bucket_of(std::uint64_t mark) const {
    return static_cast<std::size_t>(mark >> shift_);
  }
  [[nodiscard]] static std::size_t fine_of(std::uint64_t mark, std::size_t words) {
    return static_cast<std::size_t>((mark & key_mask) * 0x9E3779B97F4A7C15U >> 32) & (words - 1);
  }
  [[nodiscard]] bool is_open(std::uint64_t mark) const {
    const std::size_t bucket = bucket_of(mark);
    return ((open_[bucket / 64] >> (bucket % 64)) & 1) != 0;
  }
  void end_run(std::uint64_t next_place);

  BucketSums shared_;
  ChunkStore& store_;
  unsigned shift_;
  std::unique_ptr<PrivateSums> memory_;
  BucketSums own_;
  Side side_ = Side::left;
  std::uint64_t sign_ = 0;
  std::uint64_t run_place_ = 0;
  std::size_t run_rows_ = 0;
  std::array<Row, run_rows_max> run_;
  // Runs of rows: a word of the first place and how many there are, then the marks.
  std::array<ChunkWriter<std::uint64_t>, sides> marks_;
  std::array<ChunkReference, sides> marks_end_{};
  std::array<std::uint64_t, sides> rows_{};
  std::vector<std::uint64_t> open_;  // a bit for each bucket that is not zero
  // Place and mark of each row of an open bucket.
  std::array<ChunkWriter<std::uint64_t>, sides> suspects_;
  std::array<ChunkReference, sides> suspects_end_{};
};

// Calls `visit(std::span<const Value>)` for each chunk of a list, oldest first.
template <class Value, class Visit>
void read_chunks_in_order(ChunkStore& store, ChunkReference newest, Visit visit) {
  std::vector<ChunkReference> references;
  for (ChunkReference reference = newest; reference != 0; reference = store.read(reference)->next)
    references.push_back(reference);
  for (auto reference = references.rbegin(); reference != references.rend(); ++reference) {
    const Chunk* chunk = store.read(*reference);
    visit(std::span(reinterpret_cast<const Value*>(chunk->payload()), chunk->used / sizeof(Value)));
  }
}

template <class Visit>
void RowSurvey::visit_suspects(Side side, std::span<const std::uint64_t> fine, Visit visit) {
  bool is_place = true;
  std::uint64_t place = 0;
  const auto take = [&](std::span<const std::uint64_t> words) {
    for (const std::uint64_t word : words) {
      if (is_place) {
        place = word;
      } else if (fine[fine_of(word, fine.size())] != 0) {
        visit(place);
      }
      is_place = !is_place;
    }
  };
  read_chunks_in_order<std::uint64_t>(store_, suspects_end_[static_cast<std::size_t>(side)], take);
}

}  // namespace pg_reconcile::core

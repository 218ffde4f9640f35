// The hash match: which rows of two sides pair exactly, and which are left over.
//
// Rows are compact: two keyed hashes and where the row came from. Both sides are partitioned by the key's
// hash (in place, so that memory stays what the rows take) and each partition is matched by itself in a table
// that fits the cache. Partitions share nothing: they may be matched in any order and by many processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/keyed_hash.h"

namespace pg_reconcile::core {

enum class Side : std::uint8_t { left, right };

struct CompactRow {
  Hash128 key;
  Hash128 compared;       // of all compared columns
  std::uint64_t image;    // stable hash of how the values are written: 1.0 and 1.00 are equal and differ here
  std::uint64_t ordinal;  // where the row's source finds it again
};

struct LeftoverRow {
  std::uint64_t ordinal;
  std::uint64_t image;
};

// What a match finds. Of rows that are equal in key and compared columns, those with the smallest (image,
// ordinal) pair first: the same data leaves the same rows over, whatever order they were read in.
class MatchSink {
 public:
  virtual ~MatchSink() = default;
  // The other side has no row of this row's key.
  virtual void missing(Side present, std::uint64_t ordinal) = 0;
  // The other side has rows of this key, and all of them paired exactly with others.
  virtual void surplus(Side present, std::uint64_t ordinal) = 0;
  // Rows of one key that did not pair exactly, on both sides. No order that means anything.
  virtual void contested(std::span<const LeftoverRow> left, std::span<const LeftoverRow> right) = 0;
};

// One side's rows, reordered by partition. A key's rows are in the same partition on both sides.
class PartitionedRows {
 public:
  PartitionedRows(std::vector<CompactRow> rows, unsigned partition_bits, Interrupts& interrupts);
  [[nodiscard]] std::size_t partitions() const { return starts_.size() - 1; }
  [[nodiscard]] std::span<const CompactRow> partition(std::size_t i) const {
    return std::span(rows_).subspan(starts_[i], starts_[i + 1] - starts_[i]);
  }

 private:
  std::vector<CompactRow> rows_;
  std::vector<std::size_t> starts_;
};

// Bits that make partitions of about 4,096 rows, of at most 2^12 partitions.
unsigned partition_bits_for(std::size_t rows);

// Matches the rows of one partition; returns how many pairs are exactly equal.
// Throws core::Error 54000 beyond 2^32 - 2 rows of one partition (one key that often).
class PartitionMatcher {
 public:
  PartitionMatcher(MatchSink& sink, Interrupts& interrupts) : sink_(sink), interrupts_(interrupts) {}
  std::uint64_t match(std::span<const CompactRow> left, std::span<const CompactRow> right);

 private:
  static constexpr std::uint32_t none = 0xFFFFFFFFU;
  struct Group {  // the rows of one key: chains through next_, newest first
    std::uint32_t left = none;
    std::uint32_t right = none;
  };

  void index(std::span<const CompactRow> rows, std::span<const CompactRow> left,
             std::span<const CompactRow> right, std::uint32_t Group::*chain,
             std::vector<std::uint32_t>& next);
  std::uint64_t match_group(const Group& group, std::span<const CompactRow> left,
                            std::span<const CompactRow> right);
  std::uint64_t match_many(const Group& group, std::span<const CompactRow> left,
                           std::span<const CompactRow> right);
  void missing_chain(Side present, std::uint32_t row, std::span<const CompactRow> rows,
                     const std::vector<std::uint32_t>& next);

  MatchSink& sink_;
  Interrupts& interrupts_;
  // Kept between partitions, so that memory is taken once.
  std::vector<std::uint32_t> slots_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> next_left_, next_right_;
  std::vector<CompactRow> many_left_, many_right_;
  std::vector<LeftoverRow> over_left_, over_right_;
};

// Both steps for a single process.
std::uint64_t match_rows(std::vector<CompactRow> left, std::vector<CompactRow> right, MatchSink& sink,
                         Interrupts& interrupts);

}  // namespace pg_reconcile::core

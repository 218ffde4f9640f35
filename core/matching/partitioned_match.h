// The hash match: which rows of two sides pair exactly, and which are left over.
//
// Rows are compact: 32 bytes, two keyed hashes and where the row came from. Both sides are partitioned by the
// key's hash, and each partition is matched by itself in a table that fits the cache. Partitions share
// nothing: they may be matched in any order and by many processes (docs/decisions/0011).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "core/interrupts.h"
#include "core/matching/keyed_hash.h"

namespace pg_reconcile::core {

enum class Side : std::uint8_t { left, right };

// 128 bits of the key's hash; 80 bits of the hash of all compared columns (with the key or without), which
// tell rows of one key apart;
// 48 bits that say where the row's source finds it again.
class CompactRow {
 public:
  static constexpr unsigned ordinal_bits = 48;
  static constexpr std::uint64_t ordinal_max = (std::uint64_t{1} << ordinal_bits) - 1;

  CompactRow() = default;
  CompactRow(const Hash128& key, const Hash128& compared, std::uint64_t ordinal)
      : key_(key),
        compared_(compared.low),
        rest_((compared.high << ordinal_bits) | (ordinal & ordinal_max)) {}

  // The row as four words: they sort as key, compared columns and ordinal do.
  explicit CompactRow(const std::array<std::uint64_t, 4>& words)
      : key_{words[0], words[1]}, compared_(words[2]), rest_(words[3]) {}
  [[nodiscard]] std::array<std::uint64_t, 4> words() const { return {key_.low, key_.high, compared_, rest_}; }

  [[nodiscard]] const Hash128& key() const { return key_; }
  [[nodiscard]] std::uint64_t ordinal() const { return rest_ & ordinal_max; }
  // The 80 bits of the compared columns: the low 64, and 16 more.
  [[nodiscard]] std::uint64_t compared_low() const { return compared_; }
  [[nodiscard]] std::uint16_t compared_high() const {
    return static_cast<std::uint16_t>(rest_ >> ordinal_bits);
  }
  // Both rows have this key: whether their compared columns are equal, too.
  [[nodiscard]] bool equals(const CompactRow& other) const { return (*this <=> other) == 0; }
  // By the hash of the compared columns.
  friend std::strong_ordering operator<=>(const CompactRow& a, const CompactRow& b) {
    if (const auto order = a.compared_ <=> b.compared_; order != 0) return order;
    return (a.rest_ >> ordinal_bits) <=> (b.rest_ >> ordinal_bits);
  }
  static bool sorts_before(const CompactRow& a, const CompactRow& b) {
    return std::tie(a.compared_, a.rest_) < std::tie(b.compared_, b.rest_);
  }

 private:
  Hash128 key_;
  std::uint64_t compared_ = 0;
  std::uint64_t rest_ = 0;
};
static_assert(sizeof(CompactRow) == 32);

// Rows of one side that are equal in key and compared columns, of which some did not pair. Which of them is
// for the sink to say: they may still differ in how their values are written (1.0 and 1.00).
struct LeftoverRun {
  std::span<const CompactRow> rows;  // in the order of their ordinals
  std::size_t left_over;             // 1 to rows.size()
};

// What a match finds.
class MatchSink {
 public:
  virtual ~MatchSink() = default;
  // The other side has no row of this row's key.
  virtual void missing(Side present, std::uint64_t ordinal) = 0;
  // The other side has rows of this key, and all of them paired exactly with others.
  virtual void surplus(Side present, const LeftoverRun& run) = 0;
  // Rows of one key that did not pair exactly, on both sides. No order that means anything.
  virtual void contested(std::span<const LeftoverRun> left, std::span<const LeftoverRun> right) = 0;

  // Piece by piece, for a key with rows on both sides and more of them than fit into memory: runs of either
  // side in any order, of each `rows` ordinals that ascend, then the key's end. Without any run left over
  // nothing is said.
  virtual void begin_run(Side side, std::uint64_t rows, std::uint64_t left_over) = 0;
  virtual void add_to_run(std::uint64_t ordinal) = 0;
  virtual void end_key() = 0;
};

// A key's rows are in the same partition on both sides.
[[nodiscard]] inline std::size_t partition_of(const CompactRow& row, unsigned bits) {
  return bits == 0 ? 0 : static_cast<std::size_t>(row.key().high >> (64 - bits));
}

// In how many partitions (2^bits) rows should wait while they are read: few, as writing to many places at
// once is what costs; but of no more than about `rows_max` rows each.
[[nodiscard]] unsigned partition_bits_for(std::uint64_t rows, std::uint64_t rows_max);

// One side's rows of one partition, divided once more by the key's hash: into parts of about 20,000 rows of
// both sides, which a core's cache holds.
class DividedRows {
 public:
  // Forgets its memory, too.
  void clear() { parts_.clear(); }
  // Empties it. `rows`: about how many there are, of both sides, in one of 2^bits partitions.
  void begin(std::uint64_t rows, unsigned bits);
  void add(std::span<const CompactRow> rows) {
    for (const CompactRow& row : rows) parts_[part_of(row)].push_back(row);
  }
  [[nodiscard]] std::size_t parts() const { return std::size_t{1} << part_bits_; }
  [[nodiscard]] std::span<const CompactRow> part(std::size_t i) const { return parts_[i]; }

 private:
  [[nodiscard]] std::size_t part_of(const CompactRow& row) const {
    return part_bits_ == 0 ? 0 : static_cast<std::size_t>((row.key().high << bits_) >> (64 - part_bits_));
  }

  unsigned bits_ = 0;
  unsigned part_bits_ = 0;
  std::vector<std::vector<CompactRow>> parts_;
};

// What is made of the rows of one part.
class PartMatcher {
 public:
  virtual ~PartMatcher() = default;
  // Returns how many pairs it found.
  virtual std::uint64_t match(std::span<const CompactRow> left, std::span<const CompactRow> right) = 0;
};

// The rows of one part by their keys.
class KeyGroups {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFU;
  struct Group {  // the rows of one key: chains through next_left() and next_right(), newest first
    std::uint32_t left = none;
    std::uint32_t right = none;
  };

  // Throws core::Error 54000 beyond 2^32 - 2 rows (one key that often).
  void build(std::span<const CompactRow> left, std::span<const CompactRow> right, Interrupts& interrupts);
  [[nodiscard]] const std::vector<Group>& groups() const { return groups_; }
  [[nodiscard]] std::uint32_t next_left(std::uint32_t row) const { return next_left_[row]; }
  [[nodiscard]] std::uint32_t next_right(std::uint32_t row) const { return next_right_[row]; }
  [[nodiscard]] bool is_one_to_one(const Group& group) const {
    return group.left != none && group.right != none && next_left_[group.left] == none &&
           next_right_[group.right] == none;
  }

 private:
  void index(std::span<const CompactRow> rows, std::span<const CompactRow> left,
             std::span<const CompactRow> right, std::uint32_t Group::*chain, std::vector<std::uint32_t>& next,
             Interrupts& interrupts);

  // Kept between parts, so that memory is taken once.
  std::vector<std::uint32_t> slots_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> next_left_, next_right_;
};

// Pairs rows whose compared columns are equal, and says what is left over.
class PartitionMatcher final : public PartMatcher {
 public:
  PartitionMatcher(MatchSink& sink, Interrupts& interrupts) : sink_(sink), interrupts_(interrupts) {}
  std::uint64_t match(std::span<const CompactRow> left, std::span<const CompactRow> right) override;

 private:
  std::uint64_t match_group(const KeyGroups::Group& group, std::span<const CompactRow> left,
                            std::span<const CompactRow> right);
  std::uint64_t match_many(const KeyGroups::Group& group, std::span<const CompactRow> left,
                           std::span<const CompactRow> right);

  MatchSink& sink_;
  Interrupts& interrupts_;
  KeyGroups keys_;
  std::vector<CompactRow> many_left_, many_right_;
  std::vector<LeftoverRun> over_left_, over_right_;
};

}  // namespace pg_reconcile::core

// Rows of heap tables, read page by page (extension/pg/heap_scan.h) and found again by where they lie: a
// tuple's place is the same under the same snapshot.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "extension/compare/row_expressions.h"
#include "extension/compare/row_source.h"
#include "extension/pg/heap_scan.h"

namespace pg_reconcile::pg {

// One of the tables that a side consists of: itself, or a partition. Blocks are numbered through all tables
// of the side.
struct HeapTable {
  Oid relation;
  BlockNumber first_block;
  BlockNumber blocks;
};

// What a process must know to scan a side; lies in shared memory when there are several.
struct HeapSide {
  std::span<const HeapTable> tables;
  std::span<const AttrNumber> attributes;  // of each table in turn: the inputs of its rows
  pg_atomic_uint64* next_block;            // handed out so far
  std::optional<std::int64_t> expected_rows;
  const char* expressions;  // RowExpressions, or empty
};

// One process's reading of a side, by the side's own block numbers.
class HeapSideReader {
 public:
  explicit HeapSideReader(const HeapSide& side);

  // Blocks that nobody has read yet: from the first, before the second; empty when none is left.
  std::pair<std::uint64_t, std::uint64_t> next_blocks();

  // Calls `visit(const Datum* values, const bool* nulls, std::uint64_t place)` for the visible tuples of a
  // block of which `is_wanted(OffsetNumber)` says so.
  template <class Wanted, class Visit>
  void read_block(std::uint64_t block, Wanted&& is_wanted, Visit&& visit) {
    const std::uint64_t place = block << place_offset_bits;
    scan_of(block).read_block(static_cast<BlockNumber>(block - side_.tables[table_].first_block), is_wanted,
                              [&](Datum* values, bool* nulls, OffsetNumber offset) {
                                if (expressions_ && !expressions_->compute(values, nulls)) return;
                                visit(values, nulls, place | offset);
                              });
  }

  // A place is a block of the side and an offset in it.
  static constexpr unsigned place_offset_bits = 16;

 private:
  HeapScan& scan_of(std::uint64_t block);

  HeapSide side_;
  std::size_t columns_ = 0;
  std::uint64_t blocks_ = 0;
  std::size_t table_ = 0;
  std::optional<HeapScan> scan_;  // of table_
  std::optional<RowExpressions> expressions_;
};

// Scans blocks until none is left.
void scan_heap_side(const HeapSide& side, RowHasher& hasher, MatchParticipant& match);

class HeapSource final : public RowSource {
 public:
  // The tables that hold a relation's rows, or why the executor has to read them.
  struct Leaves {
    std::string reason;  // empty: they can be read page by page
    std::vector<Oid> tables;
    RowExpressionPlan expressions;
  };
  static Leaves leaves_of(const ComparedRelation& relation, core::Side side, const ComparePlan& plan,
                          const std::optional<std::string>& filter);

  HeapSource(const ComparedRelation& relation, const Leaves& leaves, core::Side side,
             const ComparePlan& plan);

  void read(RowHasher& hasher, MatchParticipant& match) override;
  // The side as one process reads it.
  [[nodiscard]] HeapSide side(pg_atomic_uint64& next_block) const {
    return {tables_, attributes_, &next_block, expected_rows_, expressions_.c_str()};
  }
  [[nodiscard]] TupleDesc description() const override { return description_; }
  void fetch(std::span<const std::uint64_t> ordinals, RowVisitor& visitor) override;

  [[nodiscard]] std::span<const HeapTable> tables() const { return tables_; }
  [[nodiscard]] std::span<const AttrNumber> attributes() const { return attributes_; }
  [[nodiscard]] std::size_t inputs() const { return inputs_; }
  [[nodiscard]] const std::string& expressions() const { return expressions_; }
  [[nodiscard]] std::uint64_t blocks() const;
  [[nodiscard]] std::uint64_t estimated_rows() const { return estimated_rows_; }
  // Of reading all of it, in the planner's units.
  [[nodiscard]] double estimated_cost() const;
  // What statistics say, for progress alone.
  [[nodiscard]] std::optional<std::int64_t> expected_rows() const { return expected_rows_; }
  // A temporary table's pages are in this process's own memory.
  [[nodiscard]] bool is_shared() const { return is_shared_; }

 private:
  std::vector<HeapTable> tables_;
  std::vector<AttrNumber> attributes_;
  std::size_t inputs_;  // of a row
  std::string expressions_;
  std::uint64_t estimated_rows_ = 0;
  std::optional<std::int64_t> expected_rows_;
  bool is_shared_ = true;
  TupleDesc description_;
};

}  // namespace pg_reconcile::pg

// One side's rows of keys that did not pair exactly, sorted through temporary files: key by key, and of one
// key in the order in which they pair.
#pragma once

#include "core/matching/byte_buffer.h"
#include "extension/compare/compare_plan.h"

extern "C" {
#include <executor/tuptable.h>
#include <utils/tuplesort.h>
}

namespace pg_reconcile::pg {

// A row's values in the order of the plan's columns.
struct RowValues {
  Datum* values = nullptr;
  bool* nulls = nullptr;
};

class ContestedRows {
 public:
  // `memory`: bytes.
  ContestedRows(const ComparePlan& plan, std::uint64_t memory);
  ~ContestedRows();
  ContestedRows(const ContestedRows&) = delete;
  ContestedRows& operator=(const ContestedRows&) = delete;

  // `key`: a number that stands for the key, on both sides.
  void add(std::uint64_t key, const RowValues& row);

  // From here on rows come back: by key, then as ORDER BY has the compared columns (NULL last), then by how
  // equal values are written.
  void sort();
  [[nodiscard]] bool is_at_end() const { return is_at_end_; }
  [[nodiscard]] std::uint64_t key() const;
  // The row at hand, detoasted into the current memory context; valid until advance().
  [[nodiscard]] RowValues row() const;
  // A copy of it in the current memory context.
  [[nodiscard]] RowValues copy_row() const;
  void advance();

 private:
  const ComparePlan& plan_;
  // Compared columns of types that have equality and no order: ordered by their text.
  std::vector<std::size_t> unordered_;
  TupleTableSlot* given_;
  TupleTableSlot* taken_;
  Tuplesortstate* sort_;
  MemoryContext memory_;  // of the row that is added
  core::ByteBuffer image_bytes_;
  bool is_at_end_ = true;
};

}  // namespace pg_reconcile::pg

// Rows of a partition that does not fit into memory, sorted through temporary files.
#pragma once

#include "core/matching/ordered_match.h"
#include "extension/pg/guard.h"

extern "C" {
#include <executor/tuptable.h>
#include <utils/tuplesort.h>
}

namespace pg_reconcile::pg {

class RowSort final : public core::OrderedRows {
 public:
  // `memory`: bytes.
  explicit RowSort(std::uint64_t memory);
  ~RowSort() override;
  RowSort(const RowSort&) = delete;
  RowSort& operator=(const RowSort&) = delete;

  void add(const core::CompactRow& row);
  // From here on rows come back.
  void sort();

  [[nodiscard]] const core::CompactRow* head() const override { return is_at_end_ ? nullptr : &head_; }
  void advance() override;
  void mark() override;
  void restore() override;

 private:
  TupleDesc description_;
  TupleTableSlot* given_;
  TupleTableSlot* taken_;
  Tuplesortstate* sort_;
  core::CompactRow head_;
  core::CompactRow marked_;
  bool is_at_end_ = true;
};

}  // namespace pg_reconcile::pg

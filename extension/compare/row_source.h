// Where a side's rows come from.
//
// A source is read once, in whatever order is fastest; each row gets an ordinal by which the same source
// finds it again. Between the two passes only compact rows are in memory.
#pragma once

#include <span>

#include "core/matching/byte_buffer.h"
#include "core/matching/match_log.h"
#include "core/matching/row_survey.h"
#include "extension/compare/match_job.h"
#include "extension/compare/row_hasher.h"

extern "C" {
#include <executor/tuptable.h>
}

namespace pg_reconcile::pg {

class RowVisitor {
 public:
  virtual ~RowVisitor() = default;
  // `index` is the place in the ordinals asked for. The slot is valid during the call.
  virtual void visit(std::size_t index, TupleTableSlot* slot) = 0;
};

class RowSource {
 public:
  virtual ~RowSource() = default;
  // Reads every row under the active snapshot.
  virtual void read(RowHasher& hasher, MatchParticipant& match) = 0;
  // The rows' columns, in the order of the plan and under the side's own names. After read().
  [[nodiscard]] virtual TupleDesc description() const = 0;
  // Visits the rows of these ordinals, which ascend. The rows are those that read() saw, whatever the
  // relation is.
  virtual void fetch(std::span<const std::uint64_t> ordinals, RowVisitor& visitor) = 0;
};

}  // namespace pg_reconcile::pg

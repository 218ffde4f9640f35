// The same match for a partition that does not fit into memory: both sides in one order, read side by side.
//
// Rows come by key, then by compared columns, so equal rows of one key meet whatever their number; nothing is
// held but where each side is.
#pragma once

#include "core/interrupts.h"
#include "core/matching/partitioned_match.h"

namespace pg_reconcile::core {

// One side's rows in ascending order of (key, compared columns, ordinal).
class OrderedRows {
 public:
  virtual ~OrderedRows() = default;
  // nullptr at the end.
  [[nodiscard]] virtual const CompactRow* head() const = 0;
  virtual void advance() = 0;
  // restore() goes back to the row that was the head when mark() was called.
  virtual void mark() = 0;
  virtual void restore() = 0;
};

class OrderedMatcher {
 public:
  OrderedMatcher(MatchSink& sink, Interrupts& interrupts) : sink_(sink), interrupts_(interrupts) {}
  // Returns how many pairs it found.
  std::uint64_t match(OrderedRows& left, OrderedRows& right);

 private:
  std::uint64_t match_key(const Hash128& key, OrderedRows& left, OrderedRows& right);
  std::uint64_t match_equal(OrderedRows& left, OrderedRows& right);
  void leave_run(Side side, OrderedRows& rows, std::uint64_t count, std::uint64_t left_over);
  void advance(OrderedRows& rows);

  MatchSink& sink_;
  Interrupts& interrupts_;
  std::uint64_t advanced_ = 0;
  bool has_leftovers_ = false;  // of the key at hand
};

}  // namespace pg_reconcile::core

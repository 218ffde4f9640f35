// A match of two sides of heap tables by several processes: the leader, and PostgreSQL's parallel workers.
#pragma once

#include <memory>

#include "extension/compare/heap_source.h"

extern "C" {
#include <access/parallel.h>
}

namespace pg_reconcile::pg {

struct Workers {
  int count;  // beside the leader; 0: the leader does it alone
  std::string reason;
};

// How many workers a match of these sides should have.
Workers parallel_workers_for(const HeapSource& left, const HeapSource& right, const ComparePlan& plan);

class ParallelMatch {
 public:
  // From here to the end of the object the transaction is in parallel mode: nothing may be written. Fewer
  // workers may start than asked for, or none.
  ParallelMatch(const ComparePlan& plan, const core::KeyedHash::Secret& secret, const HeapSource& left,
                const HeapSource& right, int workers, std::uint64_t memory_limit);
  ~ParallelMatch();
  ParallelMatch(const ParallelMatch&) = delete;
  ParallelMatch& operator=(const ParallelMatch&) = delete;

  // Reads both sides and matches them; returns when every process has finished.
  void run(RowHasher& hasher);
  [[nodiscard]] MatchState& state() { return *state_; }
  void replay(core::MatchReader& reader) { self_->replay(reader); }
  void close() { self_->close(); }

 private:
  ParallelContext* context_ = nullptr;
  MatchState* state_ = nullptr;
  dsa_area* area_ = nullptr;
  struct SharedPlan* plan_ = nullptr;
  std::unique_ptr<MatchParticipant> self_;
};

}  // namespace pg_reconcile::pg

// A comparison of two sides of heap tables by several processes.
#pragma once

#include "extension/compare/heap_source.h"
#include "extension/compare/match_workers.h"
#include "extension/compare/survey.h"

namespace pg_reconcile::pg {

// How many workers a match of these sides should have.
Workers parallel_workers_for(const HeapSource& left, const HeapSource& right, const ComparePlan& plan);

// Matches partitions until none is left; what is left over is published as a MatchLog.
void match_rows(MatchParticipant& match);

class ParallelMatch {
 public:
  // From here to the end of the object the transaction is in parallel mode: nothing may be written. Fewer
  // workers may start than asked for, or none.
  ParallelMatch(const ComparePlan& plan, const core::KeyedHash::Secret& secret, const HeapSource& left,
                const HeapSource& right, const SurveySize& size);

  // Reads both sides and matches them; returns when every process has finished.
  void run(RowHasher& hasher);
  [[nodiscard]] SurveyState& survey();
  [[nodiscard]] MatchState& state() { return workers_.state(); }
  [[nodiscard]] MatchParticipant& self() { return workers_.self(); }

 private:
  MatchWorkers workers_;
};

}  // namespace pg_reconcile::pg

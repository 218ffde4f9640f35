// A match by several processes: the leader, and PostgreSQL's parallel workers.
//
// Each command brings its own plan (what a worker has to know, as bytes in shared memory), its own task (how
// a side is read, and what is made of a part) and its own entry point for workers.
#pragma once

#include <memory>
#include <string>

#include "extension/compare/match_job.h"

extern "C" {
#include <access/parallel.h>
}

namespace pg_reconcile::pg {

struct Workers {
  int count;  // beside the leader; 0: the leader does it alone
  std::string reason;
};

// How many workers the reading of so many blocks should have.
Workers workers_for_blocks(std::uint64_t blocks);

// One process's part of a command.
class MatchTask {
 public:
  virtual ~MatchTask() = default;
  // What comes before rows are put up to be matched: so many steps. Everybody ends one before anybody begins
  // the next, and who comes late takes no part in any, nor in reading.
  [[nodiscard]] virtual int steps() const { return 0; }
  virtual void step(int /*step*/, MatchParticipant& /*match*/) {}
  // Reads a side's rows, each by one process, until none is left.
  virtual void read(core::Side side, MatchParticipant& match) = 0;
  // Matches partitions until none is left, and publishes what was found.
  virtual void match(MatchParticipant& match) = 0;
};

class MatchWorkers {
 public:
  // From here to the end of the object the transaction is in parallel mode: nothing may be written.
  // `entry_point`: the function of this library that a worker calls.
  MatchWorkers(const char* entry_point, std::size_t plan_bytes, const MatchSize& size);
  ~MatchWorkers();
  MatchWorkers(const MatchWorkers&) = delete;
  MatchWorkers& operator=(const MatchWorkers&) = delete;

  // To be filled before launch().
  [[nodiscard]] void* plan() { return plan_; }
  // Fewer workers may start than asked for, or none.
  void launch();
  // Reads both sides and matches them; returns when every process has finished.
  void run(MatchTask& task);
  [[nodiscard]] MatchState& state() { return *state_; }
  [[nodiscard]] MatchParticipant& self() { return *self_; }

 private:
  ParallelContext* context_ = nullptr;
  void* plan_ = nullptr;
  MatchState* state_ = nullptr;
  dsa_area* area_ = nullptr;
  std::unique_ptr<MatchParticipant> self_;
};

// The whole match by this process alone.
class MatchAlone {
 public:
  explicit MatchAlone(const MatchSize& size);
  MatchAlone(const MatchAlone&) = delete;
  MatchAlone& operator=(const MatchAlone&) = delete;
  void run(MatchTask& task);
  [[nodiscard]] MatchState& state() { return *state_; }
  [[nodiscard]] MatchParticipant& self() { return *self_; }

 private:
  std::unique_ptr<std::uint64_t[]> memory_;
  MatchState* state_;
  std::unique_ptr<MatchParticipant> self_;
};

// A worker's side of it.
class MatchWorker {
 public:
  MatchWorker(dsm_segment* segment, shm_toc* toc);
  [[nodiscard]] void* plan() { return plan_; }
  void run(MatchTask& task);

 private:
  void* plan_;
  MatchState* state_;
  dsa_area* area_;
};

}  // namespace pg_reconcile::pg

#include "extension/compare/match_workers.h"

#include <algorithm>
#include <exception>

#include "extension/pg/progress.h"

extern "C" {
#include <access/xact.h>
#include <optimizer/cost.h>
#include <optimizer/paths.h>
#include <storage/lwlock.h>
#include <utils/wait_event.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::uint64_t key_plan = 1;
constexpr std::uint64_t key_state = 2;
constexpr std::uint64_t key_area = 3;
constexpr std::size_t area_bytes = std::size_t{256} << 10;

void show_matching(MatchState& state) {
  Progress::phase(Phase::matching, static_cast<std::int64_t>(state.all_rows()));
}

void read_sides(MatchTask& task, MatchParticipant& match) {
  for (const core::Side side : {core::Side::left, core::Side::right}) {
    match.begin(side);
    task.read(side, match);
    match.end();
  }
}

// Everybody's part, from the first block to the last partition.
void participate(MatchState& state, MatchTask& task, MatchParticipant& match) {
  Barrier* barrier = &state.barrier;
  const int attached = guarded([=] { return BarrierAttach(barrier); });
  for (int phase = attached; phase <= task.steps(); phase++) {
    if (attached == 0 && phase < task.steps()) {
      task.step(phase, match);
    } else if (attached == 0) {
      read_sides(task, match);
      match.share();
    }
    guarded([=] { BarrierArriveAndWait(barrier, PG_WAIT_EXTENSION); });
  }
  show_matching(state);
  task.match(match);
  guarded([=] { BarrierDetach(barrier); });
}

struct RawContext {
  ParallelContext* context;
  void* plan;
  MatchState* state;
};

RawContext raw_create(const char* entry_point, int workers, Size plan_size, Size state_size) {
  EnterParallelMode();
  RawContext raw{};
  raw.context = CreateParallelContext("$libdir/pg_reconcile", entry_point, workers);
  for (const Size bytes : {plan_size, state_size, Size{area_bytes}}) {
    shm_toc_estimate_chunk(&raw.context->estimator, bytes);
  }
  shm_toc_estimate_keys(&raw.context->estimator, 3);
  InitializeParallelDSM(raw.context);
  shm_toc* toc = raw.context->toc;
  raw.plan = shm_toc_allocate(toc, plan_size);
  raw.state = static_cast<MatchState*>(shm_toc_allocate(toc, state_size));
  shm_toc_insert(toc, key_plan, raw.plan);
  shm_toc_insert(toc, key_state, raw.state);
  shm_toc_insert(toc, key_area, shm_toc_allocate(toc, area_bytes));
  return raw;
}

}  // namespace

Workers workers_for_blocks(std::uint64_t blocks) {
  if (!IsUnderPostmaster) return {0, "a single-user server has no workers"};
  if (IsInParallelMode()) return {0, "it runs inside a parallel query"};
  // As the planner does for a scan: one more worker for each tripling of the least size.
  int workers = 0;
  for (auto threshold = static_cast<std::uint64_t>(std::max(min_parallel_table_scan_size, 1));
       blocks >= threshold && workers < max_parallel_workers_per_gather; threshold *= 3) {
    workers++;
  }
  if (workers > 0) return {workers, std::to_string(blocks) + " blocks on both sides"};
  return {0, max_parallel_workers_per_gather == 0 ? "max_parallel_workers_per_gather is 0"
                                                  : "less than min_parallel_table_scan_size"};
}

MatchWorkers::MatchWorkers(const char* entry_point, std::size_t plan_bytes, const MatchSize& size) {
  const std::size_t state_bytes = size.state_bytes();
  const int workers = static_cast<int>(size.participants) - 1;
  const RawContext raw = guarded([=] { return raw_create(entry_point, workers, plan_bytes, state_bytes); });
  context_ = raw.context;
  plan_ = raw.plan;
  state_ = raw.state;
  // Without a segment (none was to be had) there are no workers either, and everything is private.
  initialize_match(state_, size, context_->seg);
}

MatchWorkers::~MatchWorkers() {
  self_.reset();
  Progress::workers(0);
  if (std::uncaught_exceptions() > 0) return;  // abort ends the workers and leaves parallel mode
  if (area_ != nullptr) dsa_detach(area_);
  DestroyParallelContext(context_);
  ExitParallelMode();
}

void MatchWorkers::launch() {
  ParallelContext* context = context_;
  dsm_segment* segment = context->seg;
  if (segment != nullptr) {
    void* place = guarded([=] { return shm_toc_lookup(context->toc, key_area, false); });
    area_ = guarded(
        [=] { return dsa_create_in_place(place, area_bytes, LWTRANCHE_PARALLEL_QUERY_DSA, segment); });
    guarded([=] { LaunchParallelWorkers(context); });
    Progress::workers(static_cast<std::uint32_t>(context->nworkers_launched));
  }
  self_ = std::make_unique<MatchParticipant>(*state_, area_);
}

void MatchWorkers::run(MatchTask& task) {
  participate(*state_, task, *self_);
  ParallelContext* context = context_;
  guarded([=] { WaitForParallelWorkersToFinish(context); });
}

MatchAlone::MatchAlone(const MatchSize& size)
    : memory_(std::make_unique<std::uint64_t[]>(size.state_bytes() / sizeof(std::uint64_t) + 1)),
      state_(reinterpret_cast<MatchState*>(memory_.get())) {
  initialize_match(state_, size, nullptr);
  self_ = std::make_unique<MatchParticipant>(*state_, nullptr);
}

void MatchAlone::run(MatchTask& task) {
  for (int i = 0; i < task.steps(); i++) task.step(i, *self_);
  read_sides(task, *self_);
  show_matching(*state_);
  task.match(*self_);
}

MatchWorker::MatchWorker(dsm_segment* segment, shm_toc* toc)
    : plan_(guarded([=] { return shm_toc_lookup(toc, key_plan, false); })),
      state_(static_cast<MatchState*>(guarded([=] { return shm_toc_lookup(toc, key_state, false); }))) {
  void* place = guarded([=] { return shm_toc_lookup(toc, key_area, false); });
  MatchState* state = state_;
  guarded([=] { SharedFileSetAttach(&state->files, segment); });
  area_ = guarded([=] { return dsa_attach_in_place(place, segment); });
}

void MatchWorker::run(MatchTask& task) {
  {
    MatchParticipant match(*state_, area_);
    participate(*state_, task, match);
    match.close();
  }
  dsa_area* area = area_;
  guarded([=] { dsa_detach(area); });
}

}  // namespace pg_reconcile::pg

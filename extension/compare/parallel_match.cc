#include "extension/compare/parallel_match.h"

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

// What a worker needs beside the state of the match. Tables, attributes and columns follow it.
struct SharedPlan {
  core::KeyedHash::Secret secret;
  std::uint32_t columns;
  std::uint32_t key_columns;
  std::uint32_t tables[2];
  std::int64_t expected_rows[2];  // -1: not known
  pg_atomic_uint64 next_block[2];
};

namespace {

constexpr std::uint64_t key_plan = 1;
constexpr std::uint64_t key_state = 2;
constexpr std::uint64_t key_area = 3;
constexpr std::size_t area_bytes = std::size_t{256} << 10;

struct SharedColumn {
  Oid type;
  Oid collation;
};

// Where the arrays behind a SharedPlan lie.
struct PlanArrays {
  explicit PlanArrays(SharedPlan* plan) : columns(reinterpret_cast<SharedColumn*>(plan + 1)) {
    tables[0] = reinterpret_cast<HeapTable*>(columns + plan->columns);
    tables[1] = tables[0] + plan->tables[0];
    attributes[0] = reinterpret_cast<AttrNumber*>(tables[1] + plan->tables[1]);
    attributes[1] = attributes[0] + std::size_t{plan->tables[0]} * plan->columns;
  }
  [[nodiscard]] HeapSide side(SharedPlan* plan, int i) const {
    return {{tables[i], plan->tables[i]},
            {attributes[i], std::size_t{plan->tables[i]} * plan->columns},
            &plan->next_block[i]};
  }

  SharedColumn* columns;
  HeapTable* tables[2];
  AttrNumber* attributes[2];
};

std::size_t plan_bytes(const ComparePlan& plan, const HeapSource& left, const HeapSource& right) {
  return sizeof(SharedPlan) + plan.columns.size() * sizeof(SharedColumn) +
         (left.tables().size() + right.tables().size()) * sizeof(HeapTable) +
         (left.attributes().size() + right.attributes().size()) * sizeof(AttrNumber);
}

void fill_plan(SharedPlan* shared, const ComparePlan& plan, const core::KeyedHash::Secret& secret,
               const HeapSource& left, const HeapSource& right) {
  shared->secret = secret;
  shared->columns = static_cast<std::uint32_t>(plan.columns.size());
  shared->key_columns = static_cast<std::uint32_t>(plan.key_count);
  shared->tables[0] = static_cast<std::uint32_t>(left.tables().size());
  shared->tables[1] = static_cast<std::uint32_t>(right.tables().size());
  pg_atomic_init_u64(&shared->next_block[0], 0);
  pg_atomic_init_u64(&shared->next_block[1], 0);
  shared->expected_rows[0] = left.expected_rows().value_or(-1);
  shared->expected_rows[1] = right.expected_rows().value_or(-1);
  const PlanArrays arrays(shared);
  for (std::size_t i = 0; i < plan.columns.size(); i++) {
    arrays.columns[i] = {plan.columns[i].operations.type, plan.columns[i].operations.collation};
  }
  const HeapSource* sources[2] = {&left, &right};
  for (int side = 0; side < 2; side++) {
    std::copy(sources[side]->tables().begin(), sources[side]->tables().end(), arrays.tables[side]);
    std::copy(sources[side]->attributes().begin(), sources[side]->attributes().end(),
              arrays.attributes[side]);
  }
}

// Everybody's part, from the first block to the last partition.
void participate(SharedPlan* plan, MatchState& state, RowHasher& hasher, MatchParticipant& match) {
  BackendInterrupts interrupts;
  const PlanArrays arrays(plan);
  Barrier* barrier = &state.barrier;
  const int phase = guarded([=] { return BarrierAttach(barrier); });
  if (phase == 0) {
    for (const core::Side side : {core::Side::left, core::Side::right}) {
      Progress::phase(side == core::Side::left ? Phase::reading_left : Phase::reading_right,
                      plan->expected_rows[static_cast<std::size_t>(side)]);
      match.begin(side);
      scan_heap_side(arrays.side(plan, static_cast<int>(side)), hasher, match);
      match.end();
    }
    match.share();
    guarded([=] { BarrierArriveAndWait(barrier, PG_WAIT_EXTENSION); });
  }
  Progress::phase(Phase::matching, static_cast<std::int64_t>(state.all_rows()));
  match.match(interrupts);
  guarded([=] { BarrierDetach(barrier); });
}

struct RawContext {
  ParallelContext* context;
  SharedPlan* plan;
  MatchState* state;
  void* area;
};

RawContext raw_create(int workers, Size plan_size, Size state_size) {
  EnterParallelMode();
  RawContext raw{};
  raw.context = CreateParallelContext("$libdir/pg_reconcile", "reconcile_match_worker", workers);
  for (const Size bytes : {plan_size, state_size, Size{area_bytes}}) {
    shm_toc_estimate_chunk(&raw.context->estimator, bytes);
  }
  shm_toc_estimate_keys(&raw.context->estimator, 3);
  InitializeParallelDSM(raw.context);
  shm_toc* toc = raw.context->toc;
  raw.plan = static_cast<SharedPlan*>(shm_toc_allocate(toc, plan_size));
  raw.state = static_cast<MatchState*>(shm_toc_allocate(toc, state_size));
  raw.area = shm_toc_allocate(toc, area_bytes);
  shm_toc_insert(toc, key_plan, raw.plan);
  shm_toc_insert(toc, key_state, raw.state);
  shm_toc_insert(toc, key_area, raw.area);
  return raw;
}

}  // namespace

Workers parallel_workers_for(const HeapSource& left, const HeapSource& right, const ComparePlan& plan) {
  if (!IsUnderPostmaster) return {0, "a single-user server has no workers"};
  if (IsInParallelMode()) return {0, "it runs inside a parallel query"};
  if (!left.is_shared() || !right.is_shared()) return {0, "a temporary table is this session's alone"};
  for (const ColumnPair& column : plan.columns) {
    if (!column.encoder.numbers_values()) continue;
    return {0, "column \"" + column.left_name + "\" is of a type that has no canonical form"};
  }
  // As the planner does for a scan: one more worker for each tripling of the least size.
  const std::uint64_t blocks = left.blocks() + right.blocks();
  int workers = 0;
  for (auto threshold = static_cast<std::uint64_t>(std::max(min_parallel_table_scan_size, 1));
       blocks >= threshold && workers < max_parallel_workers_per_gather; threshold *= 3) {
    workers++;
  }
  if (workers > 0) return {workers, std::to_string(blocks) + " blocks on both sides"};
  return {0, max_parallel_workers_per_gather == 0 ? "max_parallel_workers_per_gather is 0"
                                                  : "less than min_parallel_table_scan_size"};
}

ParallelMatch::ParallelMatch(const ComparePlan& plan, const core::KeyedHash::Secret& secret,
                             const HeapSource& left, const HeapSource& right, int workers,
                             std::uint64_t memory_limit) {
  const MatchSize size{static_cast<std::uint32_t>(workers) + 1,
                       left.estimated_rows() + right.estimated_rows(), memory_limit};
  const std::size_t plan_size = plan_bytes(plan, left, right);
  const std::size_t state_size = size.state_bytes();
  const RawContext raw = guarded([=] { return raw_create(workers, plan_size, state_size); });
  context_ = raw.context;
  plan_ = raw.plan;
  state_ = raw.state;
  fill_plan(plan_, plan, secret, left, right);
  // Without a segment (none was to be had) there are no workers either, and everything is private.
  dsm_segment* segment = context_->seg;
  initialize_match(state_, size, segment);
  if (segment != nullptr) {
    area_ = guarded(
        [=] { return dsa_create_in_place(raw.area, area_bytes, LWTRANCHE_PARALLEL_QUERY_DSA, segment); });
    ParallelContext* context = context_;
    guarded([=] { LaunchParallelWorkers(context); });
    Progress::workers(static_cast<std::uint32_t>(context->nworkers_launched));
  }
  self_ = std::make_unique<MatchParticipant>(*state_, area_);
}

ParallelMatch::~ParallelMatch() {
  self_.reset();
  Progress::workers(0);
  if (std::uncaught_exceptions() > 0) return;  // abort ends the workers and leaves parallel mode
  if (area_ != nullptr) dsa_detach(area_);
  DestroyParallelContext(context_);
  ExitParallelMode();
}

void ParallelMatch::run(RowHasher& hasher) {
  participate(plan_, *state_, hasher, *self_);
  ParallelContext* context = context_;
  guarded([=] { WaitForParallelWorkersToFinish(context); });
}

}  // namespace pg_reconcile::pg

namespace {

struct WorkerArguments {
  dsm_segment* segment;
  shm_toc* toc;
};

void run_worker(void* argument) {
  using namespace pg_reconcile;
  using namespace pg_reconcile::pg;
  const WorkerArguments arguments = *static_cast<WorkerArguments*>(argument);
  shm_toc* toc = arguments.toc;
  auto* shared = static_cast<SharedPlan*>(guarded([=] { return shm_toc_lookup(toc, key_plan, false); }));
  auto* state = static_cast<MatchState*>(guarded([=] { return shm_toc_lookup(toc, key_state, false); }));
  void* place = guarded([=] { return shm_toc_lookup(toc, key_area, false); });
  dsm_segment* segment = arguments.segment;
  guarded([=] { SharedFileSetAttach(&state->files, segment); });
  dsa_area* area = guarded([=] { return dsa_attach_in_place(place, segment); });

  ComparePlan plan;
  plan.key_count = shared->key_columns;
  const PlanArrays arrays(shared);
  for (std::uint32_t i = 0; i < shared->columns; i++) {
    const TypeOperations operations = operations_of(arrays.columns[i].type, arrays.columns[i].collation);
    plan.columns.push_back(
        {{}, {}, {}, {}, true, true, operations, ValueEncoder(operations, 0), std::nullopt});
  }
  const core::KeyedHash hash(shared->secret);
  RowHasher hasher(plan, hash);
  {
    MatchParticipant match(*state, area);
    participate(shared, *state, hasher, match);
    match.close();
  }
  guarded([=] { dsa_detach(area); });
}

}  // namespace

extern "C" {
PGDLLEXPORT void reconcile_match_worker(dsm_segment* segment, shm_toc* toc);

void reconcile_match_worker(dsm_segment* segment, shm_toc* toc) {
  WorkerArguments arguments{segment, toc};
  pg_reconcile::pg::enter_callback(run_worker, &arguments);
}
}

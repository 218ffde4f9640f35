#include "extension/compare/parallel_match.h"

#include <algorithm>

namespace pg_reconcile::pg {

// What a worker needs beside the state of the match. Tables, attributes and columns follow it.
struct SharedPlan {
  core::KeyedHash::Secret secret;
  std::uint32_t columns;
  std::uint32_t key_columns;
  std::uint32_t tables[2];
  std::uint32_t inputs[2];        // of a row
  std::size_t expressions_at[2];  // bytes from here
  std::size_t survey_at;
  std::int64_t expected_rows[2];  // -1: not known
  pg_atomic_uint64 next_block[2];
};

namespace {

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
    attributes[1] = attributes[0] + std::size_t{plan->tables[0]} * plan->inputs[0];
  }
  [[nodiscard]] HeapSide side(SharedPlan* plan, int i) const {
    return {{tables[i], plan->tables[i]},
            {attributes[i], std::size_t{plan->tables[i]} * plan->inputs[i]},
            &plan->next_block[i],
            plan->expected_rows[i] < 0 ? std::nullopt : std::optional(plan->expected_rows[i]),
            reinterpret_cast<const char*>(plan) + plan->expressions_at[i]};
  }

  SharedColumn* columns;
  HeapTable* tables[2];
  AttrNumber* attributes[2];
};

std::size_t arrays_bytes(const ComparePlan& plan, const HeapSource& left, const HeapSource& right) {
  return sizeof(SharedPlan) + plan.columns.size() * sizeof(SharedColumn) +
         (left.tables().size() + right.tables().size()) * sizeof(HeapTable) +
         (left.attributes().size() + right.attributes().size()) * sizeof(AttrNumber);
}

std::size_t plan_bytes(const ComparePlan& plan, const HeapSource& left, const HeapSource& right) {
  const std::size_t bytes =
      arrays_bytes(plan, left, right) + left.expressions().size() + 1 + right.expressions().size() + 1;
  return (bytes + PG_CACHE_LINE_SIZE - 1) / PG_CACHE_LINE_SIZE * PG_CACHE_LINE_SIZE;
}

void fill_plan(SharedPlan* shared, const ComparePlan& plan, const core::KeyedHash::Secret& secret,
               const HeapSource& left, const HeapSource& right) {
  shared->secret = secret;
  shared->columns = static_cast<std::uint32_t>(plan.columns.size());
  shared->key_columns = static_cast<std::uint32_t>(plan.key_count);
  shared->tables[0] = static_cast<std::uint32_t>(left.tables().size());
  shared->tables[1] = static_cast<std::uint32_t>(right.tables().size());
  shared->inputs[0] = static_cast<std::uint32_t>(left.inputs());
  shared->inputs[1] = static_cast<std::uint32_t>(right.inputs());
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
  std::size_t at = arrays_bytes(plan, left, right);
  for (int side = 0; side < 2; side++) {
    const std::string& expressions = sources[side]->expressions();
    shared->expressions_at[side] = at;
    std::memcpy(reinterpret_cast<char*>(shared) + at, expressions.c_str(), expressions.size() + 1);
    at += expressions.size() + 1;
  }
}

// The state of the survey lies behind the plan.
SurveyState* survey_behind(void* plan, std::size_t plan_size) {
  return reinterpret_cast<SurveyState*>(static_cast<std::byte*>(plan) + plan_size);
}

std::array<HeapSide, 2> sides_of(SharedPlan* plan) {
  const PlanArrays arrays(plan);
  return {arrays.side(plan, 0), arrays.side(plan, 1)};
}

}  // namespace

void match_rows(MatchParticipant& match) {
  BackendInterrupts interrupts;
  core::MatchLog log(match.findings());
  core::PartitionMatcher matcher(log, interrupts);
  core::OrderedMatcher overfull(log, interrupts);
  match.match(matcher, &overfull, interrupts);
  match.publish_findings(log.finish());
}

Workers parallel_workers_for(const HeapSource& left, const HeapSource& right, const ComparePlan& plan) {
  if (!left.is_shared() || !right.is_shared()) return {0, "a temporary table is this session's alone"};
  for (const ColumnPair& column : plan.columns) {
    if (!column.encoder.numbers_values()) continue;
    return {0, "column \"" + column.left_name + "\" is of a type that has no canonical form"};
  }
  return workers_for_blocks(left.blocks() + right.blocks());
}

ParallelMatch::ParallelMatch(const ComparePlan& plan, const core::KeyedHash::Secret& secret,
                             const HeapSource& left, const HeapSource& right, const SurveySize& size)
    : workers_("reconcile_match_worker", plan_bytes(plan, left, right) + size.state_bytes(),
               {size.participants, size.rows, size.memory_for_rows()}) {
  auto* shared = static_cast<SharedPlan*>(workers_.plan());
  fill_plan(shared, plan, secret, left, right);
  shared->survey_at = plan_bytes(plan, left, right);
  initialize_survey(&survey(), size);
  workers_.launch();
}

SurveyState& ParallelMatch::survey() {
  auto* shared = static_cast<SharedPlan*>(workers_.plan());
  return *survey_behind(shared, shared->survey_at);
}

void ParallelMatch::run(RowHasher& hasher) {
  SurveyTask task(survey(), sides_of(static_cast<SharedPlan*>(workers_.plan())), hasher);
  workers_.run(task);
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
  const auto* arguments = static_cast<WorkerArguments*>(argument);
  MatchWorker worker(arguments->segment, arguments->toc);
  auto* shared = static_cast<SharedPlan*>(worker.plan());

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
  SurveyTask task(*survey_behind(shared, shared->survey_at), sides_of(shared), hasher);
  worker.run(task);
}

}  // namespace

extern "C" {
PGDLLEXPORT void reconcile_match_worker(dsm_segment* segment, shm_toc* toc);

void reconcile_match_worker(dsm_segment* segment, shm_toc* toc) {
  WorkerArguments arguments{segment, toc};
  pg_reconcile::pg::enter_callback(run_worker, &arguments);
}
}

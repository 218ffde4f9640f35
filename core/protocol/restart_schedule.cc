#include "core/protocol/restart_schedule.h"

#include <algorithm>
#include <limits>

namespace pg_reconcile::core {

RestartDecision decide_restart(const RestartPolicy& policy, std::int32_t failures_before,
                               std::int64_t ran_for_ms) {
  const std::int32_t before = is_healthy(policy, ran_for_ms) ? 0 : std::max(failures_before, 0);
  const std::int32_t failures = before == std::numeric_limits<std::int32_t>::max() ? before : before + 1;
  std::int64_t delay = policy.delay_min_ms;
  for (std::int32_t i = 1; i < failures && delay < policy.delay_max_ms; i++) delay *= 2;
  return {failures, std::min(delay, policy.delay_max_ms)};
}

}  // namespace pg_reconcile::core

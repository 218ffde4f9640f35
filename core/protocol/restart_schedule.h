// When a worker that ended is started again: exponential backoff, forgotten after a healthy minute. Pure:
// time is an argument.
#pragma once

#include <cstdint>

namespace pg_reconcile::core {

struct RestartPolicy {
  std::int64_t delay_min_ms = 1'000;
  std::int64_t delay_max_ms = 60'000;
  std::int64_t healthy_after_ms = 60'000;
};

struct RestartDecision {
  std::int32_t failures;  // in a row, this one included
  std::int64_t delay_ms;
};

// A worker that ran for `ran_for_ms` has failed; `failures_before` had failed in a row before it.
RestartDecision decide_restart(const RestartPolicy& policy, std::int32_t failures_before,
                               std::int64_t ran_for_ms);

// Whether failures should be forgotten while the worker is still running.
inline bool is_healthy(const RestartPolicy& policy, std::int64_t running_for_ms) {
  return running_for_ms >= policy.healthy_after_ms;
}

}  // namespace pg_reconcile::core

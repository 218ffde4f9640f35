#include "core/protocol/restart_schedule.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>

using namespace pg_reconcile::core;

TEST_CASE("a worker that keeps failing is tried less and less often, up to a bound") {
  const RestartPolicy policy{1'000, 60'000, 60'000};
  std::int32_t failures = 0;
  for (const std::int64_t delay : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    const RestartDecision decision = decide_restart(policy, failures, 50);
    CHECK(decision.delay_ms == delay);
    CHECK(decision.failures == failures + 1);
    failures = decision.failures;
  }
}

TEST_CASE("a healthy minute forgets the failures before it") {
  const RestartPolicy policy;
  CHECK(decide_restart(policy, 9, 59'999).failures == 10);
  const RestartDecision fresh = decide_restart(policy, 9, 60'000);
  CHECK(fresh.failures == 1);
  CHECK(fresh.delay_ms == policy.delay_min_ms);
  CHECK(is_healthy(policy, 60'000));
  CHECK_FALSE(is_healthy(policy, 59'999));
}

TEST_CASE("counts that make no sense do no harm") {
  const RestartPolicy policy;
  CHECK(decide_restart(policy, -5, 0).failures == 1);
  const auto most = std::numeric_limits<std::int32_t>::max();
  CHECK(decide_restart(policy, most, 0).failures == most);
  CHECK(decide_restart(policy, most, 0).delay_ms == policy.delay_max_ms);
}

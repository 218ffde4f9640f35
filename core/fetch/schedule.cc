#include "core/fetch/schedule.h"

#include <algorithm>

namespace pg_reconcile::core {
namespace {

constexpr std::int32_t doublings_max = 20;

std::int64_t failure_delay(const FetchPolicy& policy, std::int32_t failures) {
  const std::int32_t doublings = std::min(std::max(failures - 1, 0), doublings_max);
  return std::min(policy.failure_delay_ms << doublings, policy.every_ms);
}

}  // namespace

const char* day_state_name(DayState state) {
  switch (state) {
    case DayState::awaited:
      return "awaited";
    case DayState::failing:
      return "failing";
    case DayState::fetched:
      return "fetched";
    case DayState::empty:
      return "empty";
    case DayState::gone:
      return "gone";
    case DayState::refused:
      break;
  }
  return "refused";
}

DayDecision decide_day(const FetchPolicy& policy, const Answer& answer, std::int32_t failures,
                       std::int64_t since_end_ms) {
  switch (answer.outcome) {
    case Outcome::found:
      return {DayState::fetched, 0, std::nullopt};
    case Outcome::empty:
      return {DayState::empty, 0, std::nullopt};
    case Outcome::gone:
      return {DayState::gone, 0, std::nullopt};
    case Outcome::denied:
      return {DayState::refused, failures + 1, std::max(policy.every_ms, answer.retry_after_ms.value_or(0))};
    case Outcome::not_ready: {
      const std::int64_t next = std::max(policy.every_ms, answer.retry_after_ms.value_or(0));
      if (since_end_ms + next > policy.give_up_ms) return {DayState::gone, 0, std::nullopt};
      return {DayState::awaited, 0, next};
    }
    case Outcome::expired:
    case Outcome::failed:
      break;
  }
  const std::int64_t next = std::max(failure_delay(policy, failures + 1), answer.retry_after_ms.value_or(0));
  return {DayState::failing, failures + 1, next};
}

bool is_same_version(const RemoteVersion& before, const RemoteVersion& now) {
  if (before.bytes != now.bytes) return false;
  if (!before.etag.empty() || !now.etag.empty()) return before.etag == now.etag;
  return before.modified.has_value() && before.modified == now.modified;
}

}  // namespace pg_reconcile::core

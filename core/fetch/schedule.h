// When a day's file is asked for again, and when nobody asks any more. Pure: the clock is an argument.
//
//   awaited --not ready--> awaited, at the channel's rhythm, until give_up
//   awaited --failure--> failing, sooner at first, then ever more rarely, up to the rhythm
//   awaited --file--> fetched      --no movements--> empty      --will not come--> gone
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/fetch/answer.h"

namespace pg_reconcile::core {

struct FetchPolicy {
  std::int64_t every_ms = 1'800'000;                  // the channel's rhythm
  std::int64_t failure_delay_ms = 60'000;             // after a first failure; doubles up to every_ms
  std::int64_t give_up_ms = 90LL * 24 * 3600 * 1000;  // after the day's end
};

enum class DayState { awaited, failing, fetched, empty, gone, refused };

[[nodiscard]] const char* day_state_name(DayState state);

struct DayDecision {
  DayState state = DayState::awaited;
  std::int32_t failures = 0;               // in a row
  std::optional<std::int64_t> next_in_ms;  // nullopt: nobody asks any more
};

// `since_end_ms`: how long ago the day ended.
[[nodiscard]] DayDecision decide_day(const FetchPolicy& policy, const Answer& answer, std::int32_t failures,
                                     std::int64_t since_end_ms);

// Of a transfer that broke off: how many of the bytes that are here are kept. What is known of the remote
// file from before, and what it is now; absent: not stated.
struct RemoteVersion {
  std::optional<std::int64_t> bytes;
  std::optional<std::int64_t> modified;  // seconds since 1970
  std::string etag;
};
[[nodiscard]] bool is_same_version(const RemoteVersion& before, const RemoteVersion& now);

}  // namespace pg_reconcile::core

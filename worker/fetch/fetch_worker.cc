// Sources that fetch their files: which day to ask for, and when, is in reconcile.fetch_day; what an answer
// means for the next question is core/fetch's to say. No transaction is open while the network is waited for.
#include "worker/fetch/fetch_worker.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/mapping/timestamp_format.h"
#include "extension/pg/background.h"
#include "extension/pg/settings.h"
#include "worker/fetch/day_fetch.h"

namespace pg_reconcile::worker {
namespace {

constexpr std::int64_t heartbeat_ms = 10'000;
constexpr int addresses_max = 3;  // that expired before they were used

std::string store() {
  const std::string setting = pg::store_directory();
  if (setting.empty()) {
    throw SourceStop(
        "paused",
        core::Error(core::sqlstate::object_not_in_prerequisite_state, "there is no store for what is fetched",
                    "pg_reconcile.store_directory is not set.",
                    "ALTER DATABASE ... SET pg_reconcile.store_directory = '/...'; then SELECT "
                    "reconcile.resume_source(...)"));
  }
  if (mkdir(setting.c_str(), 0700) != 0 && errno != EEXIST) {
    throw core::Error(
        core::sqlstate::io_error, "folder \"" + setting + "\" cannot be made: " + strerror(errno), {},
        "pg_reconcile.store_directory must be writable by the operating system user that runs PostgreSQL.");
  }
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(setting.c_str(), nullptr), std::free);
  return resolved ? std::string(resolved.get()) : setting;
}

Endpoint open_endpoint(const FetchSettings& settings) {
  ServerOptions options;
  if (!settings.server.empty()) {
    pg::in_transaction("reading the user mapping", [&] { options = read_server_options(settings.server); });
  }
  return {core::FetchLocation::compile(settings.location).scheme(), std::move(options),
          static_cast<long>(settings.stall_seconds)};
}

core::Answer ask(const FetchSettings& settings, const Endpoint& endpoint, core::Date day) {
  try {
    DayFetch fetch(settings, endpoint, store(), day);
    core::Answer answer = fetch.run();
    for (int again = 1; again < addresses_max && answer.outcome == core::Outcome::expired; again++) {
      answer = DayFetch(settings, endpoint, store(), day).run();
    }
    return answer;
  } catch (const SourceStop&) {
    throw;
  } catch (const core::Error& error) {
    std::string reason = error.what();
    if (!error.detail().empty()) reason += ": " + error.detail();
    if (!error.hint().empty()) reason += ". " + error.hint();
    return {core::Outcome::failed, reason, std::nullopt};
  }
}

void ask_for_day(const FetchSettings& settings, const Endpoint& endpoint, const DueDay& due) {
  const std::string day = core::date_text(due.day);
  set_state(settings.source_id, "running", "asks for " + day);
  const core::Answer answer = ask(settings, endpoint, due.day);
  const core::DayDecision decision =
      core::decide_day(settings.policy, answer, due.failures, due.since_end_ms);
  note_fetch_day(settings, due.day, decision, answer);
  std::string message = "asked for " + day + ": " + core::day_state_name(decision.state);
  if (!answer.reason.empty()) message += ", " + answer.reason;
  set_state(settings.source_id, "running", message);
}

void beat(std::int32_t source_id, std::int64_t& last) {
  if (pg::now_ms() - last < heartbeat_ms) return;
  last = pg::now_ms();
  pg::in_transaction("noting that the source is watched", [&] {
    pg::Spi spi;
    store_progress(spi, source_id, {});
  });
}

}  // namespace

void run_fetch(const SourceConfiguration& source) {
  const FetchSettings settings = load_fetch_settings(source.id);
  const Endpoint endpoint = open_endpoint(settings);
  (void)store();
  set_state(source.id, "running", "waits for the next day to ask for");
  std::int64_t last_heartbeat = pg::now_ms();
  for (;;) {
    const auto due = next_fetch_day(source.id);
    if (due && due->due_in_ms <= 0) {
      ask_for_day(settings, endpoint, *due);
      pg::wait_for_latch(0);
      continue;
    }
    beat(source.id, last_heartbeat);
    // fetch_again may be called meanwhile.
    pg::wait_for_latch(due ? std::min(due->due_in_ms, source.poll_ms) : source.poll_ms);
  }
}

}  // namespace pg_reconcile::worker

// What a running command tells others of itself: one slot of shared memory per server process, shown by the
// view reconcile.run_progress.
//
// The preloaded library makes the slots (extension/progress); any of our libraries writes its own process's.
// Without preloading there are none, and everything here does nothing. A slot has one writer, its process, so
// writing takes no lock: a change of the subject or phase is bracketed by a counter that readers check, and
// counting rows is one atomic store a batch. Nothing here raises or allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "extension/pg/guard.h"

extern "C" {
#include <port/atomics.h>
}

namespace pg_reconcile::pg {

enum class Command : std::uint8_t { none, run, compare, ingest };

enum class Phase : std::uint8_t {
  waiting_for_lock,
  hashing,
  reading,
  replacing,
  reading_left,
  reading_right,
  matching,
  writing,
  classifying,
  proving,
  done
};

// As it lies in shared memory.
struct ProgressSlot {
  static constexpr std::size_t name_bytes_max = 128;  // with the terminating zero; longer names are cut

  pg_atomic_uint32 changes;  // odd while the process writes
  std::uint32_t depth;       // commands inside commands; only the outermost shows
  std::int32_t pid;
  Oid database;
  Command command;
  Phase phase;
  bool has_business_date;
  std::int32_t business_date;  // days since 2000-01-01
  std::int64_t started_at;     // microseconds since 2000-01-01 UTC
  std::int64_t phase_started_at;
  std::int64_t rows_expected;      // -1: not known
  pg_atomic_uint64 rows_done;      // within the phase
  std::int64_t bytes_expected;     // -1: the phase reads no file
  pg_atomic_uint64 bytes_done;     // within the phase
  pg_atomic_uint64 bytes_spilled;  // by the match at hand
  pg_atomic_uint32 workers;        // beside the process itself, at this moment
  char channel[name_bytes_max];
  char account[name_bytes_max];
  char leg[name_bytes_max];
};

struct ProgressMemory {
  std::uint32_t slots_max;
  ProgressSlot slots[FLEXIBLE_ARRAY_MEMBER];
};

// The name of the rendezvous variable that points to ProgressMemory; inherited by every process from the
// postmaster.
inline constexpr const char* progress_variable = "pg_reconcile progress";

// Which rows a command works on; empty names are shown as NULL.
struct ProgressSubject {
  std::string_view channel;
  std::string_view account;
  std::string_view leg;
  std::optional<std::int32_t> business_date;
};

// Shows a command from construction to destruction. When the process ends or its transaction aborts without
// unwinding C++ frames, the slot is freed all the same.
class Progress {
 public:
  static constexpr std::uint64_t report_rows = 8192;  // rows between two stores

  Progress(Command command, const ProgressSubject& subject);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Of the command that this process shows; they do nothing when it shows none, or is inside another one.
  static void day(std::int32_t business_date);
  static void phase(Phase phase, std::optional<std::int64_t> rows_expected = std::nullopt,
                    std::optional<std::int64_t> bytes_expected = std::nullopt);
  static void rows_done(std::uint64_t rows);
  static void bytes_done(std::uint64_t bytes);
  // Of the match at hand, by all its processes.
  static void bytes_spilled(std::uint64_t bytes);
  static void workers(std::uint32_t count);

 private:
  ProgressSlot* slot_;
};

}  // namespace pg_reconcile::pg

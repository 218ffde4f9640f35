// The worker's own side: its source's configuration, position and state, in the database it runs in.
//
// Functions that take an Spi belong to the caller's transaction; the others make their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/mapping/entry.h"
#include "core/mapping/normaliser.h"
#include "core/protocol/lsn.h"
#include "extension/pg/spi.h"

namespace pg_reconcile::worker {

// Going on would be wrong, and trying again would not help: somebody must decide.
class SourceStop : public core::Error {
 public:
  // `state`: paused, slot_lost, position_lost.
  SourceStop(const char* state, const core::Error& why)
      : core::Error(why.state(), why.what(), why.detail(), why.hint()), state_(state) {}
  [[nodiscard]] const char* source_state() const noexcept { return state_; }

 private:
  const char* state_;
};

struct SourceConfiguration {
  std::int32_t id = 0;
  std::string name;
  std::string kind;
  bool dropped = false;
  std::string location;  // file sources
  std::string server;
  std::string publication;
  std::string schema;  // of the table at the source
  std::string table;
  std::string mapping;
  core::MappingDefaults defaults;
  std::string slot;
  std::int32_t resyncs = 0;              // how often resync_source was called
  std::vector<std::string> key_columns;  // empty: the primary key
  bool copies_rows = true;               // rows that exist when the slot is made
  std::int64_t reject_limit = 1000;      // rejected rows in a row before the source pauses
  std::int64_t poll_ms = 2000;           // file sources

  // "public.payments": in source keys and messages.
  [[nodiscard]] std::string table_name() const { return schema + "." + table; }
};

// nullopt: no such source, or nothing to do for it.
std::optional<SourceConfiguration> load_source(std::int32_t id);

struct StoredPosition {
  core::Lsn lsn = core::invalid_lsn;
  std::string remote_system_identifier;
};

// nullopt: nothing is stored, or resync_source was called since.
std::optional<StoredPosition> load_position(const SourceConfiguration& source);

// Where a batch ends. source_time: nothing was committed before it that is not stored.
struct NewPosition {
  core::Lsn lsn = core::invalid_lsn;
  std::optional<core::TimestampTz> source_time;
  std::string remote_system_identifier;
  std::int32_t remote_timeline = 0;
};

void store_position(pg::Spi& spi, const SourceConfiguration& source, const NewPosition& position);

// What a batch did, for source_state.
struct Progress {
  core::Lsn received = core::invalid_lsn;
  std::optional<std::int64_t> lag_bytes;
  std::uint64_t applied = 0;
  std::uint64_t quarantined = 0;
};

void store_progress(pg::Spi& spi, std::int32_t source_id, const Progress& progress);

// A row change that can't become an entry.
struct Quarantined {
  core::Lsn position = core::invalid_lsn;
  std::string relation;
  const char* operation = "";
  std::string source_key;
  const char* stage = "mapping";
  std::optional<core::TimestampTz> committed_at;  // absent: of the initial copy
  bool settled = false;                           // what came after it was taken in
  std::vector<std::string> names;
  std::vector<std::optional<std::string>> values;
  std::string reason;
};

void store_quarantined(pg::Spi& spi, std::int32_t source_id, const Quarantined& row);
// What came under these keys since has been taken in, or is gone.
void settle_quarantined(pg::Spi& spi, std::int32_t source_id, const std::vector<std::string>& keys);

void set_state(std::int32_t source_id, const std::string& state, const std::string& message);

// Writes the state that an error ends the worker in; the message is the error's own. `cause`: null when the
// worker may be started again.
void set_error(std::int32_t source_id, const std::string& state, const char* cause, const core::Error& error);

// After drop_source: the slot is gone, nobody needs to come again.
void forget_slot(std::int32_t source_id);

}  // namespace pg_reconcile::worker

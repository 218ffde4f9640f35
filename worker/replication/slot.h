// The replication slot at the source: made, checked against what is stored here, dropped.
#pragma once

#include <optional>
#include <string>

#include "worker/local_source.h"
#include "worker/replication/connection.h"

namespace pg_reconcile::worker {

// IDENTIFY_SYSTEM.
struct RemoteSystem {
  std::string identifier;
  std::int32_t timeline = 0;
  core::Lsn current = core::invalid_lsn;
};

RemoteSystem identify(Connection& replication);

struct Slot {
  std::optional<core::Lsn> confirmed;
  std::string wal_status;
};

std::optional<Slot> find_slot(Connection& queries, const std::string& name);

// A slot whose snapshot can be read until the next command on the same connection.
struct NewSlot {
  core::Lsn consistent_point = core::invalid_lsn;
  std::string snapshot;
};

NewSlot create_slot(Connection& replication, const std::string& name);

// Harmless when there is none.
void drop_slot(Connection& replication, const std::string& name);

// Whether the stream may go on from what is stored. Throws SourceStop: slot_lost, position_lost.
void check_position(const StoredPosition& stored, const RemoteSystem& system, const std::optional<Slot>& slot,
                    const SourceConfiguration& source);

}  // namespace pg_reconcile::worker

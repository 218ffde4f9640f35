#include "worker/replication/slot.h"

#include <cstring>

#include "core/error.h"

namespace pg_reconcile::worker {
namespace {

core::Lsn lsn_of(const std::string& text) {
  const auto lsn = core::parse_lsn(text);
  if (!lsn) {
    throw core::Error(core::sqlstate::protocol_violation, "the source's server sent a position that is none",
                      text, "Check that the server is PostgreSQL 10 or later.");
  }
  return *lsn;
}

constexpr const char* resync_hint =
    "Find out what happened to the two servers; then SELECT reconcile.resync_source(...) reads the table "
    "again and "
    "mends whatever differs.";

[[noreturn]] void position_lost(const std::string& message, const std::string& detail) {
  throw SourceStop("position_lost", core::Error(core::sqlstate::object_not_in_prerequisite_state, message,
                                                detail, resync_hint));
}

}  // namespace

RemoteSystem identify(Connection& replication) {
  const Rows rows = replication.query("IDENTIFY_SYSTEM");
  return {rows.text(0, 0), static_cast<std::int32_t>(std::stol(rows.text(0, 1))), lsn_of(rows.text(0, 2))};
}

std::optional<Slot> find_slot(Connection& queries, const std::string& name) {
  // wal_status exists since 13.
  const char* status = queries.server_version() >= 130000 ? "coalesce(wal_status, '')" : "''";
  const Rows rows =
      queries.query(std::string("SELECT coalesce(confirmed_flush_lsn::text, ''), ") + status +
                    " FROM pg_catalog.pg_replication_slots WHERE slot_name = " + queries.quote_literal(name));
  if (rows.empty()) return std::nullopt;
  Slot slot;
  if (!rows.text(0, 0).empty()) slot.confirmed = lsn_of(rows.text(0, 0));
  slot.wal_status = rows.text(0, 1);
  return slot;
}

NewSlot create_slot(Connection& replication, const std::string& name) {
  try {
    // Waits for every transaction that runs there now: as long as that takes.
    const Rows rows = replication.query(
        "CREATE_REPLICATION_SLOT " + replication.quote_identifier(name) + " LOGICAL pgoutput EXPORT_SNAPSHOT",
        Connection::no_limit);
    return {lsn_of(rows.text(0, 1)), rows.text(0, 2)};
  } catch (const core::Error& error) {
    if (strcmp(error.state(), "55000") == 0) {
      throw core::Error(error.state(), error.what(), error.detail(),
                        "At the source set wal_level = logical and restart it.");
    }
    if (strcmp(error.state(), "53400") == 0) {
      throw core::Error(
          error.state(), error.what(), error.detail(),
          "At the source raise max_replication_slots and restart it, or drop slots that nobody uses.");
    }
    throw;
  }
}

void drop_slot(Connection& replication, const std::string& name) {
  try {
    replication.query("DROP_REPLICATION_SLOT " + replication.quote_identifier(name));
  } catch (const core::Error& error) {
    if (strcmp(error.state(), core::sqlstate::undefined_object) != 0) throw;
  }
}

void check_position(const StoredPosition& stored, const RemoteSystem& system, const std::optional<Slot>& slot,
                    const SourceConfiguration& source) {
  if (stored.remote_system_identifier != system.identifier) {
    position_lost("source \"" + source.name + "\" now connects to another server",
                  "The stored position belongs to system " + stored.remote_system_identifier +
                      ", the server is " + system.identifier + ".");
  }
  if (!slot) {
    throw SourceStop(
        "slot_lost",
        core::Error(core::sqlstate::undefined_object,
                    "replication slot \"" + source.slot + "\" no longer exists at the source",
                    "It was dropped, or the server is a promoted standby that never had it.", resync_hint));
  }
  if (slot->wal_status == "lost") {
    throw SourceStop(
        "slot_lost",
        core::Error(core::sqlstate::object_not_in_prerequisite_state,
                    "the source has removed WAL that slot \"" + source.slot + "\" needed",
                    "The worker was away for longer than max_slot_wal_keep_size allows.", resync_hint));
  }
  if (slot->confirmed && *slot->confirmed > stored.lsn) {
    position_lost("the source has forgotten changes that are not stored here",
                  "Slot \"" + source.slot + "\" is confirmed up to " + core::format_lsn(*slot->confirmed) +
                      ", stored is " + core::format_lsn(stored.lsn) +
                      ": this database was restored from a backup.");
  }
  if (system.current < stored.lsn) {
    position_lost("the source's server went back in time",
                  "Stored is " + core::format_lsn(stored.lsn) + ", the server is at " +
                      core::format_lsn(system.current) + ": it was restored from a backup.");
  }
}

}  // namespace pg_reconcile::worker

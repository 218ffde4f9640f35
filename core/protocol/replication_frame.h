// What travels inside CopyData while a server streams WAL: XLogData and keepalives one way, status the other.
// Source: PostgreSQL documentation, "Streaming Replication Protocol".
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <variant>

#include "core/mapping/entry.h"
#include "core/protocol/lsn.h"

namespace pg_reconcile::core {

struct XLogData {
  Lsn start = invalid_lsn;
  Lsn end = invalid_lsn;
  TimestampTz sent_at = 0;   // by the server's clock
  std::string_view payload;  // a view into the frame
};

struct Keepalive {
  Lsn end = invalid_lsn;  // everything before it has been sent
  TimestampTz sent_at = 0;
  bool reply_requested = false;
};

using ReplicationFrame = std::variant<XLogData, Keepalive>;

// Throws core::Error 08P01.
ReplicationFrame decode_replication_frame(std::string_view bytes);

inline constexpr std::size_t status_update_bytes = 34;

// Tells the server what is safe here: it may forget everything before `flushed`. `reply_requested` makes it
// answer with a keepalive at once.
std::array<char, status_update_bytes> encode_status_update(Lsn received, Lsn flushed, TimestampTz now,
                                                           bool reply_requested);

}  // namespace pg_reconcile::core

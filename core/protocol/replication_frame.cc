#include "core/protocol/replication_frame.h"

#include <cstdint>

#include "core/protocol/byte_reader.h"

namespace pg_reconcile::core {
namespace {

void put_uint64(char* to, std::uint64_t value) {
  for (int i = 7; i >= 0; i--) {
    to[i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
}

}  // namespace

ReplicationFrame decode_replication_frame(std::string_view bytes) {
  ByteReader reader(bytes, "replication");
  switch (reader.byte()) {
    case 'w': {
      reader.name("XLogData");
      XLogData data;
      data.start = reader.uint64();
      data.end = reader.uint64();
      data.sent_at = reader.int64();
      data.payload = reader.rest();
      return data;
    }
    case 'k': {
      reader.name("keepalive");
      Keepalive keepalive;
      keepalive.end = reader.uint64();
      keepalive.sent_at = reader.int64();
      keepalive.reply_requested = reader.byte() != 0;
      reader.expect_end();
      return keepalive;
    }
    default:
      reader.fail("its type is neither XLogData nor keepalive");
  }
}

std::array<char, status_update_bytes> encode_status_update(Lsn received, Lsn flushed, TimestampTz now,
                                                           bool reply_requested) {
  std::array<char, status_update_bytes> message{};
  message[0] = 'r';
  put_uint64(&message[1], received);
  put_uint64(&message[9], flushed);
  put_uint64(&message[17], flushed);  // applied: what is flushed here is visible here
  put_uint64(&message[25], static_cast<std::uint64_t>(now));
  message[33] = reply_requested ? 1 : 0;
  return message;
}

}  // namespace pg_reconcile::core

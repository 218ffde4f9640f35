// Whatever bytes a server sends, the decoder answers with a message or with 08P01.
//
// The input is a stream: two bytes of length, then a frame, again and again, so that a relation message and
// rows that refer to it meet.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/protocol/pgoutput.h"
#include "core/protocol/replicated_table.h"
#include "core/protocol/replication_frame.h"

namespace {

using namespace pg_reconcile::core;

// Every key and value must be readable to its last byte.
std::size_t touch(const RawRecord& record) {
  std::size_t sum = 0;
  for (const RawField& field : record.fields) {
    if (field.value) sum += std::string(*field.value).size();
  }
  return sum;
}

void feed(pgoutput::Decoder& decoder, std::optional<ReplicatedTable>& table, std::string_view bytes) {
  const ReplicationFrame frame = decode_replication_frame(bytes);
  const auto* data = std::get_if<XLogData>(&frame);
  if (data == nullptr) return;
  const pgoutput::Message message = decoder.decode(data->payload);
  if (const auto* relation = std::get_if<pgoutput::Relation>(&message)) {
    if (relation->columns.empty()) return;
    table.emplace(std::string(relation->schema) + "." + std::string(relation->name), *relation,
                  std::vector<std::string>{std::string(relation->columns[0].name)},
                  std::vector<std::string>{});
  } else if (!table) {
    return;
  } else if (const auto* insert = std::get_if<pgoutput::Insert>(&message)) {
    static_cast<void>(table->source_key(insert->row));
    touch(table->record(insert->row));
  } else if (const auto* update = std::get_if<pgoutput::Update>(&message)) {
    touch(table->record(update->row, update->old_kind, update->old_row));
  } else if (const auto* removal = std::get_if<pgoutput::Delete>(&message)) {
    static_cast<void>(table->source_key(removal->old_row));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  pgoutput::Decoder decoder;
  std::optional<ReplicatedTable> table;
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  while (rest.size() >= 2) {
    const std::size_t announced = (static_cast<std::size_t>(static_cast<std::uint8_t>(rest[0])) << 8) |
                                  static_cast<std::uint8_t>(rest[1]);
    rest.remove_prefix(2);
    // A copy of its own, so that a read past the frame is seen.
    const std::string frame(rest.substr(0, announced));
    rest.remove_prefix(frame.size());
    try {
      feed(decoder, table, frame);
    } catch (const Error& error) {
      const bool expected = std::strcmp(error.state(), sqlstate::protocol_violation) == 0 ||
                            std::strcmp(error.state(), sqlstate::undefined_column) == 0 ||
                            std::strcmp(error.state(), sqlstate::object_not_in_prerequisite_state) == 0;
      if (!expected) std::abort();
    }
  }
  return 0;
}

#include "core/protocol/pgoutput.h"

#include <string>

#include "core/protocol/byte_reader.h"

namespace pg_reconcile::core::pgoutput {
namespace {

// The least that one element of a list takes: a count beyond it is a lie, refused before memory is reserved.
constexpr std::size_t column_bytes_min = 1 + 1 + 4 + 4;
constexpr std::size_t value_bytes_min = 1;
constexpr std::size_t relation_id_bytes = 4;

void check_count(ByteReader& reader, std::size_t count, std::size_t bytes_each) {
  if (count > reader.left() / bytes_each) {
    reader.fail(std::to_string(count) + " elements are announced and " + std::to_string(reader.left()) +
                " bytes are left");
  }
}

Begin read_begin(ByteReader& reader) {
  Begin begin;
  begin.commit_lsn = reader.uint64();
  begin.commit_time = reader.int64();
  begin.xid = reader.uint32();
  return begin;
}

Commit read_commit(ByteReader& reader) {
  Commit commit;
  const std::uint8_t flags = reader.uint8();
  if (flags != 0) reader.fail("unknown flags " + std::to_string(flags));
  commit.commit_lsn = reader.uint64();
  commit.end_lsn = reader.uint64();
  commit.commit_time = reader.int64();
  return commit;
}

Origin read_origin(ByteReader& reader) {
  Origin origin;
  origin.lsn = reader.uint64();
  origin.name = reader.c_string();
  return origin;
}

Relation read_relation(ByteReader& reader, std::vector<RelationColumn>& columns) {
  Relation relation;
  relation.id = reader.uint32();
  relation.schema = reader.c_string();
  relation.name = reader.c_string();
  relation.replica_identity = reader.byte();
  const std::size_t count = reader.uint16();
  check_count(reader, count, column_bytes_min);
  columns.clear();
  for (std::size_t i = 0; i < count; i++) {
    RelationColumn column;
    column.is_key = (reader.uint8() & 1) != 0;
    column.name = reader.c_string();
    column.type = reader.uint32();
    column.type_modifier = reader.int32();
    columns.push_back(column);
  }
  relation.columns = columns;
  return relation;
}

Type read_type(ByteReader& reader) {
  Type type;
  type.id = reader.uint32();
  type.schema = reader.c_string();
  type.name = reader.c_string();
  return type;
}

Tuple read_tuple(ByteReader& reader, std::vector<Value>& values) {
  const std::size_t count = reader.uint16();
  check_count(reader, count, value_bytes_min);
  values.clear();
  for (std::size_t i = 0; i < count; i++) {
    Value value;
    const char kind = reader.byte();
    switch (kind) {
      case 'n':
      case 'u':
        value.kind = static_cast<ValueKind>(kind);
        break;
      case 't':
        value.kind = ValueKind::text;
        value.text = reader.take(reader.uint32());
        break;
      default:
        reader.fail("a value is neither NULL, unchanged nor text");
    }
    values.push_back(value);
  }
  return values;
}

void expect_new_row(ByteReader& reader, char tag) {
  if (tag != 'N') reader.fail("the new row is missing");
}

Insert read_insert(ByteReader& reader, std::vector<Value>& row) {
  Insert insert;
  insert.relation = reader.uint32();
  expect_new_row(reader, reader.byte());
  insert.row = read_tuple(reader, row);
  return insert;
}

Update read_update(ByteReader& reader, std::vector<Value>& row, std::vector<Value>& old_row) {
  Update update;
  update.relation = reader.uint32();
  char tag = reader.byte();
  if (tag == 'K' || tag == 'O') {
    update.old_kind = static_cast<OldTuple>(tag);
    update.old_row = read_tuple(reader, old_row);
    tag = reader.byte();
  }
  expect_new_row(reader, tag);
  update.row = read_tuple(reader, row);
  return update;
}

Delete read_delete(ByteReader& reader, std::vector<Value>& old_row) {
  Delete removal;
  removal.relation = reader.uint32();
  const char tag = reader.byte();
  if (tag != 'K' && tag != 'O') reader.fail("the old row is missing");
  removal.old_kind = static_cast<OldTuple>(tag);
  removal.old_row = read_tuple(reader, old_row);
  return removal;
}

Truncate read_truncate(ByteReader& reader, std::vector<std::uint32_t>& relations) {
  Truncate truncate;
  const std::size_t count = reader.uint32();
  const std::uint8_t options = reader.uint8();
  truncate.cascade = (options & 1) != 0;
  truncate.restart_identity = (options & 2) != 0;
  check_count(reader, count, relation_id_bytes);
  relations.clear();
  for (std::size_t i = 0; i < count; i++) relations.push_back(reader.uint32());
  truncate.relations = relations;
  return truncate;
}

LogicalMessage read_logical_message(ByteReader& reader) {
  LogicalMessage message;
  message.transactional = (reader.uint8() & 1) != 0;
  message.lsn = reader.uint64();
  message.prefix = reader.c_string();
  message.content = reader.take(reader.uint32());
  return message;
}

}  // namespace

Message Decoder::decode(std::string_view bytes) {
  ByteReader reader(bytes, "pgoutput");
  const auto whole = [&reader](Message message) {
    reader.expect_end();
    return message;
  };
  switch (reader.byte()) {
    case 'B':
      reader.name("pgoutput Begin");
      return whole(read_begin(reader));
    case 'C':
      reader.name("pgoutput Commit");
      return whole(read_commit(reader));
    case 'O':
      reader.name("pgoutput Origin");
      return whole(read_origin(reader));
    case 'R':
      reader.name("pgoutput Relation");
      return whole(read_relation(reader, columns_));
    case 'Y':
      reader.name("pgoutput Type");
      return whole(read_type(reader));
    case 'I':
      reader.name("pgoutput Insert");
      return whole(read_insert(reader, row_));
    case 'U':
      reader.name("pgoutput Update");
      return whole(read_update(reader, row_, old_row_));
    case 'D':
      reader.name("pgoutput Delete");
      return whole(read_delete(reader, old_row_));
    case 'T':
      reader.name("pgoutput Truncate");
      return whole(read_truncate(reader, relations_));
    case 'M':
      reader.name("pgoutput Message");
      return whole(read_logical_message(reader));
    default:
      reader.fail("its type is unknown");
  }
}

}  // namespace pg_reconcile::core::pgoutput

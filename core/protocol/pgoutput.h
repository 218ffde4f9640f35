// The output of PostgreSQL's plugin pgoutput, protocol version 1, text format.
// Source: PostgreSQL documentation, "Logical Replication Message Formats".
//
// The decoder trusts nothing: every length is checked, and what it doesn't understand is a protocol violation
// (08P01). Texts are views into the message, lists are views into the decoder: valid until the next decode().
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "core/mapping/entry.h"
#include "core/protocol/lsn.h"

namespace pg_reconcile::core::pgoutput {

struct Begin {
  Lsn commit_lsn = invalid_lsn;  // of the commit record that ends this transaction
  TimestampTz commit_time = 0;
  std::uint32_t xid = 0;
};

struct Commit {
  Lsn commit_lsn = invalid_lsn;
  Lsn end_lsn = invalid_lsn;  // where the next record starts: what is stored as position
  TimestampTz commit_time = 0;
};

struct Origin {
  Lsn lsn = invalid_lsn;
  std::string_view name;
};

struct RelationColumn {
  bool is_key = false;  // part of the replica identity
  std::string_view name;
  std::uint32_t type = 0;
  std::int32_t type_modifier = 0;
};

struct Relation {
  std::uint32_t id = 0;
  std::string_view schema;  // empty: pg_catalog
  std::string_view name;
  char replica_identity = 'd';  // pg_class.relreplident: d, n, f, i
  std::span<const RelationColumn> columns;
};

struct Type {
  std::uint32_t id = 0;
  std::string_view schema;
  std::string_view name;
};

enum class ValueKind : char {
  null = 'n',
  unchanged = 'u',  // a TOASTed value that this update didn't touch: not sent
  text = 't'
};

struct Value {
  ValueKind kind = ValueKind::null;
  std::string_view text;
};

using Tuple = std::span<const Value>;

enum class OldTuple : char {
  none = 0,
  key = 'K',  // the replica identity's columns, the others NULL
  full = 'O'  // the whole row: REPLICA IDENTITY FULL
};

struct Insert {
  std::uint32_t relation = 0;
  Tuple row;
};

struct Update {
  std::uint32_t relation = 0;
  OldTuple old_kind = OldTuple::none;
  Tuple old_row;  // empty when old_kind is none: the identity's columns did not change
  Tuple row;
};

struct Delete {
  std::uint32_t relation = 0;
  OldTuple old_kind = OldTuple::key;
  Tuple old_row;
};

struct Truncate {
  bool cascade = false;
  bool restart_identity = false;
  std::span<const std::uint32_t> relations;
};

struct LogicalMessage {
  bool transactional = false;
  Lsn lsn = invalid_lsn;
  std::string_view prefix;
  std::string_view content;
};

using Message =
    std::variant<Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, LogicalMessage>;

class Decoder {
 public:
  // Throws core::Error 08P01; the decoder may be used on after that.
  Message decode(std::string_view bytes);

 private:
  std::vector<RelationColumn> columns_;
  std::vector<Value> row_;
  std::vector<Value> old_row_;
  std::vector<std::uint32_t> relations_;
};

}  // namespace pg_reconcile::core::pgoutput

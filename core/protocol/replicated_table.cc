#include "core/protocol/replicated_table.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace pg_reconcile::core {
namespace {

void append_escaped(std::string& key, std::string_view value) {
  for (const char c : value) {
    switch (c) {
      case '%':
        key += "%25";
        break;
      case '#':
        key += "%23";
        break;
      case ',':
        key += "%2C";
        break;
      default:
        key.push_back(c);
    }
  }
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace

std::string replication_source_key(std::string_view table, const std::vector<std::string_view>& key_values) {
  std::string key(table);
  char separator = '/';
  for (const std::string_view value : key_values) {
    key.push_back(separator);
    append_escaped(key, value);
    separator = ',';
  }
  return key;
}

ReplicatedTable::ReplicatedTable(std::string table, const pgoutput::Relation& relation,
                                 const std::vector<std::string>& key_columns,
                                 const std::vector<std::string>& mapped_columns)
    : table_(std::move(table)) {
  for (const pgoutput::RelationColumn& column : relation.columns) {
    names_.emplace_back(column.name);
    mapped_.push_back(std::find(mapped_columns.begin(), mapped_columns.end(), column.name) !=
                      mapped_columns.end());
  }
  const auto position_of = [&](const std::string& name, const char* role) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) {
      throw Error(
          sqlstate::undefined_column, "table " + table_ + " no longer sends column \"" + name + "\"",
          std::string("It is a ") + role + " column; the stream has: " + listed(names_) + ".",
          "Put the column back (also into the publication's column list), or change the source's mapping, "
          "then SELECT reconcile.resume_source(...).");
    }
    return static_cast<std::size_t>(found - names_.begin());
  };
  for (const std::string& name : mapped_columns) position_of(name, "mapped");
  for (const std::string& name : key_columns) {
    const std::size_t position = position_of(name, "key");
    if (!relation.columns[position].is_key) {
      throw Error(sqlstate::object_not_in_prerequisite_state,
                  "key column \"" + name + "\" of table " + table_ + " is not part of its replica identity",
                  "Updates and deletes would come without it.",
                  "At the source: ALTER TABLE " + table_ + " REPLICA IDENTITY DEFAULT (or FULL).");
    }
    key_positions_.push_back(position);
  }
}

void ReplicatedTable::check_width(pgoutput::Tuple row) const {
  if (row.size() != names_.size()) {
    throw Error(sqlstate::protocol_violation, "a row of table " + table_ + " doesn't fit its description",
                "The stream described " + std::to_string(names_.size()) + " columns, the row has " +
                    std::to_string(row.size()) + ".",
                "Restart the source's worker; if it happens again, report it with the server's version.");
  }
}

std::string ReplicatedTable::source_key(pgoutput::Tuple row) const {
  check_width(row);
  std::vector<std::string_view> values;
  for (const std::size_t position : key_positions_) {
    if (row[position].kind != pgoutput::ValueKind::text) {
      throw Error(
          sqlstate::object_not_in_prerequisite_state,
          "key column \"" + names_[position] + "\" of table " + table_ + " has no value in the stream",
          "It is NULL, or a long value that the update did not touch.",
          "Name a column that is NOT NULL and short in the source's option \"key\".");
    }
    values.push_back(row[position].text);
  }
  return replication_source_key(table_, values);
}

RawRecord ReplicatedTable::record(pgoutput::Tuple row, pgoutput::OldTuple old_kind, pgoutput::Tuple old_row) {
  check_width(row);
  if (old_kind != pgoutput::OldTuple::none) check_width(old_row);
  fields_.clear();
  for (std::size_t i = 0; i < row.size(); i++) {
    pgoutput::Value value = row[i];
    if (value.kind == pgoutput::ValueKind::unchanged) {
      if (old_kind == pgoutput::OldTuple::full) {
        value = old_row[i];
      } else if (mapped_[i]) {
        throw Error(
            sqlstate::object_not_in_prerequisite_state,
            "an update of table " + table_ + " came without the value of column \"" + names_[i] + "\"",
            "The value is stored out of line (TOAST), the update did not change it, and the table's replica "
            "identity does not include it. The mapping reads this column.",
            "At the source: ALTER TABLE " + table_ +
                " REPLICA IDENTITY FULL; then here: SELECT reconcile.resync_source(...).");
      } else {
        continue;
      }
    }
    RawField field{names_[i], std::nullopt};
    if (value.kind == pgoutput::ValueKind::text) field.value = value.text;
    fields_.push_back(field);
  }
  return RawRecord{fields_};
}

}  // namespace pg_reconcile::core

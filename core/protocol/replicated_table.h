// One table of a source as its stream describes it: turns the stream's tuples into source keys and raw
// records.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/raw_record.h"
#include "core/protocol/pgoutput.h"

namespace pg_reconcile::core {

// "<schema.table>/<value>[,<value>]". Values are escaped so that two keys never look alike and '#' stays free
// for the deltas that follow a sign-off: % -> %25, # -> %23, comma -> %2C.
std::string replication_source_key(std::string_view table, const std::vector<std::string_view>& key_values);

class ReplicatedTable {
 public:
  // `table` is "schema.table" for keys and messages. Throws core::Error 42703 when a key or mapped column is
  // not among the relation's, 55000 when a key column is not part of its replica identity: an update or
  // delete would then come without the row's key.
  ReplicatedTable(std::string table, const pgoutput::Relation& relation,
                  const std::vector<std::string>& key_columns,
                  const std::vector<std::string>& mapped_columns);

  [[nodiscard]] const std::string& name() const { return table_; }

  // The key of a row, or of an old row. Throws 08P01 when the row has another number of columns.
  [[nodiscard]] std::string source_key(pgoutput::Tuple row) const;

  // The row as named texts. A value that an update left out is taken from the old row; where that doesn't
  // have it and a mapped column needs it, throws 55000 with the column's name. Valid until the next call.
  RawRecord record(pgoutput::Tuple row, pgoutput::OldTuple old_kind = pgoutput::OldTuple::none,
                   pgoutput::Tuple old_row = {});

 private:
  void check_width(pgoutput::Tuple row) const;

  std::string table_;
  std::vector<std::string> names_;
  std::vector<bool> mapped_;
  std::vector<std::size_t> key_positions_;
  std::vector<RawField> fields_;
};

}  // namespace pg_reconcile::core

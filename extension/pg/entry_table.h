// reconcile.entry as rows are put into it, without a query: the executor's own routing to the partitions,
// many rows at a time into a partition's pages and into each of its indexes.
//
// What comes out is what INSERT ... ON CONFLICT DO NOTHING leaves behind: the month that holds a key already
// keeps what it has. A row goes in as if its key were new; where a unique index then says that another live,
// or unfinished, row may have the key, the row is deleted again and put in the way the executor does it
// (speculatively, waiting for the other transaction). Before that a few keys of a batch are looked up: of a
// replay all rows take that way at once. So does what a partition can have besides our own: triggers,
// generated columns, exclusion constraints, another access method.
#pragma once

#include <cstddef>

#include "extension/pg/entry_row.h"

namespace pg_reconcile::pg {

struct RawEntryTable;

// Open for one batch. Runs with the rights of the table's owner.
class EntryTable {
 public:
  explicit EntryTable(const RowMemory& memory);
  EntryTable(const EntryTable&) = delete;
  EntryTable& operator=(const EntryTable&) = delete;

  [[nodiscard]] Oid owner() const;
  // Says in each row whether it was stored.
  void insert(EntryRow* rows, std::size_t count);
  // What is not closed is left to the transaction's end by an error.
  void close();

 private:
  RawEntryTable* raw_;
};

}  // namespace pg_reconcile::pg

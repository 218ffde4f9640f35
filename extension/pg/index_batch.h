// Many tuples into one index.
//
// The tuples go in by the order of their keys, so that neighbours go to the same pages. In a B-tree a page
// that several of them belong to is searched for once, and takes as many as it has room for under one lock
// and one WAL record (generic_xlog.h: replayed by PostgreSQL itself). Whatever is not plain goes through
// index_insert() as ever: keys that the index may hold already where it is unique, duplicates inside a
// posting list, pages that are full and have to be split, other access methods.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <access/genam.h>
#include <nodes/execnodes.h>
#include <storage/itemptr.h>
}

namespace pg_reconcile::pg {

struct IndexItem {
  Datum* values;  // of the index's columns
  bool* nulls;
  ItemPointerData tid;
  void* row;          // the caller's
  bool may_be_twice;  // set in unique indexes: another live, or unfinished, row has the key
};

struct IndexBatch {
  Relation table;
  Relation index;
  struct IndexInfo* info;
  IndexItem* items;  // reordered
  std::size_t count;
};

// The index access method's own way for one tuple. May longjmp.
void raw_insert_item(const IndexBatch& batch, IndexItem& item);

// May longjmp. Conflicts of a unique index are not waited for and not raised.
void raw_insert_batch(const IndexBatch& batch);

}  // namespace pg_reconcile::pg

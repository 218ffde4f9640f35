// Where PostgreSQL 15 to 18 name the same thing differently.
#pragma once

#include "extension/pg/postgres.h"

extern "C" {
#include <access/nbtree.h>
#include <executor/executor.h>
#include <storage/proc.h>
}

namespace pg_reconcile::pg {

inline LocalTransactionId local_transaction_id() noexcept {
#if PG_VERSION_NUM >= 170000
  return MyProc->vxid.lxid;
#else
  return MyProc->lxid;
#endif
}

// This process's place among all that PostgreSQL counts, from 0.
inline int process_number() noexcept {
#if PG_VERSION_NUM >= 170000
  return MyProcNumber;
#else
  return MyProc->pgprocno;
#endif
}

// All that follows may longjmp.

inline void raw_init_range_table(EState* estate, RangeTblEntry* entry) {
#if PG_VERSION_NUM >= 180000
  ExecInitRangeTable(estate, list_make1(entry), nullptr, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
  ExecInitRangeTable(estate, list_make1(entry), nullptr);
#else
  ExecInitRangeTable(estate, list_make1(entry));
#endif
}

// Whether no other row conflicts, in any index.
inline bool raw_check_index_constraints(ResultRelInfo* info, TupleTableSlot* slot, EState* estate) {
  ItemPointerData conflict;
#if PG_VERSION_NUM >= 180000
  ItemPointerData none;
  ItemPointerSetInvalid(&none);
  return ExecCheckIndexConstraints(info, slot, estate, &conflict, &none, nullptr);
#else
  return ExecCheckIndexConstraints(info, slot, estate, &conflict, nullptr);
#endif
}

inline List* raw_insert_index_tuples(ResultRelInfo* info, TupleTableSlot* slot, EState* estate,
                                     bool* conflicts) {
#if PG_VERSION_NUM >= 160000
  return ExecInsertIndexTuples(info, slot, estate, false, true, conflicts, nullptr, false);
#else
  return ExecInsertIndexTuples(info, slot, estate, false, true, conflicts, nullptr);
#endif
}

inline BTStack raw_search_leaf(Relation index, [[maybe_unused]] Relation table, BTScanInsert key,
                               Buffer* leaf) {
#if PG_VERSION_NUM >= 170000
  return _bt_search(index, table, key, leaf, BT_WRITE);
#elif PG_VERSION_NUM >= 160000
  return _bt_search(index, table, key, leaf, BT_WRITE, nullptr);
#else
  return _bt_search(index, key, leaf, BT_WRITE, nullptr);
#endif
}

// The longest tuple of a B-tree.
inline Size btree_item_size_max([[maybe_unused]] Page page) {
#if PG_VERSION_NUM >= 180000
  return BTMaxItemSize;
#else
  return BTMaxItemSize(page);
#endif
}

}  // namespace pg_reconcile::pg

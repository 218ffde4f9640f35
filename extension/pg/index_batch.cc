#include "extension/pg/index_batch.h"

#include <algorithm>
#include <functional>
#include <cstring>
#include <string_view>

#include "extension/pg/btree_run.h"
#include "extension/values/payload.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_am_d.h>
#include <miscadmin.h>
#include <utils/rel.h>
}

namespace pg_reconcile::pg {
namespace {

// Bytes for bytes: the order of numbers and of COLLATE "C". In another order than the index's own more pages
// are searched for, and nothing else.
bool raw_less(const IndexItem& a, const IndexItem& b, TupleDesc columns, bool is_unique) {
  for (int i = 0; i < columns->natts; i++) {
    if (a.nulls[i] != b.nulls[i]) return b.nulls[i];
    if (a.nulls[i] || a.values[i] == b.values[i]) continue;
    const FormData_pg_attribute* column = TupleDescAttr(columns, i);
    if (column->attbyval)
      return static_cast<std::int64_t>(a.values[i]) < static_cast<std::int64_t>(b.values[i]);
    if (column->attlen != -1) break;
    const int order = payload_of(a.values[i]).compare(payload_of(b.values[i]));
    if (order != 0) return order < 0;
  }
  // Of rows with one key the first is stored, which may lie behind the others: a page with room may be any.
  if (is_unique) return std::less<>()(a.row, b.row);
  return ItemPointerCompare(const_cast<ItemPointer>(&a.tid), const_cast<ItemPointer>(&b.tid)) < 0;
}

}  // namespace

void raw_insert_item(const IndexBatch& batch, IndexItem& item) {
  const IndexUniqueCheck check = batch.info->ii_Unique ? UNIQUE_CHECK_PARTIAL : UNIQUE_CHECK_NO;
  const bool is_unique =
      index_insert(batch.index, item.values, item.nulls, &item.tid, batch.table, check, false, batch.info);
  item.may_be_twice = batch.info->ii_Unique && !is_unique;
}

namespace {

bool raw_same_values(const IndexItem& a, const IndexItem& b, TupleDesc columns) {
  for (int i = 0; i < columns->natts; i++) {
    if (a.nulls[i] != b.nulls[i] || (!a.nulls[i] && a.values[i] != b.values[i])) return false;
  }
  return true;
}

// A summary of block ranges learns nothing from a second row with the same values in the same block. The
// first row of every block is told, because with it the range before is due for being summarized.
void raw_insert_brin(const IndexBatch& batch) {
  const TupleDesc columns = RelationGetDescr(batch.index);
  const IndexItem* told = nullptr;
  for (std::size_t i = 0; i < batch.count; i++) {
    IndexItem& item = batch.items[i];
    CHECK_FOR_INTERRUPTS();
    if (told != nullptr && ItemPointerGetBlockNumber(&told->tid) == ItemPointerGetBlockNumber(&item.tid) &&
        raw_same_values(*told, item, columns)) {
      continue;
    }
    raw_insert_item(batch, item);
    told = &item;
  }
}

}  // namespace

void raw_insert_batch(const IndexBatch& batch) {
  if (batch.index->rd_rel->relam == BRIN_AM_OID) return raw_insert_brin(batch);
  const TupleDesc columns = RelationGetDescr(batch.index);
  const bool is_unique = batch.info->ii_Unique;
  const auto less = [=](const IndexItem& a, const IndexItem& b) {
    return raw_less(a, b, columns, is_unique);
  };
  if (!std::is_sorted(batch.items, batch.items + batch.count, less)) {
    std::sort(batch.items, batch.items + batch.count, less);
  }
  if (batch.index->rd_rel->relam == BTREE_AM_OID) return raw_insert_btree(batch);
  for (std::size_t i = 0; i < batch.count; i++) {
    CHECK_FOR_INTERRUPTS();
    raw_insert_item(batch, batch.items[i]);
  }
}

}  // namespace pg_reconcile::pg

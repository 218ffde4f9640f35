#include "extension/pg/block_ranges.h"

#include <numeric>

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/skey.h>
#include <access/stratnum.h>
#include <access/transam.h>
#include <catalog/pg_am_d.h>
#include <catalog/pg_class.h>
#include <catalog/pg_type_d.h>
#include <nodes/tidbitmap.h>
#include <partitioning/partbounds.h>
#include <partitioning/partdesc.h>
#include <storage/bufmgr.h>
#include <utils/date.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/partcache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::pg {
namespace {

Oid raw_partition_for(Oid parent, Datum value) {
  Relation relation = relation_open(parent, AccessShareLock);
  Oid found = InvalidOid;
  if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
    PartitionKey key = RelationGetPartitionKey(relation);
    PartitionDesc description = RelationGetPartitionDesc(relation, true);
    PartitionBoundInfo bounds = description->boundinfo;
    bool equal = false;
    int index = -1;
    if (bounds != nullptr && key->strategy == PARTITION_STRATEGY_LIST) {
      const int offset = partition_list_bsearch(key->partsupfunc, key->partcollation, bounds, value, &equal);
      if (offset >= 0 && equal) index = bounds->indexes[offset];
    } else if (bounds != nullptr && key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1) {
      const int offset =
          partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &equal);
      index = bounds->indexes[offset + 1];
    }
    if (index >= 0) found = description->oids[index];
  }
  relation_close(relation, NoLock);
  return found;
}

// The block-range index on this column that can be used, InvalidOid: none.
Oid raw_brin_index(Relation relation, AttrNumber column) {
  Oid found = InvalidOid;
  List* indexes = RelationGetIndexList(relation);
  ListCell* cell = nullptr;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    // An index built over broken update chains is not for snapshots older than itself.
    const bool is_visible =
        !index->rd_index->indcheckxmin ||
        TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin);
    if (index->rd_rel->relam == BRIN_AM_OID && index->rd_index->indisvalid && is_visible &&
        index->rd_index->indkey.values[0] == column && RelationGetIndexPredicate(index) == NIL) {
      found = RelationGetRelid(index);
    }
    index_close(index, NoLock);
  }
  list_free(indexes);
  return found;
}

TIDBitmap* raw_bitmap(Oid index_oid, DateADT day) {
  Relation index = index_open(index_oid, AccessShareLock);
  ScanKeyData key;
  ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, DATEOID, InvalidOid, F_DATE_EQ,
                         DateADTGetDatum(day));
#if PG_VERSION_NUM >= 180000
  IndexScanDesc scan = index_beginscan_bitmap(index, GetActiveSnapshot(), nullptr, 1);
  TIDBitmap* bitmap = tbm_create(static_cast<Size>(work_mem) * 1024, nullptr);
#else
  IndexScanDesc scan = index_beginscan_bitmap(index, GetActiveSnapshot(), 1);
  TIDBitmap* bitmap = tbm_create(static_cast<long>(work_mem) * 1024, nullptr);
#endif
  index_rescan(scan, &key, 1, nullptr, 0);
  index_getbitmap(scan, bitmap);
  index_endscan(scan);
  index_close(index, NoLock);
  return bitmap;
}

// One step through a bitmap of whole blocks, in ascending order.
class RawBlocks {
 public:
  explicit RawBlocks(TIDBitmap* bitmap)
#if PG_VERSION_NUM >= 180000
      : iterator_(tbm_begin_private_iterate(bitmap)) {
  }
  BlockNumber next() {
    TBMIterateResult result;
    return tbm_private_iterate(iterator_, &result) ? result.blockno : InvalidBlockNumber;
  }
  void end() {
    tbm_end_private_iterate(iterator_);
  }

 private:
  TBMPrivateIterator* iterator_;
#else
      : iterator_(tbm_begin_iterate(bitmap)) {
  }
  BlockNumber next() {
    const TBMIterateResult* result = tbm_iterate(iterator_);
    return result != nullptr ? result->blockno : InvalidBlockNumber;
  }
  void end() {
    tbm_end_iterate(iterator_);
  }

 private:
  TBMIterator* iterator_;
#endif
};

struct RawTable {
  BlockNumber blocks;
  Oid index;
};

RawTable raw_table(Oid oid, const char* column) {
  Relation relation = relation_open(oid, NoLock);
  const RawTable table{RelationGetNumberOfBlocks(relation),
                       raw_brin_index(relation, get_attnum(oid, column))};
  relation_close(relation, NoLock);
  return table;
}

}  // namespace

Oid partition_for(Oid parent, std::span<const Datum> values) {
  Oid relation = parent;
  for (const Datum value : values) {
    if (!OidIsValid(relation)) break;
    relation = guarded([=] { return raw_partition_for(relation, value); });
  }
  return relation;
}

std::vector<BlockNumber> blocks_of_day(Oid relation, const char* column, std::int32_t day) {
  const RawTable table = guarded([=] { return raw_table(relation, column); });
  std::vector<BlockNumber> blocks;
  if (!OidIsValid(table.index)) {
    blocks.resize(table.blocks);
    std::iota(blocks.begin(), blocks.end(), BlockNumber{0});
    return blocks;
  }
  TIDBitmap* bitmap = guarded([=] { return raw_bitmap(table.index, day); });
  RawBlocks iterator = guarded([=] { return RawBlocks(bitmap); });
  for (;;) {
    const BlockNumber block = guarded([&] { return iterator.next(); });
    if (block == InvalidBlockNumber) break;
    if (block < table.blocks) blocks.push_back(block);
  }
  guarded([&] {
    iterator.end();
    tbm_free(bitmap);
  });
  return blocks;
}

}  // namespace pg_reconcile::pg

// What nbtree does for one tuple (_bt_doinsert, _bt_insertonpg), for as many as belong to one leaf page: the
// page is found and locked as there, each tuple's place is found by nbtree's own comparison, and the page's
// change is one generic WAL record. Only what needs no decision is done so. A tuple goes through
// index_insert() when its key may be there already in a unique index (nothing is equal to it on the page, and
// its place is before the page's high key, so that nothing can be equal to it elsewhere: the page's lock
// keeps it so until it is in), when it falls inside a posting list, and when the page has no room: nbtree
// then deletes, deduplicates or splits, and the run goes on in what it left.
#include "extension/pg/btree_run.h"

#include "extension/pg/compat.h"

extern "C" {
#include <access/generic_xlog.h>
#include <access/itup.h>
#include <access/nbtree.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <storage/predicate.h>
#include <utils/rel.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr std::size_t run_min = 4;           // neighbours in a page are worth a search of our own
constexpr std::size_t alone_after_few = 16;  // tuples go in alone where neighbours are in other pages

IndexTuple raw_tuple(const IndexBatch& batch, const IndexItem& item) {
  IndexTuple tuple = index_form_tuple(RelationGetDescr(batch.index), item.values, item.nulls);
  tuple->t_tid = item.tid;
  return tuple;
}

// As _bt_mkscankey makes it, and _bt_doinsert changes it for unique indexes.
void raw_set_key(const IndexBatch& batch, IndexItem& item, BTScanInsert key) {
  key->anynullkeys = false;
  for (int i = 0; i < key->keysz; i++) {
    ScanKey part = &key->scankeys[i];
    part->sk_argument = item.values[i];
    part->sk_flags &= ~SK_ISNULL;
    if (item.nulls[i]) {
      part->sk_flags |= SK_ISNULL;
      key->anynullkeys = true;
    }
  }
  key->scantid = batch.info->ii_Unique ? nullptr : &item.tid;
}

// The first place from `low` on whose tuple is not before the key; InvalidOffsetNumber when that tuple is
// equal.
OffsetNumber raw_place(Relation index, BTScanInsert key, Page page, OffsetNumber low) {
  OffsetNumber high = OffsetNumberNext(PageGetMaxOffsetNumber(page));
  bool is_equal = false;
  // Neighbours mostly follow each other without anything between.
  for (OffsetNumber middle = low; low < high; middle = static_cast<OffsetNumber>(low + (high - low) / 2)) {
    const int order = _bt_compare(index, key, page, middle);
    if (order > 0) {
      low = OffsetNumberNext(middle);
    } else {
      high = middle;
      is_equal = order == 0;
      if (is_equal) break;
    }
  }
  return is_equal ? InvalidOffsetNumber : high;
}

bool raw_is_before_end(Relation index, BTScanInsert key, Page page) {
  return P_RIGHTMOST(BTPageGetOpaque(page)) || _bt_compare(index, key, page, P_HIKEY) < 0;
}

enum class RunEnd { stopped, far_apart };

struct Run {
  std::size_t taken;
  RunEnd end;
};

// Items from `first` on into the locked page that the first one's key was searched for.
Run raw_fill_page(const IndexBatch& batch, std::size_t first, BTScanInsert key, Buffer buffer) {
  const Relation index = batch.index;
  Page page = BufferGetPage(buffer);
  const BTPageOpaque opaque = BTPageGetOpaque(page);
  if (!P_ISLEAF(opaque) || P_IGNORE(opaque) || P_INCOMPLETE_SPLIT(opaque)) return {0, RunEnd::stopped};
  raw_set_key(batch, batch.items[first + run_min - 1], key);
  if (!raw_is_before_end(index, key, page)) return {0, RunEnd::far_apart};
  CheckForSerializableConflictIn(index, nullptr, BufferGetBlockNumber(buffer));
  GenericXLogState* change = GenericXLogStart(index);
  page = GenericXLogRegisterBuffer(change, buffer, 0);
  OffsetNumber last = InvalidOffsetNumber;
  std::size_t taken = 0;
  for (; first + taken < batch.count; taken++) {
    IndexItem& item = batch.items[first + taken];
    raw_set_key(batch, item, key);
    if (batch.info->ii_Unique && key->anynullkeys) break;
    if (!raw_is_before_end(index, key, page)) break;
    if (last != InvalidOffsetNumber && _bt_compare(index, key, page, last) <= 0) break;
    const OffsetNumber from = last == InvalidOffsetNumber ? P_FIRSTDATAKEY(opaque) : OffsetNumberNext(last);
    const OffsetNumber place = raw_place(index, key, page, from);
    if (place == InvalidOffsetNumber) break;
    IndexTuple tuple = raw_tuple(batch, item);
    const Size size = MAXALIGN(IndexTupleSize(tuple));
    if (size > btree_item_size_max(page) || PageGetFreeSpace(page) < size) break;
    if (PageAddItem(page, reinterpret_cast<Item>(tuple), size, place, false, false) == InvalidOffsetNumber) {
      elog(ERROR, "could not add an item to block %u of index \"%s\"", BufferGetBlockNumber(buffer),
           RelationGetRelationName(index));
    }
    pfree(tuple);
    last = place;
  }
  if (taken > 0) {
    GenericXLogFinish(change);
  } else {
    GenericXLogAbort(change);
  }
  return {taken, RunEnd::stopped};
}

Run raw_insert_run(const IndexBatch& batch, std::size_t first, BTScanInsert key) {
  Buffer buffer = InvalidBuffer;
  raw_set_key(batch, batch.items[first], key);
  const BTStack stack = raw_search_leaf(batch.index, batch.table, key, &buffer);
  const Run run = raw_fill_page(batch, first, key, buffer);
  _bt_relbuf(batch.index, buffer);
  _bt_freestack(stack);
  return run;
}

}  // namespace

void raw_insert_btree(const IndexBatch& batch) {
  if (batch.count == 0) return;
  const BTScanInsert key = _bt_mkscankey(batch.index, raw_tuple(batch, batch.items[0]));
  std::size_t alone = 0;
  for (std::size_t i = 0; i < batch.count;) {
    CHECK_FOR_INTERRUPTS();
    if (key->heapkeyspace && alone == 0 && batch.count - i >= run_min) {
      const Run run = raw_insert_run(batch, i, key);
      i += run.taken;
      if (run.taken > 0) continue;
      alone = run.end == RunEnd::far_apart ? alone_after_few : 1;
    }
    raw_insert_item(batch, batch.items[i++]);
    if (alone > 0) alone--;
  }
}

}  // namespace pg_reconcile::pg

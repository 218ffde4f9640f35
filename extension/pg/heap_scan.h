// Heap tables read page by page: PostgreSQL decides which tuples of a page are visible, we take the columns
// that are needed straight from the page. No slot, no executor, no copy.
//
// Only for what may_scan_heap() allows; everything else goes through the executor with the same result. Works
// the same in parallel workers: blocks are handed out by whoever owns the counter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "extension/pg/guard.h"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/tupmacs.h>
#include <storage/bufmgr.h>
#include <utils/rel.h>
#include <utils/snapshot.h>
}

namespace pg_reconcile::pg {

// Why a relation cannot be read page by page; empty: it can. The relation is locked by the caller. With
// `ignore_row_security` the caller sees to row security itself.
std::string reason_against_heap_scan(Oid relation, bool ignore_row_security = false);

// Takes chosen attributes out of heap tuples.
class HeapDeformer {
 public:
  // `attributes`: which attributes, in the order of the values; one may occur more than once.
  HeapDeformer(TupleDesc description, std::span<const AttrNumber> attributes);

  // Fills `values` and `nulls`. By-reference values point into the tuple. True when one of them is compressed
  // or out of line: see toasted().
  bool deform(const HeapTupleHeaderData* tuple, Datum* values, bool* nulls) const {
    const std::uint16_t infomask = tuple->t_infomask;
    const bits8* null_bits = (infomask & HEAP_HASNULL) != 0 ? tuple->t_bits : nullptr;
    const int stored = HeapTupleHeaderGetNatts(tuple);
    const char* data = reinterpret_cast<const char*>(tuple) + tuple->t_hoff;
    const int last = std::min(stored, static_cast<int>(steps_.size()));
    bool toasted = false;
    int i = 0;
    std::size_t offset = 0;
    if (null_bits == nullptr && stored >= skipped_) {
      i = skipped_;
      offset = skipped_bytes_;
    }
    for (; i < last; i++) {
      const Step& step = steps_[static_cast<std::size_t>(i)];
      if (null_bits != nullptr && att_isnull(i, null_bits)) {
        if (step.target >= 0) nulls[step.target] = true;
        continue;
      }
      if (step.length == -1) {
        // A length word is aligned, a one-byte header is not; padding is zero and no header ever is.
        if (data[offset] == 0) offset = (offset + step.align_mask) & ~step.align_mask;
        const char* value = data + offset;
        if (step.target >= 0) {
          values[step.target] = PointerGetDatum(value);
          nulls[step.target] = false;
          toasted |= VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value);
        }
        offset += VARSIZE_ANY(value);
      } else {
        offset = (offset + step.align_mask) & ~step.align_mask;
        const char* value = data + offset;
        if (step.target >= 0) {
          values[step.target] = step.by_value ? fetch_att(value, true, step.length) : PointerGetDatum(value);
          nulls[step.target] = false;
        }
        offset += step.length > 0 ? static_cast<std::size_t>(step.length) : std::strlen(value) + 1;
      }
    }
    for (; i < static_cast<int>(steps_.size()); i++) {
      const Step& step = steps_[static_cast<std::size_t>(i)];
      if (step.target < 0) continue;
      values[step.target] = step.missing;
      nulls[step.target] = step.missing_is_null;
    }
    for (const Copy& copy : copies_) {
      values[copy.to] = values[copy.from];
      nulls[copy.to] = nulls[copy.from];
    }
    return toasted;
  }

 private:
  struct Step {
    std::int16_t length;
    bool by_value;
    bool missing_is_null = true;
    std::int32_t target = -1;
    std::size_t align_mask;
    Datum missing = 0;  // of tuples older than the column
  };
  struct Copy {
    std::size_t from;
    std::size_t to;
  };
  std::vector<Step> steps_;
  std::vector<Copy> copies_;
  // Leading attributes that nobody asks for, of fixed length: where they end in a tuple without NULLs.
  int skipped_ = 0;
  std::size_t skipped_bytes_ = 0;
};

// One process's scan of one table, under the active snapshot.
class HeapScan {
 public:
  // Opens the relation (ACCESS SHARE). `blocks`: how many blocks the scan covers, not more than there are
  // for longer than the lock is held.
  HeapScan(Oid relation, BlockNumber blocks, std::span<const AttrNumber> attributes);
  ~HeapScan();
  HeapScan(const HeapScan&) = delete;
  HeapScan& operator=(const HeapScan&) = delete;

  // Calls `visit(Datum* values, bool* nulls, OffsetNumber)` for each visible tuple of a block, which may
  // change them. Values are valid during the call, and so is what it allocates in the current memory context.
  template <class Visit>
  void read_block(BlockNumber block, Visit&& visit) {
    read_block(
        block, [](OffsetNumber) { return true; }, visit);
  }
  // Those tuples alone of which `is_wanted(OffsetNumber)` says so; it is asked in ascending order.
  template <class Wanted, class Visit>
  void read_block(BlockNumber block, Wanted&& is_wanted, Visit&& visit) {
    HeapScanDesc scan = scan_;
    guarded([=] { raw_prepare_page(scan, block); });
    const Page page = BufferGetPage(scan->rs_cbuf);
    const int tuples = static_cast<int>(scan->rs_ntuples);
    const MemoryContext before = MemoryContextSwitchTo(memory_);
    for (int i = 0; i < tuples; i++) {
      const OffsetNumber offset = scan->rs_vistuples[i];
      if (!is_wanted(offset)) continue;
      if (i + prefetch_tuples < tuples) {
        const ItemId ahead = PageGetItemId(page, scan->rs_vistuples[i + prefetch_tuples]);
        const char* bytes = page + ItemIdGetOffset(ahead);
        __builtin_prefetch(bytes);
        __builtin_prefetch(bytes + cache_line);
      }
      const ItemId item = PageGetItemId(page, offset);
      const auto* tuple = reinterpret_cast<const HeapTupleHeaderData*>(PageGetItem(page, item));
      if (deformer_.deform(tuple, values_.data(), nulls_.get())) detoast();
      visit(values_.data(), nulls_.get(), offset);
      if (!memory_->isReset) MemoryContextReset(memory_);
    }
    MemoryContextSwitchTo(before);
  }

 private:
  static constexpr int prefetch_tuples = 4;
  static constexpr std::size_t cache_line = 64;

  static void raw_prepare_page(HeapScanDesc scan, BlockNumber block);
  void detoast();

  Relation relation_;
  HeapDeformer deformer_;
  HeapScanDesc scan_ = nullptr;
  std::vector<Datum> values_;
  std::unique_ptr<bool[]> nulls_;
  std::vector<char> is_varlena_;
  MemoryContext memory_;  // of one row
};

}  // namespace pg_reconcile::pg

#include "extension/pg/heap_scan.h"

#include <algorithm>
#include <exception>

extern "C" {
#include <access/tableam.h>
#include <catalog/pg_class.h>
#include <catalog/pg_inherits.h>
#include <utils/lsyscache.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>
}

namespace pg_reconcile::pg {
namespace {

std::size_t align_mask_of(char align) {
  switch (align) {
    case TYPALIGN_CHAR:
      return 0;
    case TYPALIGN_SHORT:
      return ALIGNOF_SHORT - 1;
    case TYPALIGN_INT:
      return ALIGNOF_INT - 1;
    default:
      return ALIGNOF_DOUBLE - 1;
  }
}

Datum raw_missing(TupleDesc description, int attribute, bool* is_null) {
  return getmissingattr(description, attribute, is_null);
}

const char* raw_reason(Oid oid, bool ignore_row_security) {
  Relation relation = relation_open(oid, NoLock);
  const char* reason = nullptr;
  const char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) {
    reason = kind == RELKIND_VIEW                ? "it is a view"
             : kind == RELKIND_FOREIGN_TABLE     ? "it is a foreign table"
             : kind == RELKIND_PARTITIONED_TABLE ? "it is a partitioned table"
                                                 : "it is no table";
  } else if (!relation->rd_rel->relispopulated) {
    reason = "it is a materialized view that has not been populated";  // which the executor refuses
  } else if (RELATION_IS_OTHER_TEMP(relation)) {
    reason = "it is another session's temporary table";  // which the executor refuses
  } else if (relation->rd_tableam != GetHeapamTableAmRoutine()) {
    reason = "its access method is not heap";
  } else if (relation->rd_rel->relhassubclass && has_subclass(oid)) {
    reason = "it has or had children that inherit from it";
  } else if (!ignore_row_security && check_enable_rls(oid, InvalidOid, true) == RLS_ENABLED) {
    reason = "row security is active for the role that reads it";
  }
#if PG_VERSION_NUM >= 180000
  const TupleDesc description = RelationGetDescr(relation);
  if (reason == nullptr && description->constr != nullptr && description->constr->has_generated_virtual) {
    reason = "it has virtual generated columns";
  }
#endif
  relation_close(relation, NoLock);
  return reason;
}

struct RawValues {
  Datum* values;
  const bool* nulls;
  const char* is_varlena;
  std::size_t count;
};

void raw_detoast_row(RawValues row, MemoryContext memory) {
  const MemoryContext before = MemoryContextSwitchTo(memory);
  CHECK_FOR_INTERRUPTS();  // a page may point to many megabytes
  for (std::size_t i = 0; i < row.count; i++) {
    if (!row.is_varlena[i] || row.nulls[i]) continue;
    row.values[i] =
        PointerGetDatum(pg_detoast_datum_packed(reinterpret_cast<varlena*>(DatumGetPointer(row.values[i]))));
  }
  MemoryContextSwitchTo(before);
}

HeapScanDesc raw_begin(Relation relation) {
  // A scan of all blocks by PostgreSQL's own rules (ring buffer, serializable predicate lock); which block is
  // read when is ours to say.
  return reinterpret_cast<HeapScanDesc>(table_beginscan(relation, GetActiveSnapshot(), 0, nullptr));
}

}  // namespace

std::string reason_against_heap_scan(Oid relation, bool ignore_row_security) {
  const char* reason = guarded([=] { return raw_reason(relation, ignore_row_security); });
  return reason == nullptr ? std::string() : std::string(reason);
}

HeapDeformer::HeapDeformer(TupleDesc description, std::span<const AttrNumber> attributes) {
  const AttrNumber last =
      attributes.empty() ? AttrNumber{0} : *std::max_element(attributes.begin(), attributes.end());
  for (int i = 0; i < last; i++) {
    const FormData_pg_attribute* attribute = TupleDescAttr(description, i);
    Step step{};
    step.length = attribute->attlen;
    step.by_value = attribute->attbyval;
    step.align_mask = align_mask_of(attribute->attalign);
    bool is_null = true;
    bool* null_out = &is_null;
    step.missing = guarded([=] { return raw_missing(description, i + 1, null_out); });
    step.missing_is_null = is_null;
    steps_.push_back(step);
  }
  for (std::size_t i = 0; i < attributes.size(); i++) {
    Step& step = steps_[static_cast<std::size_t>(attributes[i]) - 1];
    if (step.target < 0) {
      step.target = static_cast<std::int32_t>(i);
    } else {
      copies_.push_back({static_cast<std::size_t>(step.target), i});
    }
  }
  for (const Step& step : steps_) {
    if (step.target >= 0 || step.length <= 0) break;
    skipped_bytes_ =
        ((skipped_bytes_ + step.align_mask) & ~step.align_mask) + static_cast<std::size_t>(step.length);
    skipped_++;
  }
}

HeapScan::HeapScan(Oid relation, BlockNumber blocks, std::span<const AttrNumber> attributes)
    : relation_(guarded([=] { return relation_open(relation, AccessShareLock); })),
      deformer_(RelationGetDescr(relation_), attributes),
      values_(attributes.size()),
      nulls_(std::make_unique<bool[]>(attributes.size())) {
  for (const AttrNumber attribute : attributes) {
    is_varlena_.push_back(TupleDescAttr(RelationGetDescr(relation_), attribute - 1)->attlen == -1);
  }
  Relation opened = relation_;
  scan_ = guarded([=] { return raw_begin(opened); });
  if (scan_->rs_nblocks < blocks) {
    throw core::Error(core::sqlstate::internal_error, "a table lost blocks while it was locked");
  }
  memory_ = guarded(
      [] { return AllocSetContextCreate(CurrentMemoryContext, "reconcile heap row", ALLOCSET_SMALL_SIZES); });
}

HeapScan::~HeapScan() {
  if (std::uncaught_exceptions() > 0) return;  // abort releases the pin, the lock and the reference
  table_endscan(reinterpret_cast<TableScanDesc>(scan_));
  relation_close(relation_, NoLock);
  MemoryContextDelete(memory_);
}

void HeapScan::raw_prepare_page(HeapScanDesc scan, BlockNumber block) {
  CHECK_FOR_INTERRUPTS();
#if PG_VERSION_NUM >= 170000
  if (BufferIsValid(scan->rs_cbuf)) ReleaseBuffer(scan->rs_cbuf);
  scan->rs_cbuf = ReadBufferExtended(scan->rs_base.rs_rd, MAIN_FORKNUM, block, RBM_NORMAL, scan->rs_strategy);
  scan->rs_cblock = block;
  heap_prepare_pagescan(&scan->rs_base);
#else
  heapgetpage(&scan->rs_base, block);
#endif
}

void HeapScan::detoast() {
  const RawValues row{values_.data(), nulls_.get(), is_varlena_.data(), values_.size()};
  const MemoryContext memory = memory_;
  guarded([=] { raw_detoast_row(row, memory); });
}

}  // namespace pg_reconcile::pg

#include "extension/compare/contested_rows.h"

#include <algorithm>
#include <exception>

#include "extension/compare/row_hasher.h"

extern "C" {
#include <catalog/pg_collation_d.h>
#include <catalog/pg_operator_d.h>
#include <catalog/pg_type_d.h>
#include <utils/builtins.h>
#include <utils/guc.h>
#include <utils/datum.h>
#include <utils/memutils.h>
#include <utils/typcache.h>
}

namespace pg_reconcile::pg {
namespace {

// Behind the plan's columns: the key's number, the image, and the texts of what has no order.
struct SortColumn {
  AttrNumber column;
  Oid less;
  Oid collation;
};

Oid less_operator(Oid type) {
  return guarded([=] { return lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr; });
}

struct RawSortColumns {
  const SortColumn* columns;
  int count;
};

Tuplesortstate* raw_begin(TupleDesc description, RawSortColumns by, int memory_kb) {
  const auto count = static_cast<std::size_t>(by.count);
  auto* columns = static_cast<AttrNumber*>(palloc(count * sizeof(AttrNumber)));
  auto* operators = static_cast<Oid*>(palloc(count * sizeof(Oid)));
  auto* collations = static_cast<Oid*>(palloc(count * sizeof(Oid)));
  auto* nulls_first = static_cast<bool*>(palloc0(count * sizeof(bool)));
  for (std::size_t i = 0; i < count; i++) {
    columns[i] = by.columns[i].column;
    operators[i] = by.columns[i].less;
    collations[i] = by.columns[i].collation;
  }
  return tuplesort_begin_heap(description, by.count, columns, operators, collations, nulls_first, memory_kb,
                              nullptr, TUPLESORT_NONE);
}

RowValues raw_room(std::size_t columns) {
  return {static_cast<Datum*>(palloc(columns * sizeof(Datum))),
          static_cast<bool*>(palloc(columns * sizeof(bool)))};
}

struct RawText {
  FmgrInfo* output;
  Datum value;
};

Datum raw_text(RawText text) {
  return CStringGetTextDatum(OutputFunctionCall(text.output, text.value));
}

}  // namespace

ContestedRows::ContestedRows(const ComparePlan& plan, std::uint64_t memory) : plan_(plan) {
  const std::size_t columns = plan.columns.size();
  for (std::size_t i = plan.key_count; i < columns; i++) {
    if (plan.columns[i].operations.compare == nullptr) unordered_.push_back(i);
  }
  const int all = static_cast<int>(columns + 2 + unordered_.size());
  const TupleDesc description = guarded([=] { return CreateTemplateTupleDesc(all); });
  const auto describe = [=](std::size_t column, Oid type) {
    const auto number = static_cast<AttrNumber>(column + 1);
    guarded([=] { TupleDescInitEntry(description, number, nullptr, type, -1, 0); });
    return number;
  };
  for (std::size_t i = 0; i < columns; i++) describe(i, plan.columns[i].operations.type);

  std::vector<SortColumn> by;
  by.push_back({describe(columns, INT8OID), Int8LessOperator, InvalidOid});
  std::size_t texts = 0;
  for (std::size_t i = plan.key_count; i < columns; i++) {
    const TypeOperations& operations = plan.columns[i].operations;
    if (operations.compare == nullptr) {
      by.push_back({describe(columns + 2 + texts++, TEXTOID), TextLessOperator, C_COLLATION_OID});
    } else {
      by.push_back({static_cast<AttrNumber>(i + 1), less_operator(operations.type), operations.collation});
    }
  }
  by.push_back({describe(columns + 1, INT8OID), Int8LessOperator, InvalidOid});

  const RawSortColumns sort_columns{by.data(), static_cast<int>(by.size())};
  const int memory_kb = static_cast<int>(std::clamp<std::uint64_t>(memory >> 10, 64, MAX_KILOBYTES));
  given_ = guarded([=] { return MakeSingleTupleTableSlot(description, &TTSOpsVirtual); });
  taken_ = guarded([=] { return MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple); });
  sort_ = guarded([=] { return raw_begin(description, sort_columns, memory_kb); });
  memory_ = guarded([] {
    return AllocSetContextCreate(CurrentMemoryContext, "reconcile.compare contested row",
                                 ALLOCSET_SMALL_SIZES);
  });
}

ContestedRows::~ContestedRows() {
  if (std::uncaught_exceptions() > 0) return;  // abort closes the files
  tuplesort_end(sort_);
  ExecDropSingleTupleTableSlot(given_);
  ExecDropSingleTupleTableSlot(taken_);
  MemoryContextDelete(memory_);
}

void ContestedRows::add(std::uint64_t key, const RowValues& row) {
  const MemoryContext before = MemoryContextSwitchTo(memory_);
  const std::size_t columns = plan_.columns.size();
  TupleTableSlot* slot = given_;
  guarded([=] { ExecClearTuple(slot); });
  std::copy_n(row.values, columns, slot->tts_values);
  std::copy_n(row.nulls, columns, slot->tts_isnull);
  slot->tts_values[columns] = Int64GetDatum(static_cast<std::int64_t>(key));
  slot->tts_isnull[columns] = false;
  slot->tts_values[columns + 1] =
      Int64GetDatum(static_cast<std::int64_t>(row_image(plan_, row.values, row.nulls, image_bytes_)));
  slot->tts_isnull[columns + 1] = false;
  for (std::size_t i = 0; i < unordered_.size(); i++) {
    const std::size_t column = unordered_[i];
    const std::size_t place = columns + 2 + i;
    const RawText text{plan_.columns[column].operations.output, row.values[column]};
    slot->tts_isnull[place] = row.nulls[column];
    if (!row.nulls[column]) slot->tts_values[place] = guarded([=] { return raw_text(text); });
  }
  Tuplesortstate* sort = sort_;
  guarded([=] {
    ExecStoreVirtualTuple(slot);
    tuplesort_puttupleslot(sort, slot);
  });
  MemoryContextSwitchTo(before);
  if (!memory_->isReset) MemoryContextReset(memory_);
}

void ContestedRows::sort() {
  Tuplesortstate* sort = sort_;
  guarded([=] { tuplesort_performsort(sort); });
  advance();
}

void ContestedRows::advance() {
  Tuplesortstate* sort = sort_;
  TupleTableSlot* slot = taken_;
  is_at_end_ = !guarded([=] {
    if (!tuplesort_gettupleslot(sort, true, false, slot, nullptr)) return false;
    slot_getallattrs(slot);
    return true;
  });
}

std::uint64_t ContestedRows::key() const {
  return static_cast<std::uint64_t>(DatumGetInt64(taken_->tts_values[plan_.columns.size()]));
}

RowValues ContestedRows::row() const {
  const std::size_t columns = plan_.columns.size();
  const TupleTableSlot* slot = taken_;
  return guarded([=] {
    const RowValues row = raw_room(columns);
    for (std::size_t i = 0; i < columns; i++) {
      row.nulls[i] = slot->tts_isnull[i];
      row.values[i] = slot->tts_values[i];
      if (!row.nulls[i] && TupleDescAttr(slot->tts_tupleDescriptor, static_cast<int>(i))->attlen == -1)
        row.values[i] = raw_detoast(row.values[i]);
    }
    return row;
  });
}

RowValues ContestedRows::copy_row() const {
  const std::size_t columns = plan_.columns.size();
  const TupleTableSlot* slot = taken_;
  const RowValues row = this->row();
  guarded([=] {
    for (std::size_t i = 0; i < columns; i++) {
      const FormData_pg_attribute* attribute = TupleDescAttr(slot->tts_tupleDescriptor, static_cast<int>(i));
      const bool is_copied = row.values[i] != slot->tts_values[i];  // by detoasting
      if (!row.nulls[i] && !is_copied)
        row.values[i] = datumCopy(row.values[i], attribute->attbyval, attribute->attlen);
    }
  });
  return row;
}

}  // namespace pg_reconcile::pg

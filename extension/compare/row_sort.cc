#include "extension/compare/row_sort.h"

#include <algorithm>
#include <array>
#include <exception>

extern "C" {
#include <catalog/pg_operator_d.h>
#include <catalog/pg_type_d.h>
#include <utils/guc.h>
}

namespace pg_reconcile::pg {
namespace {

constexpr int words = 4;

// PostgreSQL's whole numbers have a sign.
Datum datum_of(std::uint64_t word) {
  return Int64GetDatum(static_cast<std::int64_t>(word ^ (std::uint64_t{1} << 63)));
}
std::uint64_t word_of(Datum datum) {
  return static_cast<std::uint64_t>(DatumGetInt64(datum)) ^ (std::uint64_t{1} << 63);
}

TupleDesc raw_description() {
  TupleDesc description = CreateTemplateTupleDesc(words);
  for (AttrNumber i = 1; i <= words; i++) TupleDescInitEntry(description, i, nullptr, INT8OID, -1, 0);
  return description;
}

Tuplesortstate* raw_begin(TupleDesc description, int memory_kb) {
  AttrNumber columns[words] = {1, 2, 3, 4};
  Oid operators[words] = {Int8LessOperator, Int8LessOperator, Int8LessOperator, Int8LessOperator};
  Oid collations[words] = {};
  bool nulls_first[words] = {};
  return tuplesort_begin_heap(description, words, columns, operators, collations, nulls_first, memory_kb,
                              nullptr, TUPLESORT_RANDOMACCESS);
}

}  // namespace

RowSort::RowSort(std::uint64_t memory) {
  const int memory_kb = static_cast<int>(std::clamp<std::uint64_t>(memory >> 10, 64, MAX_KILOBYTES));
  description_ = guarded([] { return raw_description(); });
  const TupleDesc description = description_;
  given_ = guarded([=] { return MakeSingleTupleTableSlot(description, &TTSOpsVirtual); });
  taken_ = guarded([=] { return MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple); });
  std::fill_n(given_->tts_isnull, words, false);
  sort_ = guarded([=] { return raw_begin(description, memory_kb); });
}

RowSort::~RowSort() {
  if (std::uncaught_exceptions() > 0) return;  // abort closes the files
  tuplesort_end(sort_);
  ExecDropSingleTupleTableSlot(given_);
  ExecDropSingleTupleTableSlot(taken_);
}

void RowSort::add(const core::CompactRow& row) {
  const std::array<std::uint64_t, words> values = row.words();
  Tuplesortstate* sort = sort_;
  TupleTableSlot* slot = given_;
  for (std::size_t i = 0; i < values.size(); i++) slot->tts_values[i] = datum_of(values[i]);
  guarded([=] {
    ExecClearTuple(slot);
    ExecStoreVirtualTuple(slot);
    tuplesort_puttupleslot(sort, slot);
  });
}

void RowSort::sort() {
  Tuplesortstate* sort = sort_;
  guarded([=] { tuplesort_performsort(sort); });
  advance();
}

void RowSort::advance() {
  Tuplesortstate* sort = sort_;
  TupleTableSlot* slot = taken_;
  is_at_end_ = !guarded([=] {
    if (!tuplesort_gettupleslot(sort, true, false, slot, nullptr)) return false;
    slot_getallattrs(slot);
    return true;
  });
  if (is_at_end_) return;
  std::array<std::uint64_t, words> values{};
  for (std::size_t i = 0; i < values.size(); i++) values[i] = word_of(slot->tts_values[i]);
  head_ = core::CompactRow(values);
}

void RowSort::mark() {
  Tuplesortstate* sort = sort_;
  guarded([=] { tuplesort_markpos(sort); });
  marked_ = head_;
}

void RowSort::restore() {
  Tuplesortstate* sort = sort_;
  guarded([=] { tuplesort_restorepos(sort); });
  head_ = marked_;
  is_at_end_ = false;
}

}  // namespace pg_reconcile::pg

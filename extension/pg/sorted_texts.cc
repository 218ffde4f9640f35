#include "extension/pg/sorted_texts.h"

extern "C" {
#include <catalog/pg_collation_d.h>
#include <catalog/pg_operator_d.h>
#include <catalog/pg_type_d.h>
#include <miscadmin.h>
#include <utils/builtins.h>
#include <utils/tuplesort.h>
}

namespace pg_reconcile::pg {
namespace {

void raw_add(Tuplesortstate* sort, const char* data, int length) {
  text* value = cstring_to_text_with_len(data, length);
  tuplesort_putdatum(sort, PointerGetDatum(value), false);
  pfree(value);
}

const text* raw_next(Tuplesortstate* sort) {
  Datum value = 0;
  bool is_null = false;
#if PG_VERSION_NUM >= 160000
  const bool found = tuplesort_getdatum(sort, true, true, &value, &is_null, nullptr);
#else
  const bool found = tuplesort_getdatum(sort, true, &value, &is_null, nullptr);
#endif
  return found ? reinterpret_cast<const text*>(DatumGetPointer(value)) : nullptr;
}

}  // namespace

SortedTexts::SortedTexts(int memory_kb_max)
    : sort_(guarded([=] {
        const int memory_kb = Min(maintenance_work_mem, memory_kb_max);
        return tuplesort_begin_datum(TEXTOID, TextLessOperator, C_COLLATION_OID, false, memory_kb, nullptr,
                                     TUPLESORT_NONE);
      })) {}

// Closing temporary files may raise, and nothing may leave a destructor; after an error the rollback that is
// due frees everything, and the entry point sees to it that there is one.
SortedTexts::~SortedTexts() {
  if (detail::abort_is_due()) return;
  auto* sort = static_cast<Tuplesortstate*>(sort_);
  try {
    guarded([=] { tuplesort_end(sort); });
  } catch (...) {
    return;
  }
}

void SortedTexts::add(std::string_view text) {
  auto* sort = static_cast<Tuplesortstate*>(sort_);
  const char* data = text.data();
  const int length = static_cast<int>(text.size());
  guarded([=] { raw_add(sort, data, length); });
}

void SortedTexts::sort() {
  auto* sort = static_cast<Tuplesortstate*>(sort_);
  guarded([=] { tuplesort_performsort(sort); });
}

std::optional<std::string_view> SortedTexts::next() {
  auto* sort = static_cast<Tuplesortstate*>(sort_);
  const text* value = guarded([=] { return raw_next(sort); });
  if (value == nullptr) return std::nullopt;
  current_.assign(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
  pfree(const_cast<text*>(value));  // PostgreSQL 15 always hands out a copy
  return current_;
}

}  // namespace pg_reconcile::pg

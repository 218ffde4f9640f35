// The bytes of a value of varying length.
#pragma once

#include <string_view>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

// Detoasts and decompresses where the bytes are not in place; keeps one-byte headers. May longjmp.
inline Datum raw_detoast(Datum value) {
  return PointerGetDatum(pg_detoast_datum_packed(reinterpret_cast<varlena*>(DatumGetPointer(value))));
}

// The bytes of a varlena that is in place, without its length word.
inline std::string_view payload_of(Datum value) {
  const void* stored = DatumGetPointer(value);
  return {VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored)};
}

// The same; fetched, into the current memory context, when they are
// not in place.
inline std::string_view payload_in_place(Datum value) {
  const void* stored = DatumGetPointer(value);
  const bool is_in_place = !VARATT_IS_COMPRESSED(stored) && !VARATT_IS_EXTERNAL(stored);
  return payload_of(is_in_place ? value : guarded([=] { return raw_detoast(value); }));
}

}  // namespace pg_reconcile::pg

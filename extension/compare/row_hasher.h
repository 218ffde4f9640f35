// A row's values made compact: two keyed hashes of canonical bytes, and a stable hash of how it is written.
#pragma once

#include "core/matching/byte_buffer.h"
#include "core/matching/keyed_hash.h"
#include "core/matching/partitioned_match.h"
#include "extension/compare/compare_plan.h"

namespace pg_reconcile::pg {

// Appends what IS NOT DISTINCT FROM looks at: NULL, or the value's canonical bytes.
inline void encode_nullable(const ColumnPair& column, Datum value, bool is_null, core::ByteBuffer& out) {
  out.append_value(static_cast<unsigned char>(is_null ? 0 : 1));
  if (!is_null) column.encoder.encode(value, out);
}

class RowHasher {
 public:
  RowHasher(const ComparePlan& plan, const core::KeyedHash& hash) : plan_(plan), hash_(hash) {}
  // `values` and `nulls` in the order of the plan's columns, detoasted.
  core::CompactRow hash(const Datum* values, const bool* nulls, std::uint64_t ordinal);

 private:
  const ComparePlan& plan_;
  const core::KeyedHash& hash_;
  core::ByteBuffer canonical_;
  core::ByteBuffer image_;
};

}  // namespace pg_reconcile::pg

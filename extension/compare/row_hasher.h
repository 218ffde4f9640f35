// A row's values made compact: two keyed hashes of canonical bytes. And a stable hash of how a row is
// written, which tells apart rows that are equal.
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
  RowHasher(const ComparePlan& plan, const core::KeyedHash& hash)
      : plan_(plan), hash_(hash), hashes_(plan.columns.size()) {}
  // `values` and `nulls` in the order of the plan's columns, detoasted.
  core::CompactRow hash(const Datum* values, const bool* nulls, std::uint64_t ordinal) {
    const std::size_t columns = plan_.columns.size();
    const core::Hash128 key = hash_columns(0, plan_.key_count, values, nulls);
    return {key, hash_columns(plan_.key_count, columns, values, nulls), ordinal};
  }

 private:
  // One column's hash is what it is; several are hashed together.
  core::Hash128 hash_columns(std::size_t from, std::size_t to, const Datum* values, const bool* nulls) {
    if (to - from == 1) return hash_column(from, values[from], nulls[from]);
    for (std::size_t i = from; i < to; i++) hashes_[i - from] = hash_column(i, values[i], nulls[i]);
    return hash_(hashes_.data(), (to - from) * sizeof(core::Hash128));
  }
  core::Hash128 hash_column(std::size_t column, Datum value, bool is_null) {
    if (is_null) return null_hash;
    return plan_.columns[column].encoder.hash(value, hash_, canonical_);
  }

  // No value's hash, but for one chance in 2^128.
  static constexpr core::Hash128 null_hash{0x4E554C4C00000000, 0x4E554C4C00000001};

  const ComparePlan& plan_;
  const core::KeyedHash& hash_;
  core::ByteBuffer canonical_;
  std::vector<core::Hash128> hashes_;
};

// How the values of a row are written, as far as equal values may be written differently. The same values
// always give the same image. `values` may be toasted; what is detoasted stays in the current memory context.
std::uint64_t row_image(const ComparePlan& plan, const Datum* values, const bool* nulls,
                        core::ByteBuffer& scratch);

// Whether rows that are equal always look the same.
bool is_faithful(const ComparePlan& plan);

}  // namespace pg_reconcile::pg

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

struct RowHashes {
  core::Hash128 key;
  core::Hash128 row;  // of the key and the compared columns

  [[nodiscard]] core::CompactRow compact(std::uint64_t ordinal) const { return {key, row, ordinal}; }
};

class RowHasher {
 public:
  RowHasher(const ComparePlan& plan, const core::KeyedHash& hash)
      : plan_(plan), hash_(hash), hashes_(plan.columns.size() + 1) {}
  // `values` and `nulls` in the order of the plan's columns, detoasted.
  RowHashes hash(const Datum* values, const bool* nulls) {
    const std::size_t columns = plan_.columns.size();
    const std::size_t keys = plan_.key_count;
    // One column's hash is what it is; several are hashed together.
    core::Hash128 key;
    if (keys == 1) {
      key = hash_column(0, values[0], nulls[0]);
    } else {
      for (std::size_t i = 0; i < keys; i++) hashes_[i] = hash_column(i, values[i], nulls[i]);
      key = hash_(hashes_.data(), keys * sizeof(core::Hash128));
    }
    if (columns == keys) return {key, key};
    hashes_[0] = key;
    for (std::size_t i = keys; i < columns; i++) {
      hashes_[i - keys + 1] = hash_column(i, values[i], nulls[i]);
    }
    return {key, hash_(hashes_.data(), (columns - keys + 1) * sizeof(core::Hash128))};
  }

 private:
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

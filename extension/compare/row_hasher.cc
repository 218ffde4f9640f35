#include "extension/compare/row_hasher.h"

namespace pg_reconcile::pg {

core::CompactRow RowHasher::hash(const Datum* values, const bool* nulls, std::uint64_t ordinal) {
  core::CompactRow row;
  row.ordinal = ordinal;
  canonical_.clear();
  image_.clear();
  const auto hash_canonical = [this] { return hash_(canonical_.data(), canonical_.size()); };
  for (std::size_t i = 0; i < plan_.columns.size(); i++) {
    if (i == plan_.key_count) {
      row.key = hash_canonical();
      canonical_.clear();
    }
    const ColumnPair& column = plan_.columns[i];
    encode_nullable(column, values[i], nulls[i], canonical_);
    if (!nulls[i] && !column.encoder.faithful()) column.encoder.append_image(values[i], image_);
  }
  if (plan_.columns.size() == plan_.key_count) {
    row.key = hash_canonical();
    canonical_.clear();
  }
  row.compared = hash_canonical();
  row.image = image_.size() == 0 ? 0 : core::stable_hash(image_.data(), image_.size());
  return row;
}

}  // namespace pg_reconcile::pg

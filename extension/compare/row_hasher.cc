#include "extension/compare/row_hasher.h"

#include <algorithm>

namespace pg_reconcile::pg {

std::uint64_t row_image(const ComparePlan& plan, const Datum* values, const bool* nulls,
                        core::ByteBuffer& scratch) {
  scratch.clear();
  for (std::size_t i = 0; i < plan.columns.size(); i++) {
    const ValueEncoder& encoder = plan.columns[i].encoder;
    if (nulls[i] || encoder.faithful()) continue;
    const Datum stored = values[i];
    const Datum value = encoder.is_varlena() ? guarded([=] { return raw_detoast(stored); }) : stored;
    encoder.append_image(value, scratch);
  }
  return scratch.size() == 0 ? 0 : core::stable_hash(scratch.data(), scratch.size());
}

bool is_faithful(const ComparePlan& plan) {
  return std::all_of(plan.columns.begin(), plan.columns.end(),
                     [](const ColumnPair& column) { return column.encoder.faithful(); });
}

}  // namespace pg_reconcile::pg

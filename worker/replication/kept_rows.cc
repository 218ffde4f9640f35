#include "worker/replication/kept_rows.h"

namespace pg_reconcile::worker {

std::size_t KeptRows::keep(const char* operation, core::Lsn position,
                           std::optional<core::TimestampTz> committed_at, const core::RawRecord& record) {
  rows_.push_back({operation, position, committed_at, fields_.size(), bytes_.size()});
  for (const core::RawField& field : record.fields) {
    fields_.push_back({field.name.size(), field.value ? field.value->size() : 0, field.value.has_value()});
    bytes_ += field.name;
    if (field.value) bytes_ += *field.value;
  }
  return rows_.size() - 1;
}

void KeptRows::restore(std::size_t number, Quarantined& row) const {
  const Row& kept = rows_.at(number);
  const std::size_t end = number + 1 < rows_.size() ? rows_[number + 1].first_field : fields_.size();
  row.operation = kept.operation;
  row.position = kept.position;
  row.committed_at = kept.committed_at;
  std::size_t at = kept.first_byte;
  for (std::size_t i = kept.first_field; i < end; i++) {
    const Field& field = fields_[i];
    row.names.push_back(bytes_.substr(at, field.name_bytes));
    at += field.name_bytes;
    row.values.push_back(field.has_value ? std::optional(bytes_.substr(at, field.value_bytes))
                                         : std::nullopt);
    at += field.value_bytes;
  }
}

void KeptRows::clear() {
  rows_.clear();
  fields_.clear();
  bytes_.clear();
}

}  // namespace pg_reconcile::worker

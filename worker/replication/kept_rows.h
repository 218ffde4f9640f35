// The rows of a batch as they came, until the sink has said which of them it refuses: quarantine holds what
// the source wrote, not what became of it. Bytes in one piece: most rows are taken in and nobody looks again.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/mapping/raw_record.h"
#include "core/protocol/lsn.h"
#include "worker/local_source.h"

namespace pg_reconcile::worker {

class KeptRows {
 public:
  // Returns the row's number.
  std::size_t keep(const char* operation, core::Lsn position, std::optional<core::TimestampTz> committed_at,
                   const core::RawRecord& record);
  // Fills in operation, position, time, names and values.
  void restore(std::size_t number, Quarantined& row) const;
  void clear();
  [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }

 private:
  struct Row {
    const char* operation;
    core::Lsn position;
    std::optional<core::TimestampTz> committed_at;
    std::size_t first_field;
    std::size_t first_byte;
  };
  struct Field {
    std::size_t name_bytes;
    std::size_t value_bytes;
    bool has_value;
  };
  std::vector<Row> rows_;
  std::vector<Field> fields_;
  std::string bytes_;
};

}  // namespace pg_reconcile::worker

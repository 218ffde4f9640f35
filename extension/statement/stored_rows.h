// What is stored of statements, read back as what their files said.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapping/entry.h"

namespace pg_reconcile::pg {

struct StoredRow {
  std::int64_t statement_id = 0;  // that brought it
  std::string source_key;
  bool gone = false;  // taken back after its day was signed off: `entry` is what was signed off
  core::Entry entry;  // the current version; the order key is empty where it is the row's own source key
};

// Every row that the books hold of these statements of a source, as they stand in the newest snapshot.
void read_stored_rows(std::int32_t source_id, const std::vector<std::int64_t>& statement_ids,
                      const std::function<void(const StoredRow&)>& take);

}  // namespace pg_reconcile::pg

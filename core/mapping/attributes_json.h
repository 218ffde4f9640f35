// An entry's attributes as a JSON object.
#pragma once

#include <string>

#include "core/mapping/entry.h"

namespace pg_reconcile::core {

// "{...}" in the order of the mapping; "{}" when there are none. A name that comes twice keeps its last
// value, as in jsonb.
[[nodiscard]] std::string attributes_json(const Entry& entry);

}  // namespace pg_reconcile::core

// Random bytes that no input can know: the key of hashes that decide.
#pragma once

#include "core/matching/keyed_hash.h"
#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

[[nodiscard]] core::KeyedHash::Secret random_secret();

}  // namespace pg_reconcile::pg

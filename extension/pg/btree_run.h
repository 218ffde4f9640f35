// Neighbours in a B-tree's order, put into a leaf page together.
#pragma once

#include <cstddef>

#include "extension/pg/index_batch.h"

namespace pg_reconcile::pg {

// A B-tree's batch, in (about) the order of its keys. May longjmp.
void raw_insert_btree(const IndexBatch& batch);

}  // namespace pg_reconcile::pg

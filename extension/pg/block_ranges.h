// Which partition a row belongs to, and which of its blocks may hold rows of one day.
#pragma once

#include <span>
#include <vector>

#include "extension/pg/guard.h"

extern "C" {
#include <storage/block.h>
}

namespace pg_reconcile::pg {

// The partition that rows with these partition key values go to: one value for each level below `parent`,
// each of the level's own type (text, date). InvalidOid: there is none. What is found may be partitioned
// itself.
Oid partition_for(Oid parent, std::span<const Datum> values);

// The blocks of a heap table that may hold rows whose date `column` is `day`, ascending: what a BRIN index on
// the column says under the active snapshot; all blocks where there is none. The table is locked by the
// caller.
std::vector<BlockNumber> blocks_of_day(Oid relation, const char* column, std::int32_t day);

}  // namespace pg_reconcile::pg

// Reads the rows that exist when the slot is made, under the snapshot that the slot's stream starts from: no
// gap and no overlap between the two.
#pragma once

#include "worker/local_source.h"
#include "worker/replication/change_applier.h"
#include "worker/replication/connection.h"
#include "worker/replication/remote_table.h"
#include "worker/replication/slot.h"

namespace pg_reconcile::worker {

// One local transaction: all rows and the position, or nothing. When entries of this source are stored
// already (a resync), they end as the table is: changed where it differs, removed where the row is gone.
void copy_rows(Connection& queries, const SourceConfiguration& source, const RemoteTable& table,
               const NewSlot& slot, const RemoteSystem& system, ChangeApplier& applier);

}  // namespace pg_reconcile::worker

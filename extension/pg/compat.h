// Where PostgreSQL 15 to 18 name the same thing differently.
#pragma once

#include "extension/pg/postgres.h"

extern "C" {
#include <storage/proc.h>
}

namespace pg_reconcile::pg {

inline LocalTransactionId local_transaction_id() noexcept {
#if PG_VERSION_NUM >= 170000
  return MyProc->vxid.lxid;
#else
  return MyProc->lxid;
#endif
}

// This process's place among all that PostgreSQL counts, from 0.
inline int process_number() noexcept {
#if PG_VERSION_NUM >= 170000
  return MyProcNumber;
#else
  return MyProc->pgprocno;
#endif
}

}  // namespace pg_reconcile::pg

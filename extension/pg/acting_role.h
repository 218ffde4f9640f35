// The rights of a role for as long as this lives, as SECURITY DEFINER gives them.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_proc.h>
#include <miscadmin.h>
#include <utils/syscache.h>
}

namespace pg_reconcile::pg {

inline Oid raw_owner_of(Oid function) {
  const HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for function %u", function);
  const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proowner;
  ReleaseSysCache(tuple);
  return owner;
}

// For functions that must see who called before they take their owner's rights.
inline Oid owner_of(Oid function) {
  return guarded([=] { return raw_owner_of(function); });
}

class ActingRole {
 public:
  explicit ActingRole(Oid role) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(role, context_ | SECURITY_LOCAL_USERID_CHANGE);
  }
  ~ActingRole() { SetUserIdAndSecContext(user_, context_); }
  ActingRole(const ActingRole&) = delete;
  ActingRole& operator=(const ActingRole&) = delete;

 private:
  Oid user_ = InvalidOid;
  int context_ = 0;
};

}  // namespace pg_reconcile::pg

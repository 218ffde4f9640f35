// The rights of a function's owner, for functions that must see who called before they take them.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_proc.h>
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

// The rights of a function's owner for as long as this lives, as SECURITY DEFINER gives them.
class ActingOwner {
 public:
  explicit ActingOwner(Oid function) {
    const Oid owner = guarded([=] { return raw_owner_of(function); });
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE);
  }
  ~ActingOwner() { SetUserIdAndSecContext(user_, context_); }
  ActingOwner(const ActingOwner&) = delete;
  ActingOwner& operator=(const ActingOwner&) = delete;

 private:
  Oid user_ = InvalidOid;
  int context_ = 0;
};

}  // namespace pg_reconcile::pg

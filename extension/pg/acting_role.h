// The rights of a role for as long as this lives, as SECURITY DEFINER gives them.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <miscadmin.h>
}

namespace pg_reconcile::pg {

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

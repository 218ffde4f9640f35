// Runs a callback as its own role: never with the definer's, or a worker's, rights.
#pragma once

#include "extension/pg/guard.h"

extern "C" {
#include <utils/guc.h>
}

namespace pg_reconcile::pg {

// The callback's role for as long as this lives.
class CallbackRole {
 public:
  explicit CallbackRole(Oid role) : settings_(guarded([] { return NewGUCNestLevel(); })) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(role, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
  }
  ~CallbackRole() { SetUserIdAndSecContext(user_, context_); }
  CallbackRole(const CallbackRole&) = delete;
  CallbackRole& operator=(const CallbackRole&) = delete;

  // Settings that the callback changed go back: a search_path of its own would decide what the definer's
  // later statements call. After an error the (sub)transaction's rollback does that.
  void put_settings_back() const {
    const int level = settings_;
    guarded([=] { AtEOXact_GUC(false, level); });
  }

 private:
  int settings_;
  Oid user_ = InvalidOid;
  int context_ = 0;
};

}  // namespace pg_reconcile::pg

// What whoever called should know of a file, beside the result.
#pragma once

#include <string>

#include "extension/pg/guard.h"

namespace pg_reconcile::pg {

inline void warn(const std::string& message, const std::string& detail = {}, const char* hint = nullptr) {
  const char* text = message.c_str();
  const char* more = detail.c_str();
  guarded([=] {
    ereport(WARNING, (errmsg_internal("%s", text), more[0] != '\0' ? errdetail_internal("%s", more) : 0,
                      hint != nullptr ? errhint("%s", hint) : 0));
  });
}

}  // namespace pg_reconcile::pg

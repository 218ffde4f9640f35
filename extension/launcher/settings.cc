// pg_reconcile.databases: which databases the launcher serves.
#include <cstring>

#include "extension/launcher/settings.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/guc.h>
#include <utils/varlena.h>
}

namespace pg_reconcile::launcher {
namespace {

char* databases = nullptr;

bool raw_check_databases(char** value, void**, GucSource) {
  char* copy = pstrdup(*value);
  List* names = NIL;
  const bool valid = strcmp(*value, "*") == 0 || SplitIdentifierString(copy, ',', &names);
  if (!valid) GUC_check_errdetail("It is neither * nor a list of database names separated by commas.");
  list_free(names);
  pfree(copy);
  return valid;
}

}  // namespace

void define_settings() {
  DefineCustomStringVariable("pg_reconcile.databases", "Databases whose sources the launcher's workers read.",
                             "* for every database that has the extension, or names separated by commas.",
                             &databases, "*", PGC_SIGHUP, 0, raw_check_databases, nullptr, nullptr);
}

bool database_is_listed(const char* name) {
  if (strcmp(databases, "*") == 0) return true;
  char* copy = pstrdup(databases);
  List* names = NIL;
  bool listed = false;
  if (SplitIdentifierString(copy, ',', &names)) {
    for (int i = 0; i < list_length(names); i++) {
      if (strcmp(static_cast<const char*>(list_nth(names, i)), name) == 0) listed = true;
    }
  }
  list_free(names);
  pfree(copy);
  return listed;
}

}  // namespace pg_reconcile::launcher

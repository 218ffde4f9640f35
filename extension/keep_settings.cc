// reconcile.run_keeping_settings(): runs one statement, and every setting that it changes is as before
// afterwards.
//
// pg_partman's functions set search_path for the session and put back what they found. Called from a function
// that sets its own search_path, what they find is that path; it would then stay with the caller's session,
// because a SET inside a function outlives the function's own SET clause.
#include <string>

#include "extension/pg/spi.h"

extern "C" {
#include <utils/builtins.h>
#include <utils/guc.h>
}

namespace pg = pg_reconcile::pg;

PG_RECONCILE_FUNCTION(reconcile_run_keeping_settings) {
  const Datum argument = PG_GETARG_DATUM(0);
  const std::string sql =
      pg::guarded([=] { return static_cast<const char*>(text_to_cstring(DatumGetTextPP(argument))); });
  // After an error the (sub)transaction's rollback puts the settings back.
  const int level = pg::guarded([] { return NewGUCNestLevel(); });
  {
    pg::Spi spi;
    spi.run(sql);
  }
  pg::guarded([=] { AtEOXact_GUC(false, level); });
  PG_RETURN_VOID();
}

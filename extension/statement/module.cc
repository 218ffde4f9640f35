// pg_reconcile_statement.so: reads channel files. Loaded by the first call of one of its functions.
#include "extension/pg/guard.h"
#include "extension/pg/settings.h"

extern "C" {
PG_MODULE_MAGIC;

// PostgreSQL's name for it, not ours.
PGDLLEXPORT void _PG_init(void);  // NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void _PG_init(void) {
  pg_reconcile::pg::define_settings();
}
}

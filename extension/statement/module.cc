// pg_reconcile_statement.so: reads channel files. Loaded by the first call of one of its functions.
#include "extension/pg/guard.h"
#include "extension/pg/settings.h"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
void _PG_init(void) {
  pg_reconcile::pg::define_settings();
}
}

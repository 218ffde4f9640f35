// The library's front: PostgreSQL reads the magic block and calls _PG_init.
#include "extension/launcher/launcher.h"
#include "extension/pg/settings.h"
#include "extension/progress/progress_memory.h"

extern "C" {
PG_MODULE_MAGIC;

// PostgreSQL's name for it, not ours.
PGDLLEXPORT void _PG_init(void);  // NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void _PG_init(void) {
  pg_reconcile::pg::define_settings();
  pg_reconcile::launcher::initialise();
  pg_reconcile::progress::initialise();
}
}

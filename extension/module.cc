// The library's front: PostgreSQL reads the magic block and calls _PG_init.
#include "extension/pg/guard.h"

extern "C" {
PG_MODULE_MAGIC;
}

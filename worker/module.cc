// The library that source workers load, and nobody else: what it links never enters the postmaster or a
// backend.
#include "extension/pg/guard.h"

extern "C" {
PG_MODULE_MAGIC;
}

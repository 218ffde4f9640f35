// The only door to PostgreSQL's headers. Include it after every standard, Boost and core header.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-align"
extern "C" {
#include <postgres.h>

#include <fmgr.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/elog.h>
#include <utils/memutils.h>
#include <utils/resowner.h>
#if __has_include(<varatt.h>)  // PostgreSQL 16 moved it out of postgres.h
#include <varatt.h>
#endif
}
#pragma GCC diagnostic pop

// Our modules are built with hidden visibility; PostgreSQL 15 leaves this empty and would not find an entry
// point.
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

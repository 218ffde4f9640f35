#!/bin/bash
# pg_reconcile.so is preloaded: a crash of a library in the postmaster takes the server down. So it needs C++ and
# PostgreSQL alone; what needs more has a module of its own.
set -euo pipefail
module=$1
needed=$(readelf -d "$module" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ -n "$needed" ] || { echo "$module needs nothing at all: not a module?"; exit 1; }
others=$(grep -vE '^(libstdc\+\+|libgcc_s|libm|libc)\.so\.[0-9]+$|^ld-linux' <<<"$needed" || true)
[ -z "$others" ] || { echo "$module must not need:" $others; exit 1; }

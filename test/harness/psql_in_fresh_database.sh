#!/bin/bash
# What pg_prove calls instead of psql: gives each test file a database of its own, cloned from the template, and
# drops it afterwards. The arguments are psql's.
set -eu
file=
previous=
for argument in "$@"; do
  [ "$previous" != --file ] || file=$argument
  previous=$argument
done
database=${PG_RECONCILE_DATABASE}_$(basename "$file" .sql)
psql=$("$PG_CONFIG" --bindir)/psql
maintain() { PGOPTIONS='-c client_min_messages=warning' "$psql" -X -q -d "$PG_RECONCILE_MAINTENANCE" "$@"; }
maintain -c "DROP DATABASE IF EXISTS \"$database\" WITH (FORCE)" -c "CREATE DATABASE \"$database\" TEMPLATE \"$PG_RECONCILE_DATABASE\""
status=0
PGDATABASE=$database "$psql" "$@" || status=$?
[ -n "${KEEP_DATABASES:-}" ] || maintain -c "DROP DATABASE IF EXISTS \"$database\" WITH (FORCE)" || true
exit "$status"

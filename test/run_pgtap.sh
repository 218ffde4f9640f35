#!/bin/bash
# Runs pgTAP test files, each in a fresh database, and leaves nothing behind.
#
#   test/run_pgtap.sh [file.sql ...]                    in a throw-away server; default: test/sql/*.sql
#   test/run_pgtap.sh --installcheck [file.sql ...]     in the server that PGHOST, PGPORT, PGUSER ... name
#
# Environment: BUILD_DIR (build), PG_CONFIG (pg_config), PGTAP_JOBS (1), PROVE_FLAGS.
# psql variables for the tests:
#   scratch      a folder that server and client may write            fixtures     test/fixtures, readable by the server
#   test_module  1 when pg_reconcile_test.so can be loaded, else 0    stage        where the extension is installed
# The first two are also settings of the session: reconcile_test.scratch, reconcile_test.fixtures.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../build}
export PG_CONFIG=${PG_CONFIG:-pg_config}
. "$here/harness/throwaway_server.sh"

installcheck=
if [ "${1:-}" = --installcheck ]; then
  installcheck=1
  shift
fi
if [ $# -eq 0 ]; then set -- "$here"/sql/*.sql; fi

folder=$(throwaway_folder pgtap)
finish() {
  if [ -n "$installcheck" ]; then
    "$psql" -X -q -d "$PG_RECONCILE_MAINTENANCE" -c "DROP DATABASE IF EXISTS $PG_RECONCILE_DATABASE" || true
  fi
  throwaway_remove "$folder"
}
psql=$(throwaway_bindir)/psql
export PG_RECONCILE_MAINTENANCE=${PGDATABASE:-postgres}
export PG_RECONCILE_DATABASE=pgreconcile
trap finish EXIT
trap 'exit 130' INT TERM HUP

# The server reads fixtures from here: the checkout may be closed to its account.
mkdir "$folder/scratch"
chmod 1777 "$folder/scratch"
if [ -d "$here/fixtures" ]; then cp -r "$here/fixtures" "$folder/fixtures"; else mkdir "$folder/fixtures"; fi
chmod -R a+rX "$folder/fixtures"

if [ -n "$installcheck" ]; then
  chmod 711 "$folder"
  PG_RECONCILE_DATABASE=pgreconcile_installcheck_$$
else
  throwaway_stage "$folder/stage" "$build"
  throwaway_start "$folder/server" "$folder/stage" "wal_level = logical"
  export PGHOST=$folder/server PGPORT=5432 PGUSER=postgres
  unset PGSERVICE PGPASSWORD
fi
test_module=0
if [ -f "$folder/stage$("$PG_CONFIG" --pkglibdir)/pg_reconcile_test.so" ]; then test_module=1; fi

"$psql" -X -q -d "$PG_RECONCILE_MAINTENANCE" -v ON_ERROR_STOP=1 -c "CREATE DATABASE $PG_RECONCILE_DATABASE TEMPLATE template0 ENCODING 'UTF8'"
"$psql" -X -q -d "$PG_RECONCILE_DATABASE" -v ON_ERROR_STOP=1 <<'SQL'
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE EXTENSION pg_reconcile;
CREATE EXTENSION pgtap;
SQL

export PGOPTIONS="${PGOPTIONS:-} -c reconcile_test.scratch=$folder/scratch -c reconcile_test.fixtures=$folder/fixtures"
status=0
PERL5LIB=$here/harness pg_prove --formatter TallyFormatter --nocolor --jobs "${PGTAP_JOBS:-1}" --ext .sql --timer \
  --psql-bin "$here/harness/psql_in_fresh_database.sh" \
  --set scratch="$folder/scratch" --set fixtures="$folder/fixtures" --set stage="$folder/stage" \
  --set test_module="$test_module" ${PROVE_FLAGS:-} "$@" || status=$?

if [ "$status" -ne 0 ] && [ -f "$folder/server/log" ]; then
  # What psql could not show: crashes and failed assertions.
  grep -A 2 -E 'PANIC|TRAP|terminated by signal|was terminated' "$folder/server/log" >&2 || true
fi
exit "$status"

#!/bin/bash
# The documents keep their word: every ```sql block of README.md and docs/ is executed, and what it says it returns is
# compared with what it returns; docs/sql-reference.md agrees with the catalog. The convention is in examples.pl.
#
#   test/docs/run.sh [document.md ...]      default: README.md and everything below docs/
#
# Environment: BUILD_DIR (build), PG_CONFIG (pg_config).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD_DIR:-$root/build}
export PG_CONFIG=${PG_CONFIG:-pg_config}
. "$root/test/harness/throwaway_server.sh"
cd "$root" || exit 1

everything=
if [ $# -eq 0 ]; then
  everything=1
  mapfile -t documents < <(echo README.md; find docs -name '*.md' | sort)
  set -- "${documents[@]}"
fi

folder=$(throwaway_folder docs)
trap 'throwaway_remove "$folder"' EXIT
trap 'exit 130' INT TERM HUP
passed=0
failed=0
count() {
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
    echo "docs: ok      $1"
  else
    failed=$((failed + 1))
    echo "docs: FAILED  $1"
  fi
}

# No database is served by workers: an example's server is not there to be connected to.
throwaway_stage "$folder/stage" "$build" &&
  throwaway_start "$folder/server" "$folder/stage" "wal_level = logical" "pg_reconcile.databases = 'postgres'" \
    "pg_reconcile.allowed_directories = '$folder/files'" || exit 1
mkdir -p "$folder/files/tmp" "$folder/files/srv"
chmod -R 777 "$folder/files"
export PGHOST=$folder/server PGPORT=5432 PGUSER=postgres PGOPTIONS='-c client_min_messages=warning'
unset PGSERVICE PGPASSWORD PGDATABASE
PATH=$(throwaway_bindir):$PATH
psql -X -q -d postgres -v ON_ERROR_STOP=1 -c "CREATE DATABASE document TEMPLATE template0 ENCODING 'UTF8'" &&
  psql -X -q -d document -v ON_ERROR_STOP=1 -c "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman; CREATE EXTENSION pg_reconcile" ||
  exit 1

for document in "$@"; do
  perl "$here/examples.pl" --template document --files "$folder/files" "$document"
  case $? in
    0) count "$document" 0 ;;
    3) ;; # no examples in it
    *) count "$document" 1 ;;
  esac
done

if [ -n "$everything" ]; then
  # A document that is wrong is found out, and for the right reason: its second line says which.
  for document in "$here"/wrong/*.md; do
    reason=$(sed -n '2s/.*`\(.*\)`.*/\1/p' "$document")
    said=$(perl "$here/examples.pl" --template document --files "$folder/files" "$document" 2>&1)
    status=$?
    if [ "$status" -eq 1 ] && [ -n "$reason" ] && grep -qF -- "$reason" <<<"$said"; then
      count "is refused: $(basename "$document" .md)" 0
    else
      printf '%s: status %s, and it should fail with: %s\n%s\n' "$document" "$status" "$reason" "$said"
      count "is refused: $(basename "$document" .md)" 1
    fi
  done

  perl "$here/reference.pl" document docs/sql-reference.md
  count "docs/sql-reference.md agrees with the catalog" $?
  # Without one heading, with one word changed in a signature, with a column too many: refused each time.
  for edit in '/^### sign_off$/d' 's/^reconcile\.assign(discrepancy_id bigint/&x/' 's/^| `discrepancy_id` /| `discrepancy_ix` /' \
      's/^For: `reconcile_approver`/For: `reconcile_reader`/'; do
    sed "$edit" docs/sql-reference.md >"$folder/edited.md"
    if ! cmp -s "$folder/edited.md" docs/sql-reference.md && ! perl "$here/reference.pl" document "$folder/edited.md" >/dev/null; then
      count "that check refuses $edit" 0
    else
      count "that check refuses $edit" 1
    fi
  done
fi

if [ -n "${PG_RECONCILE_TALLY:-}" ]; then echo "$passed $failed 0" >>"$PG_RECONCILE_TALLY"; fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

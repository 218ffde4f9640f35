#!/bin/bash
# Every lint, one line each. `make lint` and `make check` call it on a built tree.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export BUILD_DIR=${BUILD_DIR:-$root/build} PG_CONFIG=${PG_CONFIG:-pg_config}
passed=0
failed=0

lint() {
  local name=$1 out started=$SECONDS
  shift
  if out=$("$@" 2>&1 </dev/null); then
    passed=$((passed + 1))
    echo "lint: ok      $name ($((SECONDS - started)) s)"
  else
    failed=$((failed + 1))
    echo "lint: FAILED  $name"
    sed 's/^/    /' <<<"$out"
  fi
}

cd "$root"
lint "dependencies point one way" perl "$here/boundaries.pl" "$root" "$("$PG_CONFIG" --includedir-server)" "$("$PG_CONFIG" --includedir)"
lint "that lint can fail" "$here/boundaries_self_test.sh"
lint "pg_reconcile.so needs C++ and PostgreSQL alone" "$here/libraries.sh" "$BUILD_DIR/pg_reconcile.so"
lint "META.json is valid for PGXN" perl "$here/meta.pl" "$root"
mapfile -t documents < <(find README.md CHANGELOG.md docs -name '*.md' | sort)
lint "links and anchors of the documents" perl "$here/links.pl" "$root" "${documents[@]}"
lint "that lint can fail" "$here/links_self_test.sh"
lint "names and leftovers" "$here/names.sh"
lint "files of at most 600 lines" "$here/lengths.sh"
lint "clang-format" "$here/format.sh"
lint "clang-tidy" "$here/tidy.sh"

if [ -n "${PG_RECONCILE_TALLY:-}" ]; then echo "$passed $failed 0" >>"$PG_RECONCILE_TALLY"; fi
[ "$failed" -eq 0 ]

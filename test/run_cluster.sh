#!/bin/bash
# Runs the Perl tests that start, crash and restart whole servers, as the account `postgres`.
#
#   test/run_cluster.sh [test/cluster/file.pl ...]
#
# Environment: BUILD_DIR (build), PG_CONFIG (pg_config), CLUSTER_TIMEOUT_S (300 a file), KEEP_LOGS (a folder for the
# logs of failed tests). The tests find the staged extension in PG_RECONCILE_STAGE, fixtures in
# PG_RECONCILE_FIXTURES, and a module that makes nodes in test/harness/ReconcileNode.pm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../build}
export PG_CONFIG=${PG_CONFIG:-pg_config}
. "$here/harness/throwaway_server.sh"

if [ $# -eq 0 ]; then set -- "$here"/cluster/*.pl; fi

folder=$(throwaway_folder cluster)
finish() {
  local pid_file
  # A test that was killed may leave servers behind.
  while IFS= read -r pid_file; do
    throwaway_as_server "$(throwaway_bindir)/pg_ctl" -D "${pid_file%/postmaster.pid}" -m immediate -w -t 30 -s stop || true
  done < <(find "$folder" -name postmaster.pid)
  if [ -n "${KEEP_LOGS:-}" ] && [ "$status" -ne 0 ]; then
    mkdir -p "$KEEP_LOGS"
    cp -r "$folder"/run/tmp_check/log/. "$KEEP_LOGS"/ 2>/dev/null || true
  fi
  rm -rf "$folder"
}
status=1
trap finish EXIT
trap 'exit 130' INT TERM HUP

throwaway_stage "$folder/stage" "$build"
# Server and tests run as another account, which may not see the checkout.
mkdir "$folder/cluster" "$folder/run"
cp "$here"/harness/*.pm "$here"/harness/*.py "$folder/cluster/"
if [ -d "$here/fixtures" ]; then cp -r "$here/fixtures" "$folder/fixtures"; else mkdir "$folder/fixtures"; fi
files=()
for file in "$@"; do
  cp "$file" "$folder/cluster/"
  files+=("cluster/$(basename "$file")")
done
: >"$folder/tally"
if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$folder/cluster" "$folder/run" "$folder/fixtures" "$folder/tally"; fi

pgxs=$("$PG_CONFIG" --pkglibdir)/pgxs/src/test
status=0
throwaway_as_server env \
  HOME="$folder/run" TMPDIR="$folder" PATH="$(throwaway_bindir):$PATH" PGUSER=postgres \
  PERL5LIB="$folder/cluster:$pgxs/perl" PG_REGRESS="$pgxs/regress/pg_regress" \
  PG_CONFIG="$PG_CONFIG" PG_RECONCILE_STAGE="$folder/stage" \
  PG_RECONCILE_STAGE_SETTING="$(throwaway_stage_setting "$folder/stage")" PG_RECONCILE_FIXTURES="$folder/fixtures" \
  PG_RECONCILE_TALLY="$folder/tally" TESTDIR="$folder/run" \
  TESTDATADIR="$folder/run/tmp_check" TESTLOGDIR="$folder/run/tmp_check/log" PG_TEST_TIMEOUT_DEFAULT=60 \
  sh -c 'cd "$1" && shift && limit=$1 && shift && exec prove --formatter TallyFormatter --timer --exec "timeout --kill-after=20 $limit perl" "$@"' \
  sh "$folder" "${CLUSTER_TIMEOUT_S:-300}" "${files[@]}" </dev/null || status=$?
# The counts, for make check.
if [ -n "${PG_RECONCILE_TALLY:-}" ]; then cat "$folder/tally" >>"$PG_RECONCILE_TALLY"; fi
if [ "$status" -ne 0 ]; then
  for log in "$folder"/run/tmp_check/log/*; do
    if [ -f "$log" ]; then
      echo "--- end of $(basename "$log")" >&2
      tail -n "${LOG_LINES:-25}" "$log" >&2
    fi
  done
fi
exit "$status"

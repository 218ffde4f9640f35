#!/bin/bash
# Everything that must hold, in stages, on throw-away servers. Ends with one line of counts:
#   check: N passed, M failed, K skipped
# and with an exit status that is 0 only when something ran and nothing failed.
# Environment: BUILD_DIR, PG_CONFIG, JOBS, FUZZ_SECONDS (10 here), STAGES (all; e.g. STAGES="build sql").
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
cd "$root" || exit 1
BUILD_DIR=${BUILD_DIR:-build}
case $BUILD_DIR in /*) ;; *) BUILD_DIR=$root/$BUILD_DIR ;; esac
export BUILD_DIR PG_CONFIG=${PG_CONFIG:-pg_config} JOBS=${JOBS:-$(nproc)} FUZZ_SECONDS=${FUZZ_SECONDS:-10}
stages=${STAGES:-build lint unit sanitizers sql docs cluster fuzz}
mkdir -p "$BUILD_DIR"
tally=$(mktemp -d)
trap 'rm -rf "$tally"' EXIT

build() {
  cmake -S . -B "$BUILD_DIR" -G Ninja -DPG_CONFIG="$PG_CONFIG" >"$BUILD_DIR/configure.log" 2>&1 ||
    { cat "$BUILD_DIR/configure.log"; return 1; }
  cmake --build "$BUILD_DIR" -j "$JOBS" && echo "1 0 0" >>"$PG_RECONCILE_TALLY"
}

# ctest's own closing line holds the counts.
run_ctest() {
  local log=$PG_RECONCILE_TALLY.log status=0 failed total
  ctest --test-dir "$1" --output-on-failure -j "$JOBS" --timeout 300 --no-tests=error </dev/null >"$log" 2>&1 || status=$?
  grep -vE '^(Test project| *Start )|Passed' "$log"
  read -r failed total < <(sed -n 's/.* tests passed, \([0-9]*\) tests\{0,1\} failed out of \([0-9]*\).*/\1 \2/p' "$log")
  if [ -n "${total:-}" ]; then echo "$((total - failed)) $failed 0" >>"$PG_RECONCILE_TALLY"; fi
  return "$status"
}

unit() { run_ctest "$BUILD_DIR"; }

sanitizers() {
  cmake -S . -B "$BUILD_DIR/sanitize" -G Ninja -DPG_CONFIG="$PG_CONFIG" -DPG_RECONCILE_SANITIZE=ON \
    -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O1 -g1" >"$BUILD_DIR/configure.log" 2>&1 || { cat "$BUILD_DIR/configure.log"; return 1; }
  cmake --build "$BUILD_DIR/sanitize" -j "$JOBS" && run_ctest "$BUILD_DIR/sanitize"
}

lint() { "$here/lint/run.sh"; }
sql() { "$here/run_pgtap.sh"; }
docs() { "$here/docs/run.sh"; }
cluster() { "$here/run_cluster.sh"; }
fuzz() { "$here/run_fuzz.sh"; }

passed=0
failed=0
skipped=0
for stage in $stages; do
  echo
  echo "== $stage"
  started=$SECONDS
  status=0
  PG_RECONCILE_TALLY=$tally/$stage
  export PG_RECONCILE_TALLY
  "$stage" </dev/null || status=$?
  read -r stage_passed stage_failed stage_skipped < <(
    awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$PG_RECONCILE_TALLY" 2>/dev/null || echo 0 0 0)
  # A stage that broke before it counted, or that ran nothing, has failed.
  if [ "$stage_failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$stage_passed" -eq 0 ]; }; then stage_failed=1; fi
  echo "== $stage: $stage_passed passed, $stage_failed failed, $stage_skipped skipped in $((SECONDS - started)) s"
  passed=$((passed + stage_passed))
  failed=$((failed + stage_failed))
  skipped=$((skipped + stage_skipped))
  # Nothing after a broken build can say anything.
  if [ "$stage" = build ] && [ "$stage_failed" -ne 0 ]; then break; fi
done

echo
echo "check: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

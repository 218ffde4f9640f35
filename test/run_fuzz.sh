#!/bin/bash
# Builds the libFuzzer targets with clang and runs each for FUZZ_SECONDS on top of its committed corpus
# (test/fuzz/corpus/<target without _fuzz>). What it finds is left in <build>/fuzz/findings.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
build=${BUILD_DIR:-$root/build}/fuzz
seconds=${FUZZ_SECONDS:-60}
sources=("$here"/fuzz/*.cc)
if [ ! -f "${sources[0]}" ]; then
  echo "fuzz: no target in test/fuzz"
  exit 1
fi

CC=clang CXX=clang++ cmake -S "$root" -B "$build" -G Ninja -DPG_CONFIG="${PG_CONFIG:-pg_config}" -DPG_RECONCILE_FUZZ=ON \
  -DPG_RECONCILE_TESTS=OFF -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O1 -g1" >"$build.log" 2>&1 || { mkdir -p "$build"; cat "$build.log"; exit 1; }
cmake --build "$build" -j "${JOBS:-$(nproc)}" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }

passed=0
failed=0
mkdir -p "$build/findings"
for source in "${sources[@]}"; do
  name=$(basename "$source" .cc)
  corpus=()
  [ ! -d "$here/fuzz/corpus/${name%_fuzz}" ] || corpus=("$here/fuzz/corpus/${name%_fuzz}")
  mkdir -p "$build/corpus/$name"
  # New inputs go to the build folder; the committed corpus is only read.
  if "$build/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$build/findings/$name-" "$build/corpus/$name" "${corpus[@]}" >"$build/$name.log" 2>&1; then
    passed=$((passed + 1))
    echo "fuzz: ok      $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log") inputs in $seconds s"
  else
    failed=$((failed + 1))
    echo "fuzz: FAILED  $name"
    tail -n 40 "$build/$name.log"
  fi
done
if [ -n "${PG_RECONCILE_TALLY:-}" ]; then echo "$passed $failed 0" >>"$PG_RECONCILE_TALLY"; fi
[ "$failed" -eq 0 ]

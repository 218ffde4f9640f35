#!/bin/bash
# Measures what docs/performance.md claims, each figure as a ratio against its peer in the same run, on a throw-away
# server: median of BENCH_RUNS (5) after one run that is dropped. One line a figure, also in bench/results/latest.txt:
#   bench <name> ours_s=<median> reference_s=<median> ratio=<ours/reference> target=<=<n> n=<runs> rows=<rows>
# Environment: BENCH_ROWS (1000000) of the tables that are compared; a day and a file have at most 1,000,000; BENCH_RUNS (5), BENCH_ONLY (names, separated by commas, or all), BUILD_DIR, PG_CONFIG.
# The lines against DuckDB need `make deps-interop`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
BUILD_DIR=${BUILD_DIR:-build}
case $BUILD_DIR in /*) ;; *) BUILD_DIR=$root/$BUILD_DIR ;; esac
compare_rows=${BENCH_ROWS:-1000000}
rows=$((compare_rows < 1000000 ? compare_rows : 1000000))
small_rows=$((compare_rows / 10))
figure_rows=$compare_rows
if [ "$compare_rows" -ge 1000000 ]; then size=$((compare_rows / 1000000))m; else size=$((compare_rows / 1000))k; fi
runs=${BENCH_RUNS:-5}
only=${BENCH_ONLY:-all}
. "$root/test/harness/throwaway_server.sh"

folder=$(throwaway_folder bench)
trap 'throwaway_remove "$folder"' EXIT
throwaway_stage "$folder/stage" "$BUILD_DIR"
throwaway_start "$folder/server" "$folder/stage" "shared_buffers = $((compare_rows < 5000000 ? 2 : 6))GB" "max_wal_size = 8GB" "autovacuum = off"
psql=("$(throwaway_bindir)/psql" -X -q -v ON_ERROR_STOP=1 -h "$folder/server" -U postgres -d bench)
throwaway_as_server "$(throwaway_bindir)/createdb" -h "$folder/server" -U postgres bench
run_sql() { throwaway_as_server "${psql[@]}" -v rows="$rows" -v compare_rows="$compare_rows" -v small_rows="$small_rows" -v folder="$folder" "$@"; }
mkdir -p "$root/bench/results"
: >"$root/bench/results/latest.txt"

# Seconds of the last statement of a file; what comes before it prepares.
seconds_of() {
  run_sql -o /dev/null -f - <<<"$1" >/dev/null
  run_sql -c '\timing on' -f - <<<"$2" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1 | awk '{ printf "%.4f", $1 / 1000 }'
}

wanted() { [ "$only" = all ] || [[ ",$only," == *",$1,"* ]]; }

median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

export PG_RECONCILE_INTEROP=${PG_RECONCILE_INTEROP:-$BUILD_DIR/interop}
has_duckdb() { command -v node >/dev/null && [ -d "$PG_RECONCILE_INTEROP/node_modules/@duckdb/node-api" ]; }
duckdb() { node "$here/duckdb.mjs" "$folder/peer.duckdb" "$(nproc)" "$@"; }

# figure <name> <target> <ours: before> <ours> <reference: before, or duckdb> <reference>
figure() {
  local name=$1 target=$2 ours="" reference="" i line
  wanted "$name" || return 0
  for ((i = 0; i <= runs; i++)); do
    local a b
    a=$(seconds_of "$3" "$4")
    if [ "$5" = duckdb ]; then b=$(duckdb time "$6"); else b=$(seconds_of "$5" "$6"); fi
    [ "$i" -eq 0 ] && continue
    ours+="$a"$'\n'
    reference+="$b"$'\n'
  done
  ours=$(printf %s "$ours" | median)
  reference=$(printf %s "$reference" | median)
  line="bench $name ours_s=$ours reference_s=$reference ratio=$(awk "BEGIN { printf \"%.3f\", $ours / $reference }") target=<=$target n=$runs rows=$figure_rows"
  echo "$line" | tee -a "$root/bench/results/latest.txt"
}

echo "preparing $compare_rows rows a side"
run_sql -f "$here/prepare.sql" >/dev/null

compare="SELECT count(*) FROM reconcile.compare('bench_left', 'bench_right', ARRAY['order_no'], ARRAY['amount', 'state']);"
differing="FROM bench_left l FULL JOIN bench_right r ON r.order_no = l.order_no WHERE l.order_no IS NULL OR r.order_no IS NULL OR (l.amount, l.state) IS DISTINCT FROM (r.amount, r.state)"
scan() { echo "SELECT (SELECT count(order_no) + sum(amount) + count(state) FROM $1), (SELECT count(order_no) + sum(amount) + count(state) FROM $2);"; }

compare_tables() { echo "SELECT count(*) FROM reconcile.compare('$1', '$2', ARRAY['order_no'], ARRAY['amount', 'state']);"; }
stored() { echo "CREATE TEMP TABLE found AS SELECT * FROM reconcile.compare('bench_left', '$1', ARRAY['order_no'], ARRAY['amount', 'state']);"; }

figure "compare_${size}_vs_join" 0.05 "SELECT 1" "$compare" "SELECT 1" "SET work_mem = '1GB'; SELECT count(*) $differing;"
figure "compare_${size}_vs_scan" 0.9 "SELECT 1" "$compare" "SELECT 1" "$(scan bench_left bench_right)"
figure compare_unvacuumed_vs_scan 1.2 "SELECT 1" "$(compare_tables bench_fresh bench_right)" "SELECT 1" "$(scan bench_fresh bench_right)"
figure compare_5pct 1.3 "SELECT 1" "$(stored bench_five)" "SELECT 1" "$(stored bench_right)"
figure compare_low_memory 1.5 "SELECT 1" "SET pg_reconcile.memory_limit = '64MB'; $compare" "SELECT 1" "$compare"
figure compare_growth 11 "SELECT 1" "$compare" "SELECT 1" "$(compare_tables bench_small_left bench_small_right)"

# What all processes of the server hold besides shared buffers: their own memory, and what they share for one command.
resident_kb() {
  local process sum=0 own
  for process in $(pgrep -P "$1"); do
    own=$(sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$process/status" 2>/dev/null) || own=0
    sum=$((sum + ${own:-0}))
  done
  echo $((sum + $(df --output=used -k /dev/shm | tail -n 1)))
}
if wanted compare_low_memory; then
  postmaster=$(head -n 1 "$folder/server/data/postmaster.pid")
  before=$(resident_kb "$postmaster")
  most=$before
  run_sql -o /dev/null -c "SET pg_reconcile.memory_limit = '64MB'" -c "$compare" -c "$compare" &
  work=$!
  while kill -0 "$work" 2>/dev/null; do
    now=$(resident_kb "$postmaster")
    [ "$now" -le "$most" ] || most=$now
  done
  wait "$work"
  echo "bench compare_low_memory_resident mb=$(((most - before) / 1024)) target=<=128 n=2 rows=$compare_rows" | tee -a "$root/bench/results/latest.txt"
fi

# duckdb_figure <name> <target> <tables' prefix>
duckdb_figure() {
  wanted "$1" || return 0
  if ! has_duckdb; then
    echo "bench $1 skipped: needs DuckDB (make deps-interop)"
    return 0
  fi
  local side columns="order_no, amount, state, paid_at, buyer, shop, fee, note"
  for side in left right; do
    run_sql -c "COPY $3_$side ($columns) TO '$folder/server/$side.csv' CSV"
    duckdb prepare "CREATE TABLE $3_$side AS SELECT * FROM read_csv('$folder/server/$side.csv', columns = {'order_no': 'VARCHAR', 'amount': 'DECIMAL(18,2)', 'state': 'VARCHAR', 'paid_at': 'VARCHAR', 'buyer': 'VARCHAR', 'shop': 'INTEGER', 'fee': 'DECIMAL(18,2)', 'note': 'VARCHAR'})"
    rm -f "$folder/server/$side.csv"
  done
  figure "$1" "$2" "SELECT 1" "$(compare_tables "$3_left" "$3_right")" duckdb \
    "SELECT count(*) FROM $3_left l FULL JOIN $3_right r ON r.order_no = l.order_no WHERE l.order_no IS NULL OR r.order_no IS NULL OR l.amount IS DISTINCT FROM r.amount OR l.state IS DISTINCT FROM r.state"
}
if [ "$compare_rows" -ne "$rows" ]; then duckdb_figure "compare_${size}_vs_duckdb" 0.35 bench; fi
figure_rows=$rows
if [ "$rows" -eq 1000000 ]; then duckdb_figure compare_1m_vs_duckdb 0.5 bench_day; else duckdb_figure "compare_${size}_vs_duckdb" 0.5 bench_day; fi

figure digest_vs_sum 1.3 \
  "SELECT 1" \
  "SELECT reconcile.digest(order_no, amount, state, paid_at, fee) FROM bench_day_left;" \
  "SELECT 1" \
  "SELECT count(order_no), sum(amount), count(state), count(paid_at), sum(fee) FROM bench_day_left;"

figure run_vs_compare 1.5 \
  "SELECT 1" \
  "SELECT state FROM reconcile.run('bench', current_date - 2);" \
  "SELECT 1" \
  "$(compare_tables bench_day_left bench_day_right)"

figure incremental_1k 0.05 \
  "SELECT state FROM reconcile.run('bench', current_date - 2) WHERE NOT EXISTS (SELECT FROM reconcile.run WHERE current);
   SELECT reconcile.bench_change(1000, $rows);" \
  "SELECT 1 / (method = 'incremental')::integer FROM reconcile.run('bench', current_date - 2, method => 'incremental');" \
  "SELECT 1" \
  "SELECT state FROM reconcile.run('bench', current_date - 2);"

figure file_vs_copy 0.6 \
  "SELECT reconcile.bench_forget();" \
  "SELECT reconcile.ingest_file('bench files', '$folder/server/bill.csv');" \
  "TRUNCATE bench_copy;" \
  "COPY bench_copy FROM '$folder/server/copy.csv' CSV;"

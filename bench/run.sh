#!/bin/bash
# Measures what docs/performance.md claims, each figure as a ratio against its peer in the same run, on a throw-away
# server: median of BENCH_RUNS (5) after one run that is dropped. One line a figure, also in bench/results/latest.txt:
#   bench <name> ours_s=<median> reference_s=<median> ratio=<ours/reference> target=<=<n> n=<runs> rows=<rows>
# Environment: BENCH_ROWS (1000000), BENCH_RUNS (5), BENCH_ONLY (names, separated by commas, or all), BUILD_DIR, PG_CONFIG.
# The lines against DuckDB need `make deps-interop`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
BUILD_DIR=${BUILD_DIR:-build}
case $BUILD_DIR in /*) ;; *) BUILD_DIR=$root/$BUILD_DIR ;; esac
rows=${BENCH_ROWS:-1000000}
runs=${BENCH_RUNS:-5}
only=${BENCH_ONLY:-all}
. "$root/test/harness/throwaway_server.sh"

folder=$(throwaway_folder bench)
trap 'throwaway_remove "$folder"' EXIT
throwaway_stage "$folder/stage" "$BUILD_DIR"
throwaway_start "$folder/server" "$folder/stage" "shared_buffers = 2GB" "max_wal_size = 8GB" "autovacuum = off"
psql=("$(throwaway_bindir)/psql" -X -q -v ON_ERROR_STOP=1 -h "$folder/server" -U postgres -d bench)
throwaway_as_server "$(throwaway_bindir)/createdb" -h "$folder/server" -U postgres bench
run_sql() { throwaway_as_server "${psql[@]}" -v rows="$rows" -v folder="$folder" "$@"; }
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
  line="bench $name ours_s=$ours reference_s=$reference ratio=$(awk "BEGIN { printf \"%.3f\", $ours / $reference }") target=<=$target n=$runs rows=$rows"
  echo "$line" | tee -a "$root/bench/results/latest.txt"
}

echo "preparing $rows rows a side"
run_sql -f "$here/prepare.sql" >/dev/null

compare="SELECT count(*) FROM reconcile.compare('bench_left', 'bench_right', ARRAY['order_no'], ARRAY['amount', 'state']);"
differing="FROM bench_left l FULL JOIN bench_right r ON r.order_no = l.order_no WHERE l.order_no IS NULL OR r.order_no IS NULL OR (l.amount, l.state) IS DISTINCT FROM (r.amount, r.state)"
scan() { echo "SELECT (SELECT count(order_no) + sum(amount) + count(state) FROM $1), (SELECT count(order_no) + sum(amount) + count(state) FROM $2);"; }

figure compare_vs_join 0.05 "SELECT 1" "$compare" "SELECT 1" "SET work_mem = '1GB'; SELECT count(*) $differing;"
figure compare_vs_scan 0.9 "SELECT 1" "$compare" "SELECT 1" "$(scan bench_left bench_right)"
figure compare_unvacuumed_vs_scan 1.2 \
  "SELECT 1" \
  "SELECT count(*) FROM reconcile.compare('bench_fresh', 'bench_right', ARRAY['order_no'], ARRAY['amount', 'state']);" \
  "SELECT 1" "$(scan bench_fresh bench_right)"
figure compare_low_memory 1.5 "SELECT 1" "SET pg_reconcile.memory_limit = '64MB'; $compare" "SELECT 1" "$compare"
if ! has_duckdb; then
  echo "bench compare_vs_duckdb skipped: needs DuckDB (make deps-interop)"
elif wanted compare_vs_duckdb; then
  columns="order_no, amount, state, paid_at, buyer, shop, fee, note"
  for side in left right; do run_sql -c "COPY bench_$side ($columns) TO '$folder/server/$side.csv' CSV"; done
  for side in left right; do
    duckdb prepare "CREATE TABLE bench_$side AS SELECT * FROM read_csv('$folder/server/$side.csv', columns = {'order_no': 'VARCHAR', 'amount': 'DECIMAL(18,2)', 'state': 'VARCHAR', 'paid_at': 'VARCHAR', 'buyer': 'VARCHAR', 'shop': 'INTEGER', 'fee': 'DECIMAL(18,2)', 'note': 'VARCHAR'})"
  done
  target=0.5
  [ "$rows" -lt 10000000 ] || target=0.35
  figure compare_vs_duckdb $target "SELECT 1" "$compare" duckdb \
    "SELECT count(*) FROM bench_left l FULL JOIN bench_right r ON r.order_no = l.order_no WHERE l.order_no IS NULL OR r.order_no IS NULL OR l.amount IS DISTINCT FROM r.amount OR l.state IS DISTINCT FROM r.state"
fi

figure digest_vs_sum 1.3 \
  "SELECT 1" \
  "SELECT reconcile.digest(order_no, amount, state, paid_at, fee) FROM bench_left;" \
  "SELECT 1" \
  "SELECT count(order_no), sum(amount), count(state), count(paid_at), sum(fee) FROM bench_left;"

figure run_vs_compare 1.5 \
  "SELECT 1" \
  "SELECT state FROM reconcile.run('bench', current_date - 2);" \
  "SELECT 1" \
  "$compare"

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

#!/bin/bash
# Plays three business days of a shop and its three payment channels, with the real parts, and checks the outcome.
#
#   demo/run.sh            leaves the two servers running, to look around in; demo/stop.sh stops them
#   demo/run.sh --check    stops and removes everything at the end
#
# Ends with a status other than 0 when the discrepancies found are not exactly the planted ones, when a day's proof
# does not come to 0, when a run failed, or when a step takes longer than it may. docs/demo.md says how to read it.
#
# Environment: DEMO_PAYMENTS (20000) payments per channel and day; PG_CONFIG (pg_config); BUILD_DIR (build).
set -eEuo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PG_CONFIG=${PG_CONFIG:-pg_config} BUILD_DIR=${BUILD_DIR:-$root/build}
# What the caller has set must reach neither psql nor, through the servers' environment, the worker and pg_cron.
unset PGHOST PGPORT PGUSER PGDATABASE PGSERVICE PGPASSWORD PGOPTIONS PGCLIENTENCODING
payments=${DEMO_PAYMENTS:-20000}
step_seconds_max=60   # for anything that should take a few
tick_seconds_max=100  # for what waits for the next full minute
demo_seconds_max=420  # for everything: a slow machine may take longer than the usual three minutes

. "$root/test/harness/throwaway_server.sh"
. "$root/demo/servers.sh"
. "$root/demo/deliver.sh"

check=
case "${1:-}" in
  '') ;;
  --check) check=1 ;;
  *) sed -n '4,5s/^# *//p' "$0" >&2; exit 2 ;;
esac

# ---- words -----------------------------------------------------------------------------------------------------

say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }

headline() { printf '\n\033[1m== %s ==\033[0m\n' "$*"; }

bounded_psql() {
  PGCLIENTENCODING=UTF8 PGOPTIONS="-c client_min_messages=warning -c statement_timeout=${step_seconds_max}s" \
    "$(throwaway_bindir)/psql" -X -q -v ON_ERROR_STOP=1 -U postgres "$@"
}
shop_sql() { bounded_psql -A -t -h "$folder/shop" -p "$shop_port" -d shop "$@"; }
finance_sql() { bounded_psql -A -t -h "$folder/finance" -d finance "$@"; }
show() { bounded_psql -P pager=off -P footer=off -h "$folder/finance" -d finance "$@"; }

day_of() { date -d "$first_day + $(($1 - 1)) days" +%F; }

fail() {
  trap - ERR
  [ "$BASHPID" = $$ ] || exit 1  # in a substitution: the script itself says so
  {
    printf '\n[%3d s] demo: %s\n' "$SECONDS" "$*"
    show -x -c "SELECT source, state, message, position, applied_rows, quarantined_rows, failures, last_error
                FROM reconcile.source_status" || true
    show -c "SELECT channel, business_date, state, waiting_for, failure FROM reconcile.run
             WHERE state <> 'succeeded' ORDER BY run_id" || true
    show -c "SELECT start_time, status, return_message FROM cron.job_run_details ORDER BY runid DESC LIMIT 3" || true
    for server in shop finance; do
      echo "---- the end of $folder/$server/log"
      tail -n 25 "$folder/$server/log"
    done
  } >&2 2>&1
  exit 1
}

# wait_until SECONDS WHAT SQL: until the finance database answers t.
wait_until() {
  local seconds=$1 what=$2 sql=$3 started=$SECONDS spoken=$SECONDS
  until [ "$(finance_sql -c "$sql")" = t ]; do
    [ $((SECONDS - started)) -lt "$seconds" ] || fail "waited $seconds s in vain: $what"
    [ $SECONDS -lt $demo_seconds_max ] || fail "took longer than $demo_seconds_max s; now: $what"
    if [ $((SECONDS - spoken)) -ge 10 ]; then
      say "   still waiting: $what"
      spoken=$SECONDS
    fi
    sleep 0.25
  done
}

# ---- one day ---------------------------------------------------------------------------------------------------

# The shop lives through the day while the worker reads along; at the end both must have the same rows and money.
play_shop_day() {
  local day_no=$1 counted
  say "$(day_of "$day_no"): the shop takes payments, the worker streams them"
  shop_sql -c "CALL scenario.play_day($day_no)"
  counted=$(shop_sql -F, -c "SELECT count(*), sum(CASE type WHEN 'PAY' THEN amount_fen ELSE -amount_fen END)
                                                FILTER (WHERE state = 2) FROM public.payments")
  wait_until $step_seconds_max "the worker to store every payment of $(day_of "$day_no")" "
    SELECT (count(*), (sum(amount) FILTER (WHERE effective) * 100)::bigint) = ($counted)
    FROM reconcile.entry WHERE book = 'internal'"
  say "   $(shop_sql -c "SELECT format('%s rows in the shop so far, every one stored at finance: %s yuan net',
                               count(*), scenario.yuan(sum(CASE type WHEN 'PAY' THEN amount_fen ELSE -amount_fen END)
                                                       FILTER (WHERE state = 2))) FROM public.payments")"
}

# deliver CHANNEL DAY
deliver() {
  say "   the $1 bill of $(day_of "$2") arrives in the inbox"
  "deliver_$1" "$2"
}

# statements_are_in DAY CHANNEL...
statements_are_in() {
  local day_no=$1 channel
  shift
  for channel in "$@"; do
    wait_until $step_seconds_max "the $channel bill of $(day_of "$day_no") to be taken in" "
      SELECT EXISTS (SELECT FROM reconcile.statement
                     WHERE channel = '$channel' AND business_date = '$(day_of "$day_no")' AND state = 'accepted')"
  done
  say "   $(finance_sql -c "SELECT format('%s statements of %s accepted, %s entries, control totals agree', count(*),
                                  '$(day_of "$day_no")', sum(entry_count))
                           FROM reconcile.statement WHERE business_date = '$(day_of "$day_no")' AND state = 'accepted'")"
}

# runs_are_done DAY CHANNEL...: started by pg_cron, at the next full minute.
runs_are_done() {
  local day_no=$1 channel
  shift
  for channel in "$@"; do
    wait_until $tick_seconds_max "pg_cron's next minute and the run of $channel, $(day_of "$day_no")" "
      SELECT EXISTS (SELECT FROM reconcile.run WHERE channel = '$channel' AND business_date = '$(day_of "$day_no")'
                     AND current AND state = 'succeeded')"
  done
}

show_day() {
  headline "$(day_of "$1"), day $1${2:-}"
  show -v day="$(day_of "$1")" -f "$root/demo/show_day.sql"
}

# ---- the demo --------------------------------------------------------------------------------------------------

if [ -z "$check" ] && [ -e "$demo_folder_fixed" ]; then
  if demo_is_ours "$demo_folder_fixed" && ! demo_is_running "$demo_folder_fixed"; then
    demo_remove "$demo_folder_fixed"  # left by a machine that went down
  else
    echo "demo: one is running already, in $demo_folder_fixed" >&2
    echo "  look into it:  psql -h $demo_folder_fixed/finance -U postgres finance" >&2
    echo "  stop it:       make demo-stop" >&2
    exit 1
  fi
fi

make --no-print-directory -C "$root" deps all
SECONDS=0

if [ -n "$check" ]; then
  folder=$(throwaway_folder demo)
else
  folder=$demo_folder_fixed
  mkdir -m 700 "$folder"
  echo $$ >"$folder/script_pid"
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$folder"; fi
fi
finished=
leave() {
  if [ -n "$check" ] || [ -z "$finished" ]; then throwaway_remove "$folder"; fi
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'fail "line $LINENO failed: $BASH_COMMAND"' ERR

# Three days that are over in Shanghai, with the grace for late commits.
today=$(TZ=Asia/Shanghai date -d '10 minutes ago' +%F)
first_day=$(date -d "$today - 3 days" +%F)
shop_port=$(demo_free_port)
repl_password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

say "starting the shop's server and the finance server in $folder"
throwaway_stage "$folder/stage" "$BUILD_DIR"
mkdir "$folder/outbox" "$folder"/inbox{,/alipay,/wechat,/citybank}
if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$folder/inbox"; fi
echo "$shop_port" >"$folder/shop_port"
demo_start_shop "$folder" "$shop_port"
bounded_psql -h "$folder/shop" -p "$shop_port" -d postgres -c "CREATE DATABASE shop"
say "making up three days of business: $payments payments a channel and day"
shop_sql -v first_day="$first_day" -v payments="$payments" -f "$root/demo/scenario.sql" -f "$root/demo/planted.sql" &
scenario=$!
demo_start_finance "$folder"
wait $scenario
shop_sql -v repl_password="$repl_password" -f "$root/demo/shop.sql" -f "$root/demo/bills.sql"

say "finance: channels, sources and the schedule (demo/finance.sql)"
finance_sql -v first_day="$first_day" -v shop_port="$shop_port" -v repl_password="$repl_password" \
  -v inbox="$folder/inbox" -f "$root/demo/finance.sql" >/dev/null
shop_sql -c "COPY scenario.expected TO STDOUT" >"$folder/outbox/expected"
finance_sql -f "$root/demo/expected.sql" <"$folder/outbox/expected"
wait_until $step_seconds_max "the worker to connect to the shop" \
  "SELECT state = 'running' FROM reconcile.source_status WHERE source = 'shop payments'"

play_shop_day 1
for channel in alipay wechat citybank; do deliver "$channel" 1; done
statements_are_in 1 alipay wechat citybank
play_shop_day 2
for channel in alipay citybank; do deliver "$channel" 2; done
statements_are_in 2 alipay citybank
say "   the wechat bill of $(day_of 2) is late"

say "pg_cron calls reconcile.run_due() at the full minute"
runs_are_done 1 alipay wechat citybank
show_day 1
runs_are_done 2 alipay citybank
wait_until $tick_seconds_max "the run of wechat, $(day_of 2), to say what it waits for" "
  SELECT EXISTS (SELECT FROM reconcile.run WHERE channel = 'wechat' AND business_date = '$(day_of 2)' AND state = 'waiting')"
show_day 2

echo
deliver wechat 2
statements_are_in 2 wechat
play_shop_day 3
for channel in alipay wechat citybank; do deliver "$channel" 3; done
statements_are_in 3 alipay wechat citybank
say "pg_cron calls reconcile.run_due() at the next full minute"
runs_are_done 2 wechat
runs_are_done 3 alipay wechat citybank
show_day 2 ', now that the late bill is in'
show_day 3

headline "does it find what was planted, and nothing else?"
problems=$(finance_sql -v payments="$payments" -f "$root/demo/verify.sql")
if [ -n "$problems" ]; then
  printf '%s\n' "$problems" >&2
  fail "the outcome is not the planted one"
fi
show -c "SELECT channel, order_no, kind, difference, story FROM demo.expected ORDER BY business_date, channel, order_no"
say "yes: exactly these $(finance_sql -c 'SELECT count(*) FROM demo.expected') discrepancies among $(
  finance_sql -c "SELECT to_char(count(*), 'FM999,999,999') FROM reconcile.entry") entries; every day's proof comes to 0"

finished=1
if [ -n "$check" ]; then
  say "demo: passed; stopping the servers and removing $folder"
  exit 0
fi
cat <<NEXT

The servers keep running. Look around:

  psql -h $folder/finance -U postgres finance

  SELECT * FROM reconcile.daily_summary ORDER BY business_date, channel;
  SELECT * FROM reconcile.open_discrepancy ORDER BY abs(difference) DESC;
  SELECT * FROM reconcile.explain((SELECT min(discrepancy_id) FROM reconcile.open_discrepancy));

Pay in the shop and see it arrive:  psql -h $folder/shop -p $shop_port -U postgres shop
Stop it, and remove $folder:  make demo-stop
NEXT

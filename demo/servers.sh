# The demo's two servers and its folder. Sourced by run.sh and stop.sh; needs test/harness/throwaway_server.sh.
#
#   $folder/shop      the shop's server: unix socket, and loopback TCP for the worker, which logs in with a password
#   $folder/finance   the finance server, with pg_reconcile, pg_partman and pg_cron: unix socket alone
#   $folder/inbox     where the channels' bills arrive, a folder per channel
#   $folder/stage     what was built, installed: nothing goes into the system's PostgreSQL

# `make demo` has one place, so that a second one finds the first. mkdir takes it: never a folder that others made.
demo_folder_fixed=/tmp/pg_reconcile_demo

demo_server_account() { if [ "$(id -u)" -eq 0 ]; then echo postgres; else id -un; fi; }

demo_is_ours() {
  [ -d "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %U "$1")" = "$(demo_server_account)" ]
}

# A script at work, or a server. A server that died leaves its pid file behind: ask the process, not the file.
demo_is_running() {
  local server
  if [ ! -f "$1/script_pid" ] || kill -0 "$(cat "$1/script_pid")" 2>/dev/null; then return 0; fi
  for server in "$1"/shop "$1"/finance; do
    [ -f "$server/data/postmaster.pid" ] || continue
    throwaway_as_server "$(throwaway_bindir)/pg_ctl" -D "$server/data" status >/dev/null 2>&1 && return 0
  done
  return 1
}

demo_remove() {
  local folder=$1
  [ -e "$folder" ] || return 0
  if ! demo_is_ours "$folder"; then
    echo "demo: $folder is not the demo's: it belongs to $(stat -c %U "$folder")" >&2
    return 1
  fi
  throwaway_remove "$folder"
}

demo_free_port() {
  local port tries
  for tries in $(seq 50); do
    port=$((20000 + RANDOM % 30000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
  echo "demo: found no free port after $tries tries" >&2
  return 1
}

# Whoever reaches the unix socket is let in, and the folder is closed to other accounts; over TCP the replication
# user alone, with its password.
demo_start_shop() {
  local folder=$1 port=$2
  throwaway_as_server tee "$folder/shop_hba.conf" >/dev/null <<HBA
local all  all                trust
host  shop repl 127.0.0.1/32  scram-sha-256
HBA
  throwaway_start "$folder/shop" "$folder/stage" \
    "hba_file = '$folder/shop_hba.conf'" "listen_addresses = '127.0.0.1'" "port = $port" \
    "wal_level = logical" "max_slot_wal_keep_size = 4GB" "shared_preload_libraries = ''" \
    "shared_buffers = 256MB" "max_wal_size = 4GB"
}

# pg_cron wants its database to exist when the server starts: two starts.
demo_start_finance() {
  local folder=$1
  throwaway_start "$folder/finance" "$folder/stage" \
    "pg_reconcile.allowed_directories = '$folder/inbox'" "pg_reconcile.databases = 'finance'" \
    "shared_buffers = 512MB" "max_wal_size = 4GB"
  "$(throwaway_bindir)/psql" -X -q -h "$folder/finance" -U postgres -d postgres -c "CREATE DATABASE finance"
  throwaway_as_server tee -a "$folder/finance/data/postgresql.conf" >/dev/null <<CONF
shared_preload_libraries = '\$libdir/pg_reconcile, pg_cron'
cron.database_name = 'finance'
cron.host = '$folder/finance'
CONF
  throwaway_as_server "$(throwaway_bindir)/pg_ctl" -D "$folder/finance/data" -l "$folder/finance/log" -w -t 60 -s \
    -m fast restart </dev/null
}

# Throw-away PostgreSQL servers, for tests, the demo and the benchmarks. Source it; it defines functions only.
#
#   folder=$(throwaway_folder demo)              a new folder that the server's account can read and write
#   throwaway_stage "$folder/stage" build        the built extension, installed below the folder
#   throwaway_start "$folder/shop" "$folder/stage" "wal_level = logical" ...    initdb and start, on a socket of its own
#   throwaway_stop "$folder/shop"                stop at once; harmless when it does not run
#   throwaway_remove "$folder"                   stop every server below the folder and remove the folder
#
# A server of Debian's is told where the stage is. Any other runs from a copy of itself in the stage: PostgreSQL finds
# its folders from where its program is, so nothing is ever installed into the PostgreSQL that PG_CONFIG names.
#
# A server answers on the unix socket in its own folder (PGHOST=$folder/shop), so ports and the system's clusters
# don't matter; it trusts who reaches that socket, and the folder is closed to other accounts. As root, servers run
# as the account `postgres` through runuser; otherwise as the caller. The caller sets the trap that removes.

# By its full name: a server's own copy of it, first in PATH, would name the copy's folders.
: "${PG_CONFIG:=pg_config}"
PG_CONFIG=$(command -v "$PG_CONFIG") || { echo "there is no pg_config: PG_CONFIG is not a program" >&2; exit 1; }

# Before the stage, PG_CONFIG's programs; after it, those that find what the stage holds.
throwaway_copy=
throwaway_bindir() { printf '%s%s\n' "$throwaway_copy" "$("$PG_CONFIG" --bindir)"; }

# The setting with which a server finds the stage; nothing where the server is a copy in it.
throwaway_stage_setting() {
  if [ -z "$throwaway_copy" ]; then echo "extension_destdir = '$1'"; fi
}

# Runs a command as the server's account, from a folder that account can be in.
throwaway_as_server() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && exec runuser -u postgres -- "$@")
  else
    (cd / && exec "$@")
  fi
}

# A unix socket's path has at most 107 bytes: a deep TMPDIR would not do.
throwaway_folder() {
  local base=${TMPDIR:-/tmp} folder
  [ ${#base} -le 40 ] || base=/tmp
  folder=$(mktemp -d "$base/pg_reconcile_$1.XXXXXX")
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$folder"; fi
  chmod 700 "$folder"
  printf '%s\n' "$folder"
}

# Installs what the build folder holds, and the test-only modules where they were built.
throwaway_stage() {
  local stage=$1 build=$2 pkglibdir part
  pkglibdir=$stage$("$PG_CONFIG" --pkglibdir)
  throwaway_copy=
  # Reads to the end: a writer that loses its reader would count as a failure.
  if ! "$(throwaway_bindir)/postgres" --describe-config | grep '^extension_destdir' >/dev/null; then
    for part in --bindir --pkglibdir --sharedir; do
      part=$("$PG_CONFIG" "$part")
      mkdir -p "$stage$part"
      cp -a "$part/." "$stage$part/"
    done
    throwaway_copy=$stage
  fi
  DESTDIR=$stage cmake --install "$build" >/dev/null
  local module
  for module in pg_reconcile_test pg_reconcile_slow_resolver; do
    if [ -f "$build/$module.so" ]; then install -m 755 "$build/$module.so" "$pkglibdir/"; fi
  done
  chmod -R a+rX "$stage"
}

throwaway_start() {
  local server=$1 stage=$2 bindir
  shift 2
  bindir=$(throwaway_bindir)
  throwaway_as_server mkdir -p -m 700 "$server"
  if ! throwaway_as_server "$bindir/initdb" -D "$server/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
      --no-sync --no-instructions >"$server/initdb.log" 2>&1; then
    cat "$server/initdb.log" >&2
    return 1
  fi
  {
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$server'"
    throwaway_stage_setting "$stage"
    if [ -f "$stage$("$PG_CONFIG" --pkglibdir)/pg_reconcile.so" ]; then
      echo "shared_preload_libraries = '\$libdir/pg_reconcile'"
    fi
    echo "fsync = off"
    echo "full_page_writes = off"
    echo "max_worker_processes = 16"
    echo "log_line_prefix = '%m [%p] %q%d '"
    printf '%s\n' "$@"
  } | throwaway_as_server tee -a "$server/data/postgresql.conf" >/dev/null
  if ! throwaway_as_server "$bindir/pg_ctl" -D "$server/data" -l "$server/log" -w -t 60 -s start </dev/null; then
    cat "$server/log" >&2
    return 1
  fi
}

throwaway_stop() {
  local server=$1
  [ -f "$server/data/postmaster.pid" ] || return 0
  throwaway_as_server "$(throwaway_bindir)/pg_ctl" -D "$server/data" -m immediate -w -t 30 -s stop </dev/null ||
    true
}

throwaway_remove() {
  local folder=$1 server
  [ -n "$folder" ] && [ -d "$folder" ] || return 0
  for server in "$folder"/*/data/postmaster.pid; do
    [ -f "$server" ] && throwaway_stop "${server%/data/postmaster.pid}"
  done
  rm -rf "$folder"
}

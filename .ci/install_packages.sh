#!/bin/bash
# Installs the Debian packages that building, checking and the demo need; does nothing when they are there.
# PostgreSQL's package would create and start a cluster on a machine that has none: not for our sake.
set -euo pipefail
packages=(
  # to build
  g++ make cmake ninja-build ccache pkg-config
  postgresql-server-dev-15 libpq-dev libboost1.81-dev libarchive-dev libcurl4-openssl-dev libssl-dev libxxhash-dev zlib1g-dev doctest-dev
  libexpat1-dev
  # to run it
  postgresql-15 postgresql-15-partman postgresql-15-cron gpg gpg-agent
  # to test it, and the demo
  postgresql-15-pgtap libtap-parser-sourcehandler-pgtap-perl libipc-run-perl perl zip unzip python3
  python3-openpyxl
  openssh-server openssh-client vsftpd openssl
  # to lint and fuzz it
  clang libclang-rt-14-dev clang-format clang-tidy
)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "deps: not a Debian system; these must be there: ${packages[*]}"
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "deps: all ${#packages[@]} packages are installed"
  exit 0
fi
echo "deps: installing ${missing[*]}"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
  if ! sudo -n true 2>/dev/null; then
    echo "deps: not root and sudo asks for a password; please run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

# Only for the length of this installation, and only where PostgreSQL 15 is new to the machine.
no_cluster=/etc/postgresql-common/createcluster.d/zz_pg_reconcile.conf
if [ "$(dpkg-query -W -f '${db:Status-Status}' postgresql-15 2>/dev/null || true)" != installed ]; then
  trap '"${as_root[@]}" rm -f "$no_cluster"' EXIT
  "${as_root[@]}" mkdir -p "$(dirname "$no_cluster")"
  echo "create_main_cluster = false" | "${as_root[@]}" tee "$no_cluster" >/dev/null
fi

# Servers that tests start for themselves: no daemon of the system's is wanted for them.
no_daemon=/usr/sbin/policy-rc.d
if [ ! -e "$no_daemon" ]; then
  trap '"${as_root[@]}" rm -f "$no_cluster" "$no_daemon"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$no_daemon" >/dev/null
  "${as_root[@]}" chmod 755 "$no_daemon"
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" </dev/null
}
"${as_root[@]}" apt-get update -q </dev/null
install || { sleep 5; "${as_root[@]}" apt-get update -q </dev/null; install; }

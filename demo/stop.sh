#!/bin/bash
# Stops the demo's servers and removes its folder. Harmless when none runs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PG_CONFIG=${PG_CONFIG:-pg_config}
. "$here/../test/harness/throwaway_server.sh"
. "$here/servers.sh"

if [ ! -e "$demo_folder_fixed" ]; then
  echo "demo: none is running"
  exit 0
fi
demo_remove "$demo_folder_fixed"
echo "demo: stopped, and $demo_folder_fixed is removed"

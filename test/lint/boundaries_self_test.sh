#!/bin/bash
# The lint of the boundaries must be able to fail: each of these trees breaks one rule, the last breaks none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
server=$("${PG_CONFIG:-pg_config}" --includedir-server)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
wrong=0

verdict() {
  local expected=$1 file=$2 line=$3 status=0
  rm -rf "$folder/tree"
  mkdir -p "$folder/tree/core" "$folder/tree/$(dirname "$file")"
  echo '#include <string>' >"$folder/tree/core/innocent.cc"
  printf '%s\n' "$line" >"$folder/tree/$file"
  perl "$here/boundaries.pl" "$folder/tree" "$server" "$(dirname "$server")" >"$folder/out" 2>&1 || status=$?
  if [ "$status" -ne "$expected" ]; then
    echo "boundaries.pl says $status, expected $expected for $file: $line"
    wrong=1
  fi
}

verdict 1 core/a.cc '#include <postgres.h>'
verdict 1 core/a.h '  #  include <utils/builtins.h>'
verdict 1 core/a.cc '#include "extension/pg/spi.h"'
verdict 1 core/money/a.cc '#include "worker/feed.h"'
verdict 1 core/a.cc '#include "../extension/pg/spi.h"'
verdict 1 core/a.cc '#include <libpq-fe.h>'
verdict 1 core/a.cc '#include <curl/curl.h>'
verdict 1 extension/run/a.cc '#include "worker/feed.h"'
verdict 1 extension/run/a.cc '#include <postgres.h>'
verdict 1 worker/a.cc '#include "extension/compare/compare.h"'
verdict 1 worker/a.cc '#include "test/fake.h"'
verdict 0 core/a.cc '#include <boost/multiprecision/cpp_int.hpp>'
verdict 0 core/a.cc '#include "core/error.h"'
verdict 0 extension/pg/postgres.h '#include <postgres.h>'
verdict 0 extension/run/a.cc '#include <utils/builtins.h>'
verdict 0 worker/a.cc '#include "extension/pg/spi.h"'
exit $wrong

#!/bin/bash
# Installs what only interop tests and benchmarks need, into the build folder: DuckDB's library for Node.js.
set -euo pipefail
folder=${PG_RECONCILE_INTEROP:?where to install}
if [ -d "$folder/node_modules/@duckdb/node-api" ]; then
  echo "deps-interop: DuckDB is installed"
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "deps-interop: needs npm (Debian: apt-get install nodejs npm)" >&2
  exit 1
fi
mkdir -p "$folder"
npm install --silent --no-audit --no-fund --prefix "$folder" @duckdb/node-api@1.5.6-r.1
echo "deps-interop: installed DuckDB below $folder"

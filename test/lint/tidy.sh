#!/bin/bash
# clang-tidy over every C++ file of the product. What was clean stays clean: a file is checked again only when it, a
# header of ours that it includes, or the configuration has changed (stamps in the build folder).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${BUILD_DIR:-$root/build}" && pwd)
stamps=$build/tidy
mkdir -p "$stamps"
cd "$root"

# Our own headers that a file includes, directly or not, as its own text says.
closure() {
  local -A seen=()
  local queue=("$1") file header
  while [ ${#queue[@]} -gt 0 ]; do
    file=${queue[0]}
    queue=("${queue[@]:1}")
    [ -z "${seen[$file]:-}" ] && [ -f "$file" ] || continue
    seen[$file]=1
    while IFS= read -r header; do queue+=("$header"); done < <(sed -n 's/^ *# *include "\([^"]*\)".*/\1/p' "$file")
  done
  printf '%s\n' "${!seen[@]}" | sort
}

check_one() {
  local file=$1 key out
  key=$({ clang-tidy --version; cat .clang-tidy; closure "$file" | xargs cat; } | sha256sum | cut -c1-32)
  [ ! -f "$stamps/$key" ] || return 0
  if out=$(clang-tidy --quiet -p "$build" --extra-arg=-w "$file" 2>/dev/null); then
    : >"$stamps/$key"
  else
    printf '%s\n' "$file:" "$out"
    return 1
  fi
}
export -f check_one closure
export build stamps

# Only what is compiled: the database of commands lists it.
mapfile -t files < <(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" |
  sed "s,^$root/,," | grep -E '^(core|extension|worker)/' | sort -u)
[ ${#files[@]} -gt 0 ] || { echo "no compiled file found in $build/compile_commands.json"; exit 1; }
printf '%s\n' "${files[@]}" | xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'check_one {}'

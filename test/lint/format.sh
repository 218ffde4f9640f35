#!/bin/bash
# Every C++ file is as clang-format writes it.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t files < <(find core extension worker test bench demo -name '*.cc' -o -name '*.h' 2>/dev/null | sort)
[ ${#files[@]} -gt 0 ] || { echo "no C++ file found"; exit 1; }
wrong=0
for file in "${files[@]}"; do
  if ! clang-format --dry-run -Werror "$file" 2>/dev/null; then
    echo "not formatted: clang-format -i $file"
    wrong=1
  fi
done
exit $wrong

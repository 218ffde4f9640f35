#!/bin/bash
# A file is one idea: none has more than 600 lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
roots=()
for root in core extension worker sql test bench demo cmake .ci Makefile CMakeLists.txt; do
  [ ! -e "$root" ] || roots+=("$root")
done
find "${roots[@]}" -type f \( -name '*.cc' -o -name '*.h' -o -name '*.sql' -o -name '*.sh' -o -name '*.pl' -o -name '*.pm' \
    -o -name '*.py' -o -name '*.cmake' -o -name Makefile -o -name CMakeLists.txt \) -not -path '*/fixtures/*' -exec wc -l {} + |
  awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines"; wrong = 1 } END { exit wrong }'

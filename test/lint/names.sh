#!/bin/bash
# A name says what is in it; these say nothing. And nothing is left to be done later.
set -euo pipefail
cd "$(dirname "$0")/../.."
wrong=0
roots=()
for root in core extension worker sql test bench demo; do [ ! -d "$root" ] || roots+=("$root"); done
if find "${roots[@]}" | grep -E '/(utils?|helpers?|common|manager|misc)(\.|_|/|$)'; then wrong=1; fi
if grep -rnE --include='*.cc' --include='*.h' --include='*.sql' --include='*.sh' --include='*.p[lm]' --exclude-dir=lint \
    --exclude-dir=fixtures '\b(TODO|FIXME|HACK)\b' "${roots[@]}"; then wrong=1; fi
exit $wrong

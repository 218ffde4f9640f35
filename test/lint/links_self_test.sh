#!/bin/bash
# links.pl must accept what is right and name what is not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '# One\n\n## Two words, `code`\n\n[a](other.md) [b](#two-words-code) [c](other.md#here) [d](https://example.org/x)\n```\n[e](not-a-link)\n```\n' >"$folder/good.md"
printf '# Here\n' >"$folder/other.md"
perl "$here/links.pl" "$folder" good.md
for link in 'gone.md' '#no-such-heading' 'other.md#gone'; do
  printf '# One\n\n[x](%s)\n' "$link" >"$folder/bad.md"
  if said=$(perl "$here/links.pl" "$folder" bad.md) || [[ $said != "bad.md:3: no "*" $link" ]]; then
    echo "links.pl let pass: $link: $said"
    exit 1
  fi
done

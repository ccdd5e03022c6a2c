#!/bin/sh
# Types are checked, then the page is bundled into whowas/workbench/static: the same input makes the same bytes.
# Wants node and npm: `make web` finds or fetches them. `again` leaves what was fetched as it is.
set -eu
cd "$(dirname "$0")"
out=../whowas/workbench/static
[ "${1:-}" = again ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
node_modules/.bin/tsc -p .
for part in main.tsx:app layout.worker.ts:layout; do
  node_modules/.bin/esbuild "src/${part%%:*}" --bundle --minify --format=esm --target=es2022 --charset=utf8 \
    --legal-comments=none --log-level=warning --outfile="$out/${part##*:}.js"
done
node_modules/.bin/esbuild src/app.css --minify --target=es2022 --log-level=warning --outfile="$out/app.css"
cp index.html "$out/index.html"
# What is bundled keeps its licences.
for name in $(npm ls --omit=dev --all --parseable | sed -n 's#.*/node_modules/##p' | sort -u); do
  printf '%s\n\n' "$name"
  cat "node_modules/$name/"[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*
  printf '\n----\n\n'
done >"$out/licenses.txt"

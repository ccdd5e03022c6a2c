#!/usr/bin/env bash
# Runs every finding and says which still hold; exits with 1 when one does not or could not be run.
cd "$(dirname "$0")/.." || exit 2
held=0 others=0
for script in *.sh; do
  printf '== %s\n' "${script%.sh}"
  "./$script"
  code=$?
  case $code in
    0) answer="holds" held=$((held + 1)) ;;
    1) answer="CHANGED" others=$((others + 1)) ;;
    *) answer="could not be run (exit $code)" others=$((others + 1)) ;;
  esac
  printf -- '-- %s: %s\n\n' "${script%.sh}" "$answer"
done
printf '%d hold, %d do not\n' "$held" "$others"
[ "$others" -eq 0 ]

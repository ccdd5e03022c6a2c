#!/bin/sh
# Stands where the CNI plugin `bridge` stood: calls it, and writes down when, for whom and with what result.
began=$(date +%s.%N)
result=$(/opt/cni/bin/the-bridge)
code=$?
printf '%s %s %s %s %s %s %s\n' "$began" "$(date +%s.%N)" "$CNI_COMMAND" "$code" "$CNI_CONTAINERID" "$CNI_ARGS" \
  "$(printf %s "$result" | tr -d '[:space:]')" >> /var/lib/cni/calls.log
printf '%s\n' "$result"
exit $code

#!/usr/bin/env bash
# What IPFIX tells by uptime, by duration or in totals does not arrive: goflow2 gives all such flows one time, or no bytes.
#
# Versions: goflow2 2.2.6; softflowd 1.1.0 (Debian 1.1.0-1+b1), with its defaults for -v 10.
# Guess: flowStartSysUpTime is turned into a time, as goflow2 does for NetFlow v9; octetTotalCount fills bytes where there is
# no octetDeltaCount; and what cannot be read is left at 0 or counted.
# Behaviour: goflow2 knows the elements with absolute times and the one with microseconds before the export. For any other it
# writes the second of the export as both start and end, which looks like a time. softflowd's IPFIX uses the uptime unless -A is
# given, so every flow of it begins and ends at once, when it was exported. A start with flowDurationMilliseconds
# ends at the export. octetTotalCount and initiatorOctets (firewalls' way to count both directions) become 0 bytes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/goflow2.sh" softflowd
python3 - <<'PY'
import struct
import sys

from goflow2 import ADDRESSES, EXPORTED, FLOW, Collector, exported, message, packet, send, template, write_capture

NANO = 10**9
BEGAN = (EXPORTED - 100) * 1000  # milliseconds
TESTS = {  # elements, and what they hold: each flow took 2 s and had 500 bytes
    "absolute milliseconds": ([(152, 8), (153, 8), (1, 8)], struct.pack("!QQQ", BEGAN, BEGAN + 2000, 500)),
    "boot time and uptime": ([(160, 8), (22, 4), (21, 4), (1, 8)], struct.pack("!QIIQ", BEGAN - 1000, 1000, 3000, 500)),
    "start and duration": ([(152, 8), (161, 4), (1, 8)], struct.pack("!QIQ", BEGAN, 2000, 500)),
    "total of bytes": ([(152, 8), (153, 8), (85, 8)], struct.pack("!QQQ", BEGAN, BEGAN + 2000, 500)),
    "initiator's bytes": ([(152, 8), (153, 8), (231, 8), (232, 8)], struct.pack("!QQQQ", BEGAN, BEGAN + 2000, 500, 700)),
}
collector = Collector("workers=1")
for domain, (fields, values) in enumerate(TESTS.values()):
    send(collector.port, template(domain, [*FLOW, *fields]), message(domain, 256, ADDRESSES + values))
flows = sorted(collector.rows(2 * len(TESTS)), key=lambda flow: flow["observation_domain_id"])
seen = {}
print("seconds of start and end before the export, and bytes")
for name, flow in zip(TESTS, flows):
    start, end = ((flow[f"time_flow_{edge}_ns"] - EXPORTED * NANO) / NANO for edge in ("start", "end"))
    seen[name] = start, end, flow["bytes"]
    print(f"{name:<24}", *seen[name])

write_capture("a.pcap", [(EXPORTED + 10 * one, packet("10.0.0.1", "10.0.0.2", 5000 + one // 2)) for one in range(8)])
collector = Collector("workers=1")
send(collector.port, *exported("a.pcap", "-v", "10"))
flows = collector.rows(1)
times = {flow[f"time_flow_{edge}_ns"] for flow in flows for edge in ("start", "end")}
print(f"softflowd: {len(flows)} flows of 10 s each, beginning 20 s apart: {len(times)} time in all")
wanted = [(-100, -98, 500), (0, 0, 500), (-100, 0, 500), (-100, -98, 0), (-100, -98, 0)]
sys.exit(list(seen.values()) != wanted or (len(flows), len(times)) != (4, 1))
PY

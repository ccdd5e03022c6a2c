#!/usr/bin/env bash
# A flow exported with both its directions arrives in goflow2 with one, and one that only replied with none of its bytes.
#
# Versions: softflowd 1.1.0 (Debian 1.1.0-1+b1) with -b, goflow2 2.2.6.
# Guess: a collector makes two flows of a biflow (RFC 5103), or adds the directions up.
# Behaviour: goflow2 passes over elements with an enterprise number, and RFC 5103 marks the reverse direction by one. What the
# second host sent is gone, without an error. And softflowd's "forward" is not who spoke first but the lower address: traffic
# from 10.0.0.2 to 10.0.0.1 alone arrives as a flow from 10.0.0.1 to 10.0.0.2 with 0 bytes and 0 packets.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/goflow2.sh" softflowd
python3 - <<'PY'
import sys

from goflow2 import EXPORTED, Collector, exported, packet, send, write_capture

ONE, TWO = "10.0.0.1", "10.0.0.2"


def arrived(packets, *options):
    write_capture("a.pcap", [(EXPORTED + at, packet(*who, 53)) for at, who in enumerate(packets)])
    collector = Collector("workers=1")
    send(collector.port, *exported("a.pcap", "-v", "10", *options))
    return sorted((flow["src_addr"], flow["dst_addr"], flow["packets"], flow["bytes"]) for flow in collector.rows(1))


both, back = [(TWO, ONE), (ONE, TWO), (TWO, ONE)], [(TWO, ONE), (TWO, ONE)]
seen = [arrived(both), arrived(both, "-b"), arrived(back), arrived(back, "-b")]
names = ("2>1 1>2 2>1", "the same, biflow", "2>1 2>1", "the same, biflow")
print("packets of 128 bytes, and the flows of goflow2")
for name, flows in zip(names, seen):
    print(f"{name:<18}", *flows)
sys.exit(seen != [
    [(ONE, TWO, 1, 128), (TWO, ONE, 2, 256)], [(ONE, TWO, 1, 128)], [(TWO, ONE, 2, 256)], [(ONE, TWO, 0, 0)],
])
PY

#!/usr/bin/env bash
# A UDP datagram of 3,000 bytes in three fragments: three meters, three answers; nfpcapd has none when they come in another order.
#
# Versions: softflowd 1.1.0, nfpcapd (nfdump) 1.7.1, argus 3.0.8.2, all of Debian 12.
# Guess: three packets of the flow with the datagram's ports, or, where the later fragments have no ports to show, one packet
# with ports and two without; and the order in which they arrive changes nothing.
# Behaviour: argus puts all three to the datagram's ports. softflowd makes two flows, the later fragments with ports 0. nfpcapd
# puts the datagram together and counts one packet with one IP header; when the last fragment arrives before the first (which
# is how some systems send them), the datagram is in no flow at all, and nothing says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/meters.sh"
python3 - <<'PY'
import struct
import sys

from goflow2 import write_capture
from meters import METERS, A, B, frame, ip, transport

PORTS, SIZE, CUT = (6000, 53), 3000, 1480
datagram = transport(A, B, 17, struct.pack("!HHHH", *PORTS, 8 + SIZE, 0) + b"y" * SIZE, 6)
starts = range(0, len(datagram), CUT)
fragments = [
    ip(A, B, 17, datagram[at : at + CUT], at // 8 | (0x2000 if at + CUT < len(datagram) else 0)) for at in starts
]
for name, order in (("sent", fragments), ("back", fragments[::-1])):
    write_capture(f"{name}.pcap", [(1_700_000_000 + at / 1000, frame(one)) for at, one in enumerate(order)])

frames = sum(len(frame(one)) for one in fragments)
later = sum(len(frame(one)) - 14 for one in fragments[1:])
apart = [("0>0", 2, later), ("6000>53", 1, len(fragments[0]))]
expected = {
    "softflowd": (apart, apart),
    "nfpcapd": ([("6000>53", 1, 20 + len(datagram))], []),
    "argus": ([("6000>53", 3, frames)],) * 2,
}
held = True
for name, meter in METERS.items():
    seen = meter("sent.pcap"), meter("back.pcap")
    for order, rows in zip(("in order", "last first"), seen):
        flows = [f"{ports} {packets} packets {count} bytes;" for ports, packets, count in rows]
        print(f"{name:<10} {order:<10}", *(flows or ["no flow"]))
    held = held and seen == expected[name]
sys.exit(not held)
PY

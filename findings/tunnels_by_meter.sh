#!/usr/bin/env bash
# One datagram in eight wrappings: which flow it is, the inner, the outer or none at all, each meter decides in its own way.
#
# Versions: softflowd 1.1.0, nfpcapd (nfdump) 1.7.1, argus 3.0.8.2, all of Debian 12.
# Guess: a meter opens link layers (two VLAN tags, MPLS, PPPoE); of tunnels it opens all that it knows or none; and what it
# does not open is a flow between the tunnel's ends, so that bytes are never missing.
# Behaviour: softflowd and nfpcapd count nothing of frames with an 802.1ad tag, softflowd nothing of PPPoE. nfpcapd opens GRE
# and IPIP, but GRE that carries Ethernet (NVGRE, mirrored ports as ERSPAN) is in no flow, neither inside nor outside. argus
# opens GRE of every kind and ERSPAN, but not IPIP, and makes the two tags a flow between MAC addresses. VXLAN is an outer flow
# for all three. So one mirror session is full for argus, one line for softflowd, and silence for nfpcapd; no exit code tells.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/meters.sh"
python3 - <<'PY'
import struct
import sys

from goflow2 import write_capture
from meters import METERS, A, B, ip, transport


def udp(source, destination, ports, content):
    segment = struct.pack("!HHHH", *ports, 8 + len(content), 0) + content
    return ip(source, destination, 17, transport(source, destination, 17, segment, 6))


def ethernet(kind, content):
    return b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + struct.pack("!H", kind) + content


IP, TEB, GRE = 0x0800, 0x6558, 47
inner = udp(A, B, (6000, 5353), b"z" * 100)
within = ethernet(IP, inner)
tunnels = {
    "GRE": ip(A, B, GRE, struct.pack("!HH", 0, IP) + inner),
    "NVGRE": ip(A, B, GRE, struct.pack("!HHI", 0x2000, TEB, 7 << 8) + within),
    "ERSPAN II": ip(A, B, GRE, struct.pack("!HHIHHI", 0x1000, 0x88BE, 1, 0x1000, 1, 0) + within),
    "IPIP": ip(A, B, 4, inner),
    "VXLAN": udp(A, B, (40000, 4789), struct.pack("!II", 1 << 27, 7 << 8) + within),
}
frames = {
    "two tags": ethernet(0x88A8, struct.pack("!HHHH", 5, 0x8100, 6, IP) + inner),
    "MPLS": ethernet(0x8847, struct.pack("!I", 16 << 12 | 1 << 8 | 64) + inner),
    "PPPoE": ethernet(0x8864, struct.pack("!BBHHH", 0x11, 0, 7, len(inner) + 2, 0x21) + inner),
} | {name: ethernet(IP, packet) for name, packet in tunnels.items()}


def said(meter, name):
    capture = f"{name.replace(' ', '_')}.pcap"
    write_capture(capture, [(1_700_000_000 + at, frames[name]) for at in range(2)])
    flows = [ports for ports, packets, _ in meter(capture) if packets]
    return "inner" if flows == ["6000>5353"] else "outer" if flows else "none"


expected = {
    "softflowd": "none inner none outer outer outer outer outer",
    "nfpcapd": "none inner inner inner none none inner outer",
    "argus": "outer inner inner inner inner inner outer outer",
}
print(f"{'':<10}", *(f"{name:<9}" for name in frames))
held = True
for name, meter in METERS.items():
    seen = [said(meter, frame) for frame in frames]
    print(f"{name:<10}", *(f"{one:<9}" for one in seen))
    held = held and " ".join(seen) == expected[name]
sys.exit(not held)
PY

#!/usr/bin/env bash
# The bytes of one and the same TCP connection: softflowd counts the padding of its short frames, argus the frames as well.
#
# Versions: softflowd 1.1.0, nfpcapd (nfdump) 1.7.1, argus 3.0.8.2, all of Debian 12.
# Guess: NetFlow's bytes are those of layer 3, so all meters count the total length that the IP header says.
# Behaviour: nfpcapd does. softflowd takes all that stands behind the Ethernet header, so that each acknowledgement of 40 bytes
# counts as 46: a connection that sends little has up to 15 % more bytes than it had. argus counts whole frames: Ethernet
# header, VLAN tag and padding. Whoever compares bytes of two exporters, or of an exporter and a capture, sees a difference
# that depends on the number of short packets, and that no field tells.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/lib/meters.sh"
python3 - <<'PY'
import struct
import sys

from goflow2 import write_capture
from meters import METERS, A, B, frame, ip, transport

SYN, ACK, PUSH, FIN = 2, 16, 24, 17


def tcp(forth, seq, ack, flags, data=b""):
    ends, ports = ((A, B), (5000, 80)) if forth else ((B, A), (80, 5000))
    segment = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 8192, 0, 0) + data
    return ip(*ends, 6, transport(*ends, 6, segment, 16))


said = [
    (True, tcp(True, 1, 0, SYN)),
    (False, tcp(False, 1, 2, SYN | ACK)),
    (True, tcp(True, 2, 2, ACK)),
    (True, tcp(True, 2, 2, PUSH, b"x" * 100)),
    (False, tcp(False, 2, 102, ACK)),
    (True, tcp(True, 102, 2, FIN)),
    (False, tcp(False, 2, 103, FIN)),
    (True, tcp(True, 103, 3, ACK)),
]
write_capture("a.pcap", [(1_700_000_000 + at / 1000, frame(packet, forth)) for at, (forth, packet) in enumerate(said)])


def total(layer):
    forth, back = ([layer(packet) for goes, packet in said if goes == way] for way in (True, False))
    return [("5000>80", len(forth), sum(forth)), ("80>5000", len(back), sum(back))]


layers = {
    "IP total length": total(len),
    "behind the Ethernet header": total(lambda packet: len(frame(packet)) - 14),
    "whole frames": total(lambda packet: len(frame(packet))),
}
expected = {"nfpcapd": "IP total length", "softflowd": "behind the Ethernet header", "argus": "whole frames"}
held = True
for name, meter in METERS.items():
    seen = meter("a.pcap")
    counted = [layer for layer, value in layers.items() if value == seen]
    print(f"{name:<10}", *(f"{ports} {packets} packets {count} bytes;" for ports, packets, count in seen), *counted)
    held = held and counted == [expected[name]]
sys.exit(not held)
PY

#!/usr/bin/env bash
# nfstream finds no flows in what `tcpdump -i any` writes, and counts a datagram in fragments as its first fragment.
#
# Versions: nfstream 6.6.0; Python 3.11.
# Guess: a capture of a link type that is not known is refused, as softflowd and nfpcapd do; a fragment counts for its flow, or
# for one without ports.
# Behaviour: tcpdump of these days writes "any" as Linux cooked v2 (link type 276). nfstream ends with no flows and no error; of
# the same packets as v1 (113), as Ethernet or as bare IP it makes one flow. All fragments but the first belong to no flow: a
# datagram of 2,940 bytes in two fragments is one packet of 1,500.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check nfstream==6.6.0; } || exit 2
cd "$work"
env/bin/python -W ignore - <<'PY'
import os
import socket
import struct
import sys

import nfstream

ETHERNET, COOKED, COOKED_V2, IP = 1, 113, 276, 101
HOSTS = socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
ADDRESS = b"\2\0\0\0\0\1\0\0"
AHEAD = {
    ETHERNET: ADDRESS[:6] * 2 + b"\x08\0", COOKED: struct.pack("!HHH8sH", 0, 1, 6, ADDRESS, 0x0800),
    COOKED_V2: struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, 0, 6, ADDRESS), IP: b"",
}


def piece(content, offset=0, more=False):
    """An IPv4 packet with a part of a UDP datagram."""
    place = offset // 8 | more << 13
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(content), 7, place, 64, 17, 0) + HOSTS + content


def flows(link, packets):
    with open("a.pcap", "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
        for at, one in enumerate(AHEAD[link] + one for one in packets):
            out.write(struct.pack("<IIII", 1_700_000_000, at, len(one), len(one)) + one)
    streamer = nfstream.NFStreamer(source="a.pcap", n_dissections=0, n_meters=1, accounting_mode=1)
    return [(flow.src_port, flow.bidirectional_packets, flow.bidirectional_bytes) for flow in streamer]


datagram = struct.pack("!HHHH", 5000, 9000, 2940, 0) + b"x" * 2932
whole = piece(datagram)
pieces = [piece(datagram[:1480], 0, True), piece(datagram[1480:2960], 1480, False)]
if __name__ == "__main__":
    seen = {
        "Ethernet": flows(ETHERNET, [whole]), "cooked": flows(COOKED, [whole]), "cooked v2": flows(COOKED_V2, [whole]),
        "bare IP": flows(IP, [whole]), "in two fragments": flows(ETHERNET, pieces),
    }
    print("flows: port, packets, bytes of IP")
    for name, found in seen.items():
        print(f"{name:<17}", *found or ["none"])
    one = [(5000, 1, 2960)]
    sys.stdout.flush()
    os._exit(seen != {"Ethernet": one, "cooked": one, "cooked v2": [], "bare IP": one, "in two fragments": [(5000, 1, 1500)]})
PY

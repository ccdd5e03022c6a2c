#!/usr/bin/env bash
# Four Python readers of pcapng: each reads some valid files with times that are wrong by a thousand, or with packets missing.
#
# Versions: scapy 2.8.0, dpkt 1.9.8, python-pcapng 2.1.1, nfstream 6.6.0; Python 3.11.
# Guess: all go by each interface's if_tsresol and if_tsoffset, and a new section begins with no interfaces; two pcapng files
# joined by `cat` are a valid pcapng file.
# Behaviour: scapy keeps the interfaces of the first section, so the packets of a second file with nanoseconds are read as
# microseconds: fifty thousand years ahead. dpkt takes the first interface's resolution for all, so a capture of two interfaces
# does that, too. scapy and python-pcapng pass over if_tsoffset: 1970. nfstream gets all times right, but leaves out each packet
# of an interface whose link type is not the first one's (as of `dumpcap -i eth0 -i tun0`), without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  scapy==2.8.0 dpkt==1.9.8 python-pcapng==2.1.1 nfstream==6.6.0; } || exit 2
cd "$work"
env/bin/python -W ignore - <<'PY'
import os
import socket
import struct
import sys

import dpkt
import nfstream
import pcapng
from scapy.utils import PcapReader

TIME = 1_700_000_000
MICRO, NANO = 10**6, 10**9
ETHERNET, IP = 1, 101
FRAME = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def section():
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(link=ETHERNET, option=b""):
    return block(1, struct.pack("<HHI", link, 0, 65535) + (option + bytes(4) if option else b""))


def packet(number, ticks, source=5000, frame=FRAME):
    frame += struct.pack("!BBHHHBBH", 0x45, 0, 36, 1, 0, 64, 17, 0) + socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    frame += struct.pack("!HHHH", source, 9000, 16, 0) + b"x" * 8
    return block(6, struct.pack("<IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)) + frame)


IN_NANO = interface(option=struct.pack("<HHB3x", 9, 1, 9))
WITH_OFFSET = interface(option=struct.pack("<HHq", 14, 8, TIME))
first = section() + interface() + packet(0, TIME * MICRO)
FILES = {  # each packet's time is TIME and as many seconds as there are packets before it
    "two files joined": first + section() + IN_NANO + packet(0, (TIME + 1) * NANO, 5001),
    "two resolutions": first + IN_NANO + packet(1, (TIME + 1) * NANO, 5001),
    "an offset": section() + WITH_OFFSET + packet(0, 0) + packet(0, MICRO, 5001),
    "two link types": first + interface(IP) + b"".join(
        packet(number, (TIME + at) * MICRO, 5000 + at, b"" if number else FRAME) for at, number in enumerate((1, 1, 0), 1)),
}


def scapy_reads(path):
    with PcapReader(path) as packets:
        return [float(one.time) for one in packets]


def dpkt_reads(path):
    with open(path, "rb") as file:
        return [at for at, _ in dpkt.pcapng.Reader(file)]


def pcapng_reads(path):
    with open(path, "rb") as file:
        return [one.timestamp for one in pcapng.FileScanner(file) if isinstance(one, pcapng.blocks.EnhancedPacket)]


def nfstream_reads(path):
    flows = nfstream.NFStreamer(source=path, n_dissections=0, n_meters=1)
    return sorted(flow.bidirectional_first_seen_ms / 1000 for flow in flows)


def judged(times, packets):
    late = [one for at, one in enumerate(times) if one != TIME + at]
    missing = packets - len(times)
    return f"{missing} missing" if missing else f"{late[-1]:.0f} s" if late else "right"


def main():
    readers = (scapy_reads, dpkt_reads, pcapng_reads, nfstream_reads)
    seen = {}
    print(f"{'':<18}{'scapy':<16}{'dpkt':<16}{'python-pcapng':<16}nfstream")
    for name, content in FILES.items():
        with open("a.pcapng", "wb") as file:
            file.write(content)
        seen[name] = [judged(read("a.pcapng"), 4 if name == "two link types" else 2) for read in readers]
        print(f"{name:<18}" + "".join(f"{told:<16}" for told in seen[name]))
    thousandfold = f"{(TIME + 1) * 1000} s"
    return seen == {
        "two files joined": [thousandfold, thousandfold, "right", "right"],
        "two resolutions": ["right", thousandfold, "right", "right"],
        "an offset": ["1 s", "right", "1 s", "right"],
        "two link types": ["right", "right", "right", "2 missing"],
    }


as_before = main()
sys.stdout.flush()
os._exit(not as_before)
PY

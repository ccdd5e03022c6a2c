"""What the findings about flow meters share: right packets, and what each meter counts. Standard library only."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile

from goflow2 import exported

A, B = "10.0.0.1", "10.0.0.2"
Count = tuple[str, int, int]  # protocol and ports, packets, bytes


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ip(source: str, destination: str, protocol: int, content: bytes, fragment: int = 0) -> bytes:
    """An IPv4 packet. Args: fragment: the flags and the offset, as they stand in the header."""
    length = 20 + len(content)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 77, fragment, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(destination)
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + content


def transport(source: str, destination: str, protocol: int, segment: bytes, checksum: int) -> bytes:
    """A TCP or UDP segment with its checksum put in. Args: checksum: where it stands."""
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, len(segment))
    return segment[:checksum] + struct.pack("!H", _sum(pseudo + segment)) + segment[checksum + 2 :]


def frame(packet: bytes, forth: bool = True) -> bytes:
    """An Ethernet frame as a card delivers it: never shorter than 60 bytes."""
    macs = (b"\2\0\0\0\0\2", b"\2\0\0\0\0\1")
    return (b"".join(macs if forth else macs[::-1]) + b"\x08\0" + packet).ljust(60, b"\0")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(2)
    return done.stdout


def softflowd(capture: str) -> list[Count]:
    found = []
    for datagram in exported(capture, "-v", "5"):
        for one in range(struct.unpack_from("!HH", datagram)[1]):
            record = datagram[24 + 48 * one : 72 + 48 * one]
            packets, count = struct.unpack_from("!II", record, 16)
            source, destination = struct.unpack_from("!HH", record, 32)
            found.append((f"{source}>{destination}", packets, count))
    return sorted(found)


def nfpcapd(capture: str) -> list[Count]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        _run("nfpcapd", "-r", capture, "-l", folder)
        lines = [line.split(",") for line in _run("nfdump", "-R", folder, "-o", "csv").splitlines()]
    return sorted((f"{one[5]}>{one[6]}", int(one[11]), int(one[12])) for one in lines if one[3:4] in ([A], [B]))


def argus(capture: str) -> list[Count]:
    records = f"{capture}.argus"
    _run("argus", "-r", capture, "-w", records)
    text = _run("ra", "-r", records, "-n", "-c", ",", "-s", "sport", "dport", "spkts", "dpkts", "sbytes", "dbytes")
    found = []
    for line in text.splitlines():
        source, destination, *counts = line.split(",")
        if all(one.isdecimal() for one in counts):  # IP in IP has no ports, and an empty column for them
            source, destination = source or "0", destination or "0"
            forth, back, forth_bytes, back_bytes = map(int, counts)
            found += [(f"{source}>{destination}", forth, forth_bytes), (f"{destination}>{source}", back, back_bytes)]
    return sorted(one for one in found if one[1])


METERS = {"softflowd": softflowd, "nfpcapd": nfpcapd, "argus": argus}

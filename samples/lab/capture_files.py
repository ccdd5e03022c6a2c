"""Capture files byte by byte: classic pcap in either order, and pcapng with two interfaces."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

# 2026-11-20 10:15:00 UTC
EPOCH_US = 1_795_169_700_000_000


@dataclass(frozen=True)
class Timed:
    """A packet and its time in microseconds after EPOCH_US; `nanos` are on top."""

    packet: Any
    after_us: int
    nanos: int = 0
    interface: int = 0


def pcap(packets: list[Timed], *, order: str = "<", nanos: bool = False, linktype: int = 1) -> bytes:
    """Write classic pcap in the byte order given."""
    magic = 0xA1B23C4D if nanos else 0xA1B2C3D4
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, linktype)]
    for one in packets:
        data, moment = bytes(one.packet), EPOCH_US + one.after_us
        fraction = moment % 1_000_000 * 1000 + one.nanos if nanos else moment % 1_000_000
        parts.append(struct.pack(f"{order}IIII", moment // 1_000_000, fraction, len(data), len(data)) + data)
    return b"".join(parts)


def block(kind: int, body: bytes) -> bytes:
    """A pcapng block, padded to 32 bits."""
    body += b"\0" * (-len(body) % 4)
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def option(code: int, value: bytes) -> bytes:
    """A pcapng option, padded to 32 bits."""
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng(packets: list[Timed]) -> bytes:
    """Write pcapng: eth0 in microseconds (by default), eth1 in nanoseconds (if_tsresol 9), a comment block to skip."""
    parts = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for name, resolution in ((b"eth0", b""), (b"eth1", option(9, b"\x09"))):
        head = struct.pack("<HHI", 1, 0, 0) + option(2, name) + resolution + struct.pack("<HH", 0, 0)
        parts.append(block(1, head))
    parts.append(block(0x0BAD, struct.pack("<I", 32_473) + b"a custom block"))
    for one in packets:
        data, moment = bytes(one.packet), EPOCH_US + one.after_us
        units = moment * 1000 + one.nanos if one.interface == 1 else moment
        head = struct.pack("<IIIII", one.interface, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
        parts.append(block(6, head + data))
    return b"".join(parts)

"""The classic capture file: a header of 24 bytes, then records. Source: draft-ietf-opsawg-pcap."""

from __future__ import annotations

from typing import Literal

from ingest.columns.byte_reads import Bytes, word
from whowas.arrays import Words
from whowas.kernels import lean_kernel

# magic in file order -> (big-endian, nanoseconds, bytes of a record's header)
MAGICS = {
    b"\xd4\xc3\xb2\xa1": (0, 0, 16),
    b"\xa1\xb2\xc3\xd4": (1, 0, 16),
    b"\x4d\x3c\xb2\xa1": (0, 1, 16),
    b"\xa1\xb2\x3c\x4d": (1, 1, 16),
    # Kuznetzov's: interface, protocol and direction stand behind the lengths.
    b"\x34\xcd\xb2\xa1": (0, 0, 24),
    b"\xa1\xb2\xcd\x34": (1, 0, 24),
}
HEADER = 24
PACKET_MOST = 1 << 26
"""No capture holds a packet of 64 MiB (libpcap stops at 256 KiB for network links): such a length is damage."""

# Files of format 2.3 and older may hold a packet's two lengths in the other order.
NEVER, WHEN_LONGER, ALWAYS = 0, 1, 2

# Why an index kernel stopped.
MORE = 0  # it needs `need` bytes from where it stands
FULL = 1
ABSURD = 2


@lean_kernel
def index_pcap(
    data: Bytes, at: int, stop: int, big: int, nanos: int, header: int, swapped: int, packets: Words
) -> tuple[int, int, int, int]:
    """List the packets that lie whole in data[at:stop].

    Fills: packets (n, 5): offset, captured, original, time in us since 1970 UTC, interface 0.
    Returns: (number, where it stopped, why, bytes needed there).
    """
    number = 0
    while number < len(packets):
        if at + header > stop:
            return number, at, MORE, header
        captured = word(data, at + 8, big)
        original = word(data, at + 12, big)
        if swapped == ALWAYS or (swapped == WHEN_LONGER and captured > original):
            captured, original = original, captured
        if captured > PACKET_MOST:
            return number, at, ABSURD, captured
        if at + header + captured > stop:
            return number, at, MORE, header + captured
        fraction = word(data, at + 4, big)
        if nanos:
            fraction //= 1000
        packets[number, 0] = at + header
        packets[number, 1] = captured
        packets[number, 2] = original
        packets[number, 3] = word(data, at, big) * 1_000_000 + fraction
        packets[number, 4] = 0
        number += 1
        at += header + captured
    return number, at, FULL, 0


def facts_of(head: bytes) -> tuple[int, int, int, int, int]:
    """Return (big-endian, nanoseconds, record header, order of lengths, link type) of a file's first 24 bytes."""
    big, nanos, record = MAGICS[head[:4]]
    order: Literal["big", "little"] = "big" if big else "little"
    version = int.from_bytes(head[4:6], order), int.from_bytes(head[6:8], order)
    swapped = NEVER
    if version[0] == 2 and version[1] <= 3:
        swapped = WHEN_LONGER if version[1] == 3 else ALWAYS
    # The upper half of the link type may tell about frame check sequences.
    return big, nanos, record, swapped, int.from_bytes(head[20:24], order) & 0xFFFF

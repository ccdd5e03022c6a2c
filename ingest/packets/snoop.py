"""Solaris' capture file: a header of 16 bytes, then records. Source: RFC 1761."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u32
from ingest.packets.pcap import ABSURD, FULL, MORE, PACKET_MOST
from whowas.arrays import Words
from whowas.kernels import lean_kernel

MAGIC = b"snoop\0\0\0" + bytes((0, 0, 0, 2))
HEADER = 16
RECORD = 24
# Its numbers of link types: those that are read, as the numbers of other captures.
LINKS = {0: 1, 4: 1}


@lean_kernel
def index_snoop(data: Bytes, at: int, stop: int, packets: Words) -> tuple[int, int, int, int]:
    """List the packets that lie whole in data[at:stop]. Fills and returns what pcap.index_pcap does."""
    number = 0
    while number < len(packets):
        if at + RECORD > stop:
            return number, at, MORE, RECORD
        captured, length = u32(data, at + 4), u32(data, at + 8)
        if length > PACKET_MOST or length < RECORD + captured:
            return number, at, ABSURD, length
        if at + length > stop:
            return number, at, MORE, length
        packets[number, 0] = at + RECORD
        packets[number, 1] = captured
        packets[number, 2] = u32(data, at)
        packets[number, 3] = u32(data, at + 16) * 1_000_000 + u32(data, at + 20)
        packets[number, 4] = 0
        number += 1
        at += length
    return number, at, FULL, 0

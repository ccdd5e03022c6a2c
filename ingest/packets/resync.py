"""Finds the next plausible record behind damage in the middle of a capture.

A record is believed where what follows it is plausible as well: a second record, or the end of the input. A packet's
own bytes seldom look like that; where nothing does, the file ends at the damage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from ingest.columns.byte_reads import Bytes, word
from ingest.packets.pcapng import ENHANCED_PACKET, OBSOLETE_PACKET, SECTION, SIMPLE_PACKET
from whowas.arrays import Words
from whowas.kernels import kernel, rare_kernel

# What tcpdump and dumpcap keep of a packet at most.
CAPTURED_MOST = 262_144
BLOCK_MOST = 1 << 20
# How far from the last good packet's time the next may be, s.
APART_SECONDS = 86_400
# A file with more damage than that is not worth its packets.
DAMAGES_MOST = 64

FOUND, NOT_HERE, LATER = 0, 1, 2


# Looks at data[at:stop], where nothing follows if ended: (FOUND, its place, 0), (NOT_HERE, where to look on, 0) or
# (LATER, a place, bytes needed there).
Look = Callable[[Bytes, int, int, bool], tuple[int, int, int]]


def record_finder(big: int, nanos: int, header: int, last_seconds: int) -> Look:
    """Search classic captures. Args: header: bytes of a record's. last_seconds: of the last good packet."""
    facts = np.array([big, nanos, header, last_seconds], dtype=np.int64)
    return lambda data, at, stop, ended: find_record(data, at, stop, facts, int(ended))


def block_finder(big: int, known: int) -> Look:
    """Search pcapng captures. Args: known: interfaces that the section has described."""
    return lambda data, at, stop, ended: find_block(data, at, stop, big, known, int(ended))


def may_be_whole(header: bytes, big: int) -> bool:
    """Say whether a record's header is good as far as one can tell: then its packet was cut short, not damaged."""
    order: Literal["big", "little"] = "big" if big else "little"
    captured, original = (int.from_bytes(header[at : at + 4], order) for at in (8, 12))
    return len(header) < 16 or captured <= min(original, CAPTURED_MOST)


@rare_kernel
def _plausible(data: Bytes, at: int, facts: Words) -> int:
    """Length of the record whose header may stand here, or 0."""
    big, nanos, header = facts[0], facts[1], facts[2]
    seconds, fraction = word(data, at, big), word(data, at + 4, big)
    captured, original = word(data, at + 8, big), word(data, at + 12, big)
    if captured == 0 or captured > CAPTURED_MOST or captured > original or original > CAPTURED_MOST:
        return 0
    if fraction >= (1_000_000_000 if nanos else 1_000_000) or abs(seconds - facts[3]) > APART_SECONDS:
        return 0
    length: int = header + captured
    return length


@kernel
def find_record(data: Bytes, at: int, stop: int, facts: Words, ended: int) -> tuple[int, int, int]:
    """Find the next plausible record of a classic capture. Args: facts: those of record_finder."""
    header = facts[2]
    while at + header <= stop:
        length = _plausible(data, at, facts)
        if length:
            following = at + length
            if following == stop and ended:
                return FOUND, at, 0
            if following + header <= stop and _plausible(data, following, facts):
                return FOUND, at, 0
            if following + header > stop and not ended:
                return LATER, at, length + header
        at += 1
    return NOT_HERE, at, 0


@kernel
def find_block(data: Bytes, at: int, stop: int, big: int, known: int, ended: int) -> tuple[int, int, int]:
    """Find the next packet block or section of a pcapng capture: a block tells its length twice."""
    while at + 12 <= stop:
        kind, length = word(data, at, big), word(data, at + 4, big)
        packet = kind == ENHANCED_PACKET or kind == OBSOLETE_PACKET or kind == SIMPLE_PACKET
        if kind == SECTION and at + 28 <= stop:
            order = word(data, at + 8, 1)
            if order == 0x1A2B3C4D or order == 0x4D3C2B1A:
                return FOUND, at, 0
        if packet and known > 0 and 16 <= length <= BLOCK_MOST and length & 3 == 0:
            if at + length > stop and not ended:
                return LATER, at, length
            fits = at + length <= stop and word(data, at + length - 4, big) == length
            if fits and (kind != ENHANCED_PACKET or (length >= 32 and word(data, at + 8, big) < known)):
                return FOUND, at, 0
        at += 1
    return NOT_HERE, at, 0

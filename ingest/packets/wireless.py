"""IEEE 802.11 data frames, bare or behind radiotap. Everything else on the air is no IP."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24
from ingest.packets.layout import (
    BY_ETHERTYPE,
    CUT_SHORT,
    END,
    MAC_SENDER,
    NEXT_MAC,
    NON_IP,
    NOTES,
    ORIGINAL_END,
    OTHER_TUNNEL,
    REFUSE,
    SEVERAL_INSIDE,
    WLAN,
)
from whowas.arrays import Words
from whowas.kernels import rare_kernel

DATA = 2
TO_STATION_SYSTEM, FROM_STATION_SYSTEM, PROTECTED, ORDERED = 0x01, 0x02, 0x40, 0x80
QUALITY, NO_DATA = 8, 4


@rare_kernel
def radiotap(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """What the radio measured, its length in little-endian order; then the frame."""
    if at + 8 > facts[END]:
        return REFUSE + CUT_SHORT, at
    size = u8(data, at + 2) | (u8(data, at + 3) << 8)
    if u8(data, at) != 0 or size < 8:
        return REFUSE + NON_IP, at
    return WLAN, at + size


@rare_kernel
def _is_snap(data: Bytes, at: int, facts: Words) -> bool:
    """Say whether 802.2 with an ethertype begins here (RFC 1042, and 802.1H's bridges)."""
    if at + 8 > facts[END] or u24(data, at) != 0xAAAA03:
        return False
    found: bool = u24(data, at + 3) == 0 or u24(data, at + 3) == 0xF8
    return found


@rare_kernel
def wlan(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 2 > facts[END]:
        return REFUSE + CUT_SHORT, at
    first, flags = u8(data, at), u8(data, at + 1)
    kind = first >> 4
    if first & 3 != 0 or (first >> 2) & 3 != DATA or kind & NO_DATA:
        return REFUSE + NON_IP, at
    if flags & PROTECTED:
        return REFUSE + OTHER_TUNNEL, at
    both = TO_STATION_SYSTEM | FROM_STATION_SYSTEM
    size = 30 if flags & both == both else 24
    several = False
    if kind & QUALITY:
        several = at + size < facts[END] and u8(data, at + size) & 0x80 != 0
        size += 6 if flags & ORDERED else 2
    if at + size + 8 > facts[END]:
        return REFUSE + CUT_SHORT, at
    facts[NEXT_MAC] = -1
    if not flags & FROM_STATION_SYSTEM:
        facts[NEXT_MAC] = ((at + 10) << 2) | MAC_SENDER
    at += size
    if several:
        return _first_of_several(data, at, facts, tables)
    if not _is_snap(data, at, facts) and size & 3:
        # Some drivers fill the header up to words of four bytes.
        at += 2
    if not _is_snap(data, at, facts):
        return REFUSE + NON_IP, at
    return u8(tables, BY_ETHERTYPE + u16(data, at + 6)), at + 8


@rare_kernel
def _first_of_several(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Frames that share one header (A-MSDU): the first is taken; that others follow is remarked."""
    if at + 14 > facts[END]:
        return REFUSE + CUT_SHORT, at
    stop = at + 14 + u16(data, at + 12)
    if not _is_snap(data, at + 14, facts):
        return REFUSE + NON_IP, at
    if stop + 14 < facts[ORIGINAL_END]:
        facts[NOTES] |= 1 << SEVERAL_INSIDE
    facts[NEXT_MAC] = -1
    facts[END] = min(facts[END], stop)
    facts[ORIGINAL_END] = min(facts[ORIGINAL_END], stop)
    return u8(tables, BY_ETHERTYPE + u16(data, at + 20)), at + 22

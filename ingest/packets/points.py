"""Points of observation: where in a capture a packet was seen, and what proves that two points saw the same packets.

A capture of all interfaces has a packet as often as it passed one of them. A point is an interface and, where the link
layer tells it, which of both ends sends into it: what turns round in an interface passes it twice, once each way.

Marks of a conversation's packets, for each direction, are of what no way through a network changes: addresses, the IP
identification, TCP's numbers, the first bytes of a datagram. Not the checksum, which network cards fill in, nor
the TTL. TCP's data are cut anew on the way (TSO, GRO): their marks are the range of sequence numbers and the
sum of bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ingest.columns.byte_reads import Bytes, u8, u16, u32
from ingest.packets.flow_table import (
    HASH,
    KEY_REASON,
    KEY_SENDER,
    MARK_WORDS,
    MARKS,
    NETWORK,
    NETWORK_BITS,
    TAKING_MARKS,
    UNMARKED,
    mix,
)
from ingest.packets.layout import (
    DIGEST,
    END,
    FAMILY,
    FRAGMENT,
    FRAGMENT_ID,
    HAS_PORTS,
    HELD,
    IP_AT,
    IP_BYTES,
    MARKING,
    NOTES,
    POINT,
    PROTOCOL,
    TCP_BYTES,
    TCP_FLAGS,
    TCP_SEQUENCE,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

# A point, from NETWORK_BITS on: whether end b's packets leave the capturing machine here, whether that is told, then an
# interface: of Linux cooked captures its index, of others the number of its name.
B_LEAVES = 1 << NETWORK_BITS
WAY_TOLD = 2 << NETWORK_BITS
INTERFACE = NETWORK_BITS + 2
INDEX_BITS = 20
NAMED = 1 << 26
LINK_COOKED, LINK_COOKED2 = 113, 276
KIND_OUTGOING = 4

# Words of a mark.
SUM, COUNT = 0, 1  # of digests
LOW, HIGH, BYTES = 2, 3, 4  # of TCP: sequence numbers, the second one beyond the last, counted on over 2^32; data
# Digests by their last bits: the smallest of each kind, and when that was. Who saw all has none larger than another's.
KINDS = 4
LEAST, LEAST_TIME = 5, 5 + KINDS
NO_DIGEST = (1 << 63) - 1
BITS_63 = (1 << 63) - 1
FACTOR, UNSIGNED_63 = np.uint64(0x2545F4914F6CDD1D), np.uint64(BITS_63)
SYN, FIN, RST = 2, 1, 4
PROTOCOL_TCP = 6


def several_points(interfaces: Words) -> bool:
    """Say whether packets of these interfaces (m, 3) may have been seen at several points."""
    cooked = np.isin(interfaces[:, 0], (LINK_COOKED, LINK_COOKED2)).any()
    return bool(cooked) or len(np.unique(interfaces[:, 2])) > 1


@lean_kernel
def turned(point: int, sender: int) -> int:
    """A point as it stands in a key: it must be one for both directions."""
    return point ^ B_LEAVES if sender == 0 and point & WAY_TOLD else point


@rare_kernel
def _stir(mixed: int, word: int) -> int:
    """Of 63 bits. Unsigned: for numba no signed product wraps, and a mask that it would need is dropped."""
    low: Any = np.int64((np.uint64(mixed ^ word) * FACTOR) & UNSIGNED_63)
    found: int = low ^ (low >> 31)
    return found


@rare_kernel
def point_of(data: Bytes, at: int, captured: int, link: int, number: int) -> int:
    """The point at which a packet of the sender was seen; a packet that was decoded has its link header whole."""
    if link == LINK_COOKED2 and captured >= 20:
        index = ((number & 0x3F) << INDEX_BITS) | (u32(data, at + 4) & ((1 << INDEX_BITS) - 1))
        way = B_LEAVES if u8(data, at + 10) == KIND_OUTGOING else 0
        return WAY_TOLD | way | (index << INTERFACE)
    if number:
        number |= NAMED
    if link == LINK_COOKED and captured >= 16:
        return WAY_TOLD | (B_LEAVES if u16(data, at) == KIND_OUTGOING else 0) | (number << INTERFACE)
    return number << INTERFACE


@rare_kernel
def see_points(
    data: Bytes, packets: Words, start: int, number: int, places: Words, facts: Words, keys: Words, secret: Words,
    watch: int,
) -> None:  # fmt: skip
    """Put the points of a group's packets into their keys; with watch == TAKING_MARKS, facts for marks as well.

    Args: as in fold.fold; number: packets of the group, which were decoded.
    """
    for j in range(number):
        if keys[j, KEY_REASON] != 0 and keys[j, KEY_REASON] != HELD:
            continue
        packet, one = packets[start + j], facts[j]
        place = places[packet[4]]
        one[POINT] = point_of(data, packet[0], packet[1], place[0], place[2])
        if watch == TAKING_MARKS:
            _digest(data, one)
            one[NOTES] |= 1 << MARKING
        add_point(one, keys[j], keys[j, KEY_SENDER])
        keys[j, HASH] = mix(keys[j], secret)


@rare_kernel
def add_point(facts: Words, key: Words, sender: int) -> None:
    """Complete a key where points are kept apart."""
    if facts[POINT]:
        key[NETWORK] |= turned(facts[POINT], sender)


@rare_kernel
def _digest(data: Bytes, facts: Words) -> None:
    at = facts[IP_AT]
    header = (u8(data, at) & 15) * 4 if facts[FAMILY] == 4 else 40
    # IPv4: identification and fragment; IPv6: the flow label.
    mixed = _stir(facts[PROTOCOL], u32(data, at + 4) if facts[FAMILY] == 4 else u32(data, at) & 0xFFFFF)
    facts[TCP_BYTES] = 0
    at += header
    if facts[PROTOCOL] == PROTOCOL_TCP and facts[HAS_PORTS] and facts[FRAGMENT] != 2 and at + 14 <= facts[END]:
        facts[TCP_BYTES] = max(facts[IP_BYTES] - header - (u8(data, at + 12) >> 4) * 4, 0)
        if facts[TCP_BYTES]:
            facts[DIGEST] = -1
            return
        mixed = _stir(_stir(mixed, facts[TCP_SEQUENCE]), (u32(data, at + 8) << 12) | facts[TCP_FLAGS])
    else:
        mixed = _stir(mixed, facts[IP_BYTES])
        # Ports stand in the key; of UDP the first of its data, of ICMP what tells an echo from the next.
        first = at + (8 if facts[HAS_PORTS] else 4)
        if first + 4 <= facts[END]:
            mixed = _stir(mixed, u32(data, first))
        if facts[FRAGMENT]:
            mixed = _stir(mixed, facts[FRAGMENT_ID])
    facts[DIGEST] = mixed


@rare_kernel
def _begin_mark(cold: Words) -> None:
    for end in range(2):
        at = MARKS + end * MARK_WORDS
        for i in range(MARK_WORDS):
            cold[at + i] = 0
        for kind in range(KINDS):
            cold[at + LEAST + kind] = NO_DIGEST
        cold[at + LOW] = -1


@rare_kernel
def _add_range(facts: Words, mark: int, cold: Words) -> None:
    """Stretch the range of TCP's numbers. A reset may have any."""
    flags = facts[TCP_FLAGS]
    if flags & RST or flags == 0:
        return
    size = facts[TCP_BYTES] + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
    number = facts[TCP_SEQUENCE]
    if cold[mark + LOW] < 0:
        # Room below for what comes out of order.
        cold[mark + LOW] = number + (1 << 32)
        cold[mark + HIGH] = number + (1 << 32) + size
        return
    away = (number - cold[mark + HIGH]) & 0xFFFFFFFF
    if away >= 1 << 31:
        away -= 1 << 32
    begin = cold[mark + HIGH] + away
    cold[mark + LOW] = max(min(cold[mark + LOW], begin), 0)
    cold[mark + HIGH] = max(cold[mark + HIGH], begin + size)


@rare_kernel
def add_mark(facts: Words, sender: int, time: int, begun: bool, cold: Words) -> None:
    """Add a packet to the marks of its direction."""
    if begun:
        _begin_mark(cold)
    mark = MARKS + sender * MARK_WORDS
    if cold[mark + LEAST] == UNMARKED:
        return
    digest = facts[DIGEST]
    if digest >= 0:
        cold[mark + SUM] = (cold[mark + SUM] + digest) & BITS_63
        cold[mark + COUNT] += 1
        kind = digest & (KINDS - 1)
        if digest < cold[mark + LEAST + kind]:
            cold[mark + LEAST + kind] = digest
            cold[mark + LEAST_TIME + kind] = time
    if facts[PROTOCOL] == PROTOCOL_TCP:
        cold[mark + BYTES] += facts[TCP_BYTES]
        _add_range(facts, mark, cold)

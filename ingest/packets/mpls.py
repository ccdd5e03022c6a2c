"""MPLS label stacks (RFC 3032) and pseudowires in them (RFC 4385, 4448), also in UDP (RFC 7510) and IP (RFC 4023)."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24
from ingest.packets.layout import (
    BY_ETHERTYPE,
    CUT_SHORT,
    DEPTH,
    END,
    ETHERNET,
    EXTENSIONS_MOST,
    IPV4,
    IPV6,
    MPLS,
    NEXT_MAC,
    NON_IP,
    ORIGINAL_END,
    REFUSE,
    TOO_DEEP,
    TUNNEL_MPLS,
)
from ingest.packets.tunnels import opened
from whowas.arrays import Words
from whowas.kernels import rare_kernel

EXPLICIT_NULL_4, EXPLICIT_NULL_6 = 0, 2


@rare_kernel
def mpls(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """No label says what is below it: the payload itself must be what it is taken for, else it is not opened."""
    start, label = at, 0
    for _ in range(EXTENSIONS_MOST):
        if at + 4 > facts[END]:
            return REFUSE + CUT_SHORT, start
        label = u24(data, at) >> 4
        at += 4
        if u8(data, at - 2) & 1:
            break
    else:
        return REFUSE + TOO_DEEP, start
    why = opened(facts, TUNNEL_MPLS, tables)
    if why:
        return why, start
    if facts[DEPTH]:
        facts[NEXT_MAC] = -1
    if label == EXPLICIT_NULL_4:
        return IPV4, at
    if label == EXPLICIT_NULL_6:
        return IPV6, at
    return _payload(data, at, facts, tables)


@rare_kernel
def _payload(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """IP by its header; else a pseudowire's frame, behind a control word or not, by its ethertype."""
    if at + 1 > facts[END]:
        return REFUSE + CUT_SHORT, at
    nibble = u8(data, at) >> 4
    if nibble == 4 and is_ipv4(data, at, facts):
        return IPV4, at
    if nibble == 6 and is_ipv6(data, at, facts):
        return IPV6, at
    # A frame with a tag looks like a shorter one behind a control word too, not the other way round.
    if _is_frame(data, at, facts, tables):
        return ETHERNET, at
    if nibble == 0 and _is_frame(data, at + 4, facts, tables):
        return ETHERNET, at + 4
    if nibble == 1:
        # An associated channel (RFC 5586): what the routers say to each other.
        return REFUSE + NON_IP, at
    return REFUSE + MPLS, at


@rare_kernel
def is_ipv4(data: Bytes, at: int, facts: Words) -> bool:
    """Say whether an IPv4 header is plausible: its lengths fit each other and the packet's."""
    if at + 20 > facts[END]:
        return False
    first, length = u8(data, at), u16(data, at + 2)
    header = (first & 15) * 4
    fits: bool = first >> 4 == 4 and header >= 20 and (length == 0 or header <= length <= facts[ORIGINAL_END] - at)
    return fits


@rare_kernel
def is_ipv6(data: Bytes, at: int, facts: Words) -> bool:
    """Say whether an IPv6 header is plausible."""
    if at + 40 > facts[END]:
        return False
    fits: bool = u8(data, at) >> 4 == 6 and 40 + u16(data, at + 4) <= facts[ORIGINAL_END] - at
    return fits


@rare_kernel
def _is_frame(data: Bytes, at: int, facts: Words, tables: Bytes) -> bool:
    """Say whether an Ethernet frame with an ethertype that is known begins here."""
    if at + 14 > facts[END]:
        return False
    kind = u16(data, at + 12)
    known: bool = kind == 0x0806 or (kind >= 1536 and u8(tables, BY_ETHERTYPE + kind) != REFUSE + NON_IP)
    return known

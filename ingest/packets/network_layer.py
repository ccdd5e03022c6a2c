"""IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200), AH (RFC 4302).

A length of zero in the header means that the sender's network card cut the packet later (TSO): the
frame's own length counts then.
"""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, bits64, u8, u16, u32
from ingest.packets.layout import (
    BAD_IP_HEADER,
    BY_PROTOCOL,
    CUT_SHORT,
    DEPTH,
    DONE,
    DST_HI,
    DST_LO,
    END,
    EXTENSIONS_MOST,
    FAMILY,
    FRAGMENT,
    FRAGMENT_ID,
    HAS_PORTS,
    ICMP,
    IP_AT,
    IP_BYTES,
    IPV4,
    IPV6,
    MAC,
    NEXT_MAC,
    NEXT_TUNNELS,
    NEXT_VLANS,
    NEXT_VNI,
    ORIGINAL_END,
    OUTER_AT,
    OUTER_FAMILY,
    PORTS_CUT,
    PROTOCOL,
    REFUSE,
    SRC_HI,
    SRC_LO,
    TCP_FLAGS,
    TCP_SEQUENCE,
    TOO_DEEP,
    TUNNEL_AH,
    TUNNELS,
    VLANS,
    VNI,
)
from ingest.packets.tunnels import opened
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

MAPPED = 0xFFFF << 32  # ::ffff:a.b.c.d
NO_NEXT_HEADER = 59


@lean_kernel
def _accept(facts: Words, at: int, family: int, length: int) -> None:
    """Make this header the innermost one: what stood before it becomes fact."""
    if facts[DEPTH] == 0:
        facts[OUTER_AT] = at
        facts[OUTER_FAMILY] = family
    facts[DEPTH] += 1
    facts[IP_AT] = at
    facts[FAMILY] = family
    facts[IP_BYTES] = length
    facts[VNI] = facts[NEXT_VNI]
    facts[VLANS] = facts[NEXT_VLANS]
    facts[TUNNELS] = facts[NEXT_TUNNELS]
    facts[MAC] = facts[NEXT_MAC]
    facts[HAS_PORTS] = 0
    facts[TCP_FLAGS] = 0
    facts[TCP_SEQUENCE] = 0
    facts[FRAGMENT] = 0
    facts[ICMP] = -1
    # Bytes behind the packet are padding of the frame.
    if at + length < facts[ORIGINAL_END]:
        facts[ORIGINAL_END] = at + length
    if at + length < facts[END]:
        facts[END] = at + length


@lean_kernel
def ipv4(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 20 > facts[END]:
        return REFUSE + CUT_SHORT, at
    first = u8(data, at)
    header = (first & 15) * 4
    length = u16(data, at + 2)
    if length == 0:
        length = facts[ORIGINAL_END] - at
    if first >> 4 != 4 or header < 20 or length < header:
        return REFUSE + BAD_IP_HEADER, at
    _accept(facts, at, 4, length)
    protocol = u8(data, at + 9)
    facts[PROTOCOL] = protocol
    fragment = u16(data, at + 6)
    if fragment & 0x3FFF:
        facts[FRAGMENT_ID] = u16(data, at + 4)
        facts[FRAGMENT] = 1
        if fragment & 0x1FFF:
            facts[FRAGMENT] = 2
            return DONE, at
    if at + header > facts[END]:
        return REFUSE + PORTS_CUT, at
    return u8(tables, BY_PROTOCOL + protocol), at + header


@lean_kernel
def ipv6(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 40 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u8(data, at) >> 4 != 6:
        return REFUSE + BAD_IP_HEADER, at
    length = 40 + u16(data, at + 4)
    following = u8(data, at + 6)
    if length == 40 and following != NO_NEXT_HEADER:
        length = max(facts[ORIGINAL_END] - at, 40)
    _accept(facts, at, 6, length)
    return _extensions(data, at + 40, following, facts, tables)


@rare_kernel
def _extensions(data: Bytes, at: int, following: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Walk the chain to the transport header. AH is a layer of its own, ESP cannot be opened."""
    for _ in range(EXTENSIONS_MOST):
        facts[PROTOCOL] = following
        options = following == 0 or following == 43 or following == 60
        options = options or following == 135 or following == 139 or following == 140
        if not options and following != 44:
            return u8(tables, BY_PROTOCOL + following), at
        if at + 8 > facts[END]:
            return REFUSE + PORTS_CUT, at
        following = u8(data, at)
        if options:
            at += (u8(data, at + 1) + 1) * 8
            continue
        fragment = u16(data, at + 2)
        if fragment & 0xFFF9:
            facts[FRAGMENT_ID] = u32(data, at + 4)
            facts[FRAGMENT] = 1
            if fragment & 0xFFF8:
                facts[FRAGMENT] = 2
                facts[PROTOCOL] = following
                return DONE, at
        at += 8
    return REFUSE + TOO_DEEP, at


@rare_kernel
def ah(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Authentication header: signs, hides nothing. The protocol is the one behind it; a whole packet may be."""
    if at + 8 > facts[END]:
        return REFUSE + PORTS_CUT, at
    following = u8(data, at)
    if following == 4 or following == 41:
        why = opened(facts, TUNNEL_AH, tables)
        facts[NEXT_MAC] = -1
        return why or (IPV4 if following == 4 else IPV6), at + (u8(data, at + 1) + 2) * 4
    return _extensions(data, at + (u8(data, at + 1) + 2) * 4, u8(data, at), facts, tables)


@lean_kernel
def read_addresses(data: Bytes, facts: Words) -> None:
    """Fill in the addresses of the innermost accepted header: only now is it known which that is."""
    at = facts[IP_AT]
    if facts[FAMILY] == 4:
        facts[SRC_HI] = 0
        facts[SRC_LO] = MAPPED | u32(data, at + 12)
        facts[DST_HI] = 0
        facts[DST_LO] = MAPPED | u32(data, at + 16)
    else:
        facts[SRC_HI] = bits64(data, at + 8)
        facts[SRC_LO] = bits64(data, at + 16)
        facts[DST_HI] = bits64(data, at + 24)
        facts[DST_LO] = bits64(data, at + 32)

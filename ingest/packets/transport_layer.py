"""TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP and ICMPv6 (RFC 792, 4443)."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u32
from ingest.packets.layout import (
    BY_UDP_PORT,
    BY_UDP_SOURCE,
    DONE,
    DST_PORT,
    END,
    HAS_PORTS,
    ICMP,
    NOTES,
    PORTS_CUT,
    PROTOCOL,
    QUOTE_AT,
    QUOTES,
    REFUSE,
    SRC_PORT,
    TCP_FLAGS,
    TCP_SEQUENCE,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel


@lean_kernel
def ports_only(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """SCTP and all that starts with two ports."""
    if at + 4 > facts[END]:
        return REFUSE + PORTS_CUT, at
    facts[SRC_PORT] = u16(data, at)
    facts[DST_PORT] = u16(data, at + 2)
    facts[HAS_PORTS] = 1
    return DONE, at


@lean_kernel
def tcp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 14 > facts[END]:
        # Eight bytes of a header are common in short captures: ports yes, flags no.
        ports_only(data, at, facts, tables)
        return REFUSE + PORTS_CUT, at
    facts[SRC_PORT] = u16(data, at)
    facts[DST_PORT] = u16(data, at + 2)
    facts[HAS_PORTS] = 1
    facts[TCP_SEQUENCE] = u32(data, at + 4)
    facts[TCP_FLAGS] = u16(data, at + 12) & 0xFFF
    return DONE, at


@lean_kernel
def udp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """A tunnel is known by its destination port: replies of a tunnel go to that port too (RFC 7348, 8926).

    A few are known from the other side too: those whose port somebody chose, and what shows itself by its content.
    """
    if at + 4 > facts[END]:
        return REFUSE + PORTS_CUT, at
    facts[SRC_PORT] = u16(data, at)
    facts[DST_PORT] = u16(data, at + 2)
    facts[HAS_PORTS] = 1
    layer = u8(tables, BY_UDP_PORT + facts[DST_PORT])
    if layer == DONE:
        layer = u8(tables, BY_UDP_SOURCE + facts[SRC_PORT])
    return layer, at + 8


@lean_kernel
def icmp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """The packet that an ICMP error quotes is not counted: it was not sent here. quotes.py tells its conversation."""
    if at + 2 > facts[END]:
        return REFUSE + PORTS_CUT, at
    facts[ICMP] = u16(data, at)
    kind = facts[ICMP] >> 8
    if (facts[PROTOCOL] == 1 and (kind == 3 or kind == 4 or kind == 11 or kind == 12)) or (
        facts[PROTOCOL] == 58 and 1 <= kind <= 4
    ):
        facts[NOTES] |= 1 << QUOTES
        facts[QUOTE_AT] = at + 8
    return DONE, at

"""PPP (RFC 1661, 1662), PPPoE (RFC 2516), L2TP version 2 (RFC 2661), Cisco's HDLC."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16
from ingest.packets.layout import (
    BY_ETHERTYPE,
    CUT_SHORT,
    DEPTH,
    END,
    IPV4,
    IPV6,
    NEXT_MAC,
    NON_IP,
    NOT_A_TUNNEL,
    ORIGINAL_END,
    OTHER_TUNNEL,
    PPP,
    REFUSE,
    TUNNEL_L2TP,
    TUNNEL_PPPOE,
)
from ingest.packets.tunnels import opened, why_short
from whowas.arrays import Words
from whowas.kernels import rare_kernel

MPLS_ETHERTYPE = 0x8847
ALL_STATIONS = 0xFF03
# Multilink and compressed data hide which packet they are part of.
MULTILINK, COMPRESSED_LINK, COMPRESSED = 0x003D, 0x00FB, 0x00FD


@rare_kernel
def ppp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Address and control may be left out, and of the protocol its first byte when that is zero."""
    if at + 2 <= facts[END] and u16(data, at) == ALL_STATIONS:
        at += 2
    if at + 1 > facts[END]:
        return REFUSE + CUT_SHORT, at
    protocol, size = u8(data, at), 1
    if protocol & 1 == 0:
        if at + 2 > facts[END]:
            return REFUSE + CUT_SHORT, at
        protocol, size = u16(data, at), 2
    at += size
    if protocol == 0x21:
        return IPV4, at
    if protocol == 0x57:
        return IPV6, at
    if protocol == 0x281 or protocol == 0x283:
        return u8(tables, BY_ETHERTYPE + MPLS_ETHERTYPE), at
    if protocol == MULTILINK or protocol == COMPRESSED_LINK or protocol == COMPRESSED:
        return REFUSE + OTHER_TUNNEL, at
    return REFUSE + NON_IP, at


@rare_kernel
def ppp_direction(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """PPP behind a byte that says which way it went; of pppd that byte stands in place of the address."""
    if at + 2 > facts[END]:
        return REFUSE + CUT_SHORT, at
    at += 1
    return PPP, at + (1 if u8(data, at) == 3 else 0)


@rare_kernel
def pppoe(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 6 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u16(data, at) != 0x1100:
        return REFUSE + NON_IP, at
    why = opened(facts, TUNNEL_PPPOE, tables)
    if why:
        return why, at
    stop = at + 6 + u16(data, at + 4)
    facts[END] = min(facts[END], stop)
    facts[ORIGINAL_END] = min(facts[ORIGINAL_END], stop)
    return PPP, at + 6


@rare_kernel
def l2tp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Version 2 data. Version 3 has cookies of a length that no packet tells: it is not opened."""
    if at + 2 > facts[END]:
        return REFUSE + why_short(at + 2, facts), at
    flags, start = u16(data, at), at
    if flags & 0xF == 3 and flags & 0x7FF0 == 0:
        return REFUSE + OTHER_TUNNEL, at
    if flags & 0xF != 2 or flags & 0x34F0 or flags & 0x8000:
        return REFUSE + NOT_A_TUNNEL, at
    at += 6 + (2 if flags & 0x4000 else 0) + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        if at + 2 > facts[END]:
            return REFUSE + why_short(at + 2, facts), start
        at += 2 + u16(data, at)
    if at > facts[END]:
        return REFUSE + why_short(at, facts), start
    why = opened(facts, TUNNEL_L2TP, tables)
    if why:
        return why, start
    facts[NEXT_MAC] = -1
    return PPP, at


@rare_kernel
def c_hdlc(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Address, control, ethertype; PPP where the first two are PPP's."""
    if at + 4 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u16(data, at) == ALL_STATIONS and facts[DEPTH] == 0:
        return PPP, at
    if u16(data, at + 2) < 1536:
        return REFUSE + NON_IP, at
    return u8(tables, BY_ETHERTYPE + u16(data, at + 2)), at + 4

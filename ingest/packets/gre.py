"""GRE (RFC 2784, 2890; routes by 1701, PPTP by 2637), NVGRE (RFC 7637), ERSPAN in it (draft-foschiano-erspan)."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u32
from ingest.packets.layout import (
    BY_ETHERTYPE,
    CUT_SHORT,
    END,
    ERSPAN_1,
    ERSPAN_2,
    ERSPAN_3,
    ETHERNET,
    EXTENSIONS_MOST,
    GRE_KEY,
    IPV4,
    NEXT_MAC,
    NEXT_VNI,
    NON_IP,
    OTHER_TUNNEL,
    PPP,
    RAW,
    REFUSE,
    TUNNEL_ERSPAN,
    TUNNEL_GRE,
    WLAN,
)
from ingest.packets.tunnels import opened, why_short
from whowas.arrays import Words
from whowas.kernels import rare_kernel

CHECKSUM, ROUTING, KEYED, SEQUENCED, ACKNOWLEDGED = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
FOR_ERSPAN, FOR_ERSPAN_3, FOR_PPP, FOR_WCCP = 0x88BE, 0x22EB, 0x880B, 0x883E
# What Aruba's access points send: 802.11 frames.
ARUBA_FIRST, ARUBA_LAST = 0x8200, 0x8370
FRAME_IS_IP = 2


@rare_kernel
def gre(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """A key is a network of its own, as NVGRE says: the same addresses under two keys are two conversations."""
    if at + 4 > facts[END]:
        return REFUSE + why_short(at + 4, facts), at
    flags, kind = u16(data, at), u16(data, at + 2)
    version = flags & 7
    if version > 1 or (version == 1 and kind != FOR_PPP):
        return REFUSE + OTHER_TUNNEL, at
    start = at
    at += 8 if version == 0 and flags & (CHECKSUM | ROUTING) else 4
    size = (4 if flags & KEYED else 0) + (4 if flags & SEQUENCED else 0)
    size += 4 if version == 1 and flags & ACKNOWLEDGED else 0
    if at + size > facts[END]:
        return REFUSE + why_short(at + size, facts), start
    why = opened(facts, TUNNEL_GRE, tables)
    if why:
        return why, start
    facts[NEXT_MAC] = -1
    # The key of PPTP is the length and a number that differs by direction.
    if flags & KEYED and version == 0:
        facts[NEXT_VNI] = GRE_KEY | u32(data, at)
    at += size
    if version == 1 and flags & SEQUENCED == 0:
        return REFUSE + NON_IP, at
    if version == 0 and flags & ROUTING:
        at = _behind_routes(data, at, facts)
    return _inside(data, at, kind, flags, facts, tables), at + _redirect(data, at, kind, facts)


@rare_kernel
def _behind_routes(data: Bytes, at: int, facts: Words) -> int:
    """Step over source route entries up to the empty one (RFC 1701)."""
    for _ in range(EXTENSIONS_MOST):
        if at + 4 > facts[END]:
            return at
        family, length = u16(data, at), u8(data, at + 3)
        at += 4 + length
        if family == 0 and length == 0:
            return at
    return at


@rare_kernel
def _inside(data: Bytes, at: int, kind: int, flags: int, facts: Words, tables: Bytes) -> int:
    """Say which layer the payload is."""
    if kind == FOR_ERSPAN or kind == FOR_ERSPAN_3:
        if kind == FOR_ERSPAN_3:
            return ERSPAN_3
        return ERSPAN_2 if flags & SEQUENCED else ERSPAN_1
    if kind == FOR_PPP:
        return PPP
    if kind == FOR_WCCP:
        return IPV4
    if ARUBA_FIRST <= kind <= ARUBA_LAST and kind & 15 == 0:
        return WLAN
    return u8(tables, BY_ETHERTYPE + kind)


@rare_kernel
def _redirect(data: Bytes, at: int, kind: int, facts: Words) -> int:
    """Length of WCCP's redirect header: version 2 has one of four bytes, version 1 none, and nothing says which."""
    if kind == FOR_WCCP and at < facts[END] and u8(data, at) >> 4 != 4:
        return 4
    return 0


@rare_kernel
def erspan_1(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Type I has no header of its own: the mirrored frame follows GRE."""
    why = opened(facts, TUNNEL_ERSPAN, tables)
    if why:
        return why, at
    return ETHERNET, at


@rare_kernel
def erspan_2(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 8 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u8(data, at) >> 4 != 1:
        return REFUSE + OTHER_TUNNEL, at
    why = opened(facts, TUNNEL_ERSPAN, tables)
    if why:
        return why, at
    return ETHERNET, at + 8


@rare_kernel
def erspan_3(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Twelve bytes, eight more where the O bit says so; a mirrored frame or a mirrored IP packet."""
    if at + 12 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u8(data, at) >> 4 != 2:
        return REFUSE + OTHER_TUNNEL, at
    why = opened(facts, TUNNEL_ERSPAN, tables)
    if why:
        return why, at
    last = u16(data, at + 10)
    layer = RAW if (last >> 10) & 31 == FRAME_IS_IP else ETHERNET
    return layer, at + (20 if last & 1 else 12)

"""VXLAN and Geneve, and how a tunnel is entered. The rarer ones have files of their own (rare_layers.py)."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24
from ingest.packets.layout import (
    BY_ETHERTYPE,
    BY_TUNNEL,
    CUT_SHORT,
    END,
    ETHERNET,
    NEXT_MAC,
    NEXT_TUNNELS,
    NEXT_VNI,
    NOT_A_TUNNEL,
    ORIGINAL_END,
    REFUSE,
    TOO_DEEP,
    TUNNEL_BITS,
    TUNNEL_GENEVE,
    TUNNEL_VXLAN,
    TUNNELS_KEPT,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

VNI_PRESENT = 0x08


@lean_kernel
def chain(facts: Words, code: int) -> bool:
    """Note a tunnel that tells no network; False when there are too many already."""
    if facts[NEXT_TUNNELS] >> (TUNNEL_BITS * (TUNNELS_KEPT - 1)):
        return False
    facts[NEXT_TUNNELS] = (facts[NEXT_TUNNELS] << TUNNEL_BITS) | code
    return True


@rare_kernel
def opened(facts: Words, code: int, tables: Bytes) -> int:
    """Note a tunnel of a rarer kind; 0, or why it is not opened: nobody asked for it, or there are too many."""
    closed = u8(tables, BY_TUNNEL + code)
    if closed == 0 and not chain(facts, code):
        return REFUSE + TOO_DEEP
    return closed


@lean_kernel
def enter(facts: Words, code: int, vni: int) -> bool:
    """Note a tunnel and its network; False when there are too many already."""
    if not chain(facts, code):
        return False
    facts[NEXT_VNI] = vni
    facts[NEXT_MAC] = -1
    return True


@lean_kernel
def why_short(end: int, facts: Words) -> int:
    """No room for a tunnel's header up to `end`: it was cut off, or never stood in so small a packet."""
    return CUT_SHORT if end <= facts[ORIGINAL_END] else NOT_A_TUNNEL


@lean_kernel
def vxlan(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """VXLAN (RFC 7348). Without the flag that says that a VNI is there, it is other traffic on that port."""
    if at + 8 > facts[END]:
        return REFUSE + why_short(at + 8, facts), at
    if u8(data, at) & VNI_PRESENT == 0:
        return REFUSE + NOT_A_TUNNEL, at
    if not enter(facts, TUNNEL_VXLAN, u24(data, at + 4)):
        return REFUSE + TOO_DEEP, at
    return ETHERNET, at + 8


@lean_kernel
def geneve(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Geneve (RFC 8926), its options skipped; carries Ethernet or IP."""
    if at + 8 > facts[END]:
        return REFUSE + why_short(at + 8, facts), at
    first = u8(data, at)
    if first >> 6 != 0:
        return REFUSE + NOT_A_TUNNEL, at
    if not enter(facts, TUNNEL_GENEVE, u24(data, at + 4)):
        return REFUSE + TOO_DEEP, at
    return u8(tables, BY_ETHERTYPE + u16(data, at + 2)), at + 8 + (first & 0x3F) * 4

"""Tunnels. A new one is a kernel here, a line in decode.py's dispatch and a line in its tables."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24
from ingest.packets.layout import (
    BY_ETHERTYPE,
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
    TUNNEL_GENEVE,
    TUNNEL_VXLAN,
    TUNNELS_KEPT,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel

VNI_PRESENT = 0x08


@lean_kernel
def enter(facts: Words, code: int, vni: int) -> bool:
    """Note a tunnel and its network; False when there are too many already."""
    if facts[NEXT_TUNNELS] >> (4 * (TUNNELS_KEPT - 1)):
        return False
    facts[NEXT_TUNNELS] = (facts[NEXT_TUNNELS] << 4) | code
    facts[NEXT_VNI] = vni
    facts[NEXT_MAC] = -1
    return True


@lean_kernel
def _why_short(at: int, facts: Words) -> int:
    """No room for a tunnel's header: it was cut off, or never stood in so small a packet."""
    return CUT_SHORT if at + 8 <= facts[ORIGINAL_END] else NOT_A_TUNNEL


@lean_kernel
def vxlan(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """VXLAN (RFC 7348). Without the flag that says that a VNI is there, it is other traffic on that port."""
    if at + 8 > facts[END]:
        return REFUSE + _why_short(at, facts), at
    if u8(data, at) & VNI_PRESENT == 0:
        return REFUSE + NOT_A_TUNNEL, at
    if not enter(facts, TUNNEL_VXLAN, u24(data, at + 4)):
        return REFUSE + TOO_DEEP, at
    return ETHERNET, at + 8


@lean_kernel
def geneve(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Geneve (RFC 8926), its options skipped; carries Ethernet or IP."""
    if at + 8 > facts[END]:
        return REFUSE + _why_short(at, facts), at
    first = u8(data, at)
    if first >> 6 != 0:
        return REFUSE + NOT_A_TUNNEL, at
    if not enter(facts, TUNNEL_GENEVE, u24(data, at + 4)):
        return REFUSE + TOO_DEEP, at
    return u8(tables, BY_ETHERTYPE + u16(data, at + 2)), at + 8 + (first & 0x3F) * 4

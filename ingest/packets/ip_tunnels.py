"""IP in IP (RFC 2003, 2473, 4213), EtherIP (RFC 3378), NSH (RFC 8300), VXLAN-GPE, GTP-U (TS 29.281), Teredo (RFC 4380),
802.1ah, flannel's UDP backend; and AH around a packet (RFC 4302).
"""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24, u32
from ingest.packets.layout import (
    BY_ETHERTYPE,
    CUT_SHORT,
    DONE,
    END,
    ETHERNET,
    EXTENSIONS_MOST,
    FAMILY,
    FRAGMENT,
    IPV4,
    IPV6,
    NEXT_MAC,
    NON_IP,
    NOT_A_TUNNEL,
    ORIGINAL_END,
    OTHER_TUNNEL,
    RAW,
    REFUSE,
    TOO_DEEP,
    TUNNEL_4IN6,
    TUNNEL_6IN4,
    TUNNEL_6IN6,
    TUNNEL_BACKBONE,
    TUNNEL_ETHERIP,
    TUNNEL_FLANNEL_UDP,
    TUNNEL_GTP,
    TUNNEL_IPIP,
    TUNNEL_NSH,
    TUNNEL_TEREDO,
    TUNNEL_VXLAN_GPE,
)
from ingest.packets.mpls import is_ipv4, is_ipv6
from ingest.packets.tunnels import enter, opened, why_short
from whowas.arrays import Words
from whowas.kernels import rare_kernel

MPLS_ETHERTYPE = 0x8847
G_PDU = 255
NO_NEXT_HEADER = 59
TEREDO_PREFIX = 0x20010000


@rare_kernel
def inside_4(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    why = opened(facts, TUNNEL_IPIP if facts[FAMILY] == 4 else TUNNEL_4IN6, tables)
    if why:
        return why, at
    facts[NEXT_MAC] = -1
    return IPV4, at


@rare_kernel
def inside_6(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    why = opened(facts, TUNNEL_6IN4 if facts[FAMILY] == 4 else TUNNEL_6IN6, tables)
    if why:
        return why, at
    facts[NEXT_MAC] = -1
    return IPV6, at


@rare_kernel
def etherip(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 2 > facts[END]:
        return REFUSE + why_short(at + 2, facts), at
    if u16(data, at) != 0x3000:
        return REFUSE + OTHER_TUNNEL, at
    why = opened(facts, TUNNEL_ETHERIP, tables)
    if why:
        return why, at
    return ETHERNET, at + 2


@rare_kernel
def backbone(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Provider backbone bridging: a tag with the service's number, then the customer's whole frame."""
    if at + 4 > facts[END]:
        return REFUSE + CUT_SHORT, at
    why = opened(facts, TUNNEL_BACKBONE, tables)
    if why:
        return why, at
    return ETHERNET, at + 4


@rare_kernel
def _next_protocol(number: int, tables: Bytes) -> int:
    """The numbers that NSH and VXLAN-GPE share."""
    if number == 1:
        return IPV4
    if number == 2:
        return IPV6
    if number == 3:
        return ETHERNET
    if number == 4:
        return u8(tables, BY_ETHERTYPE + 0x894F)
    if number == 5:
        return u8(tables, BY_ETHERTYPE + MPLS_ETHERTYPE)
    return REFUSE + NON_IP


@rare_kernel
def nsh(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """A service path's header, its length in words of four bytes."""
    if at + 8 > facts[END]:
        return REFUSE + CUT_SHORT, at
    size = (u16(data, at) & 0x3F) * 4
    if u8(data, at) >> 6 != 0 or size < 8:
        return REFUSE + OTHER_TUNNEL, at
    why = opened(facts, TUNNEL_NSH, tables)
    if why:
        return why, at
    return _next_protocol(u8(data, at + 3), tables), at + size


@rare_kernel
def vxlan_gpe(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """As VXLAN; a flag says that the header's fourth byte tells what follows."""
    if at + 8 > facts[END]:
        return REFUSE + why_short(at + 8, facts), at
    flags = u8(data, at)
    if flags & 0x30 or flags & 0x0C == 0:
        return REFUSE + NOT_A_TUNNEL, at
    vni = u24(data, at + 4) if flags & 8 else -1
    if not enter(facts, TUNNEL_VXLAN_GPE, vni):
        return REFUSE + TOO_DEEP, at
    if flags & 1:
        return REFUSE + NON_IP, at
    # Without the flag it is a frame, as in VXLAN; but some senders forget it.
    bare = is_ipv4(data, at + 8, facts) or is_ipv6(data, at + 8, facts)
    if flags & 4 or (u8(data, at + 3) in (1, 2) and bare):
        return _next_protocol(u8(data, at + 3), tables), at + 8
    return ETHERNET, at + 8


@rare_kernel
def gtp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """GTP-U version 1: of its messages one carries a subscriber's packet, and its length must be the datagram's."""
    if at + 8 > facts[END]:
        return REFUSE + why_short(at + 8, facts), at
    flags, length, start = u8(data, at), u16(data, at + 2), at
    whole = at + 8 + length == facts[ORIGINAL_END] or facts[FRAGMENT] == 1
    if flags >> 4 != 3 or u8(data, at + 1) != G_PDU or not whole:
        return REFUSE + NOT_A_TUNNEL, at
    at += 8
    if flags & 7:
        following = u8(data, at + 3) if at + 4 <= facts[END] and flags & 4 else 0
        at += 4
        for _ in range(EXTENSIONS_MOST):
            if following == 0:
                break
            if at + 1 > facts[END] or u8(data, at) == 0:
                return REFUSE + CUT_SHORT, start
            at += u8(data, at) * 4
            if at > facts[END]:
                return REFUSE + CUT_SHORT, start
            following = u8(data, at - 1)
    why = opened(facts, TUNNEL_GTP, tables)
    if why:
        return why, start
    facts[NEXT_MAC] = -1
    return RAW, at


@rare_kernel
def teredo(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """IPv6 in UDP, behind up to two indications. Relays answer from the port: only what fits to the byte is taken."""
    if at + 4 <= facts[END] and u16(data, at) == 1:
        at += 13 + u8(data, at + 2) + u8(data, at + 3)
    if at + 8 <= facts[END] and u16(data, at) == 0:
        at += 8
    if not is_ipv6(data, at, facts):
        return DONE, at
    length = u16(data, at + 4)
    # A bubble holds nothing, and trailers may follow it (RFC 6081).
    bubble = length == 0 and u8(data, at + 6) == NO_NEXT_HEADER and _has_teredo_end(data, at)
    if not bubble and at + 40 + length != facts[ORIGINAL_END]:
        return DONE, at
    why = opened(facts, TUNNEL_TEREDO, tables)
    if why:
        return why, at
    facts[NEXT_MAC] = -1
    return IPV6, at


@rare_kernel
def _has_teredo_end(data: Bytes, at: int) -> bool:
    """Say whether one of both addresses is of 2001::/32."""
    found: bool = u32(data, at + 8) == TEREDO_PREFIX or u32(data, at + 24) == TEREDO_PREFIX
    return found


@rare_kernel
def flannel_udp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """A bare IP packet in UDP: opened only where it was asked for, and where it is one."""
    if not is_ipv4(data, at, facts) and not is_ipv6(data, at, facts):
        return REFUSE + NOT_A_TUNNEL, at
    why = opened(facts, TUNNEL_FLANNEL_UDP, tables)
    if why:
        return why, at
    facts[NEXT_MAC] = -1
    return RAW, at

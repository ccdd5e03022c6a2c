"""Link layers: what stands before the IP header. Each kernel returns (next layer, its offset).

Sources: IEEE 802.3, 802.1Q, 802.1ad; the tcpdump group's link-layer header types.
"""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24, u32, word
from ingest.packets.layout import (
    BY_ETHERTYPE,
    CUT_SHORT,
    END,
    IPV4,
    IPV6,
    MAC_PAIR,
    MAC_SENDER,
    NEXT_MAC,
    NEXT_VLANS,
    NON_IP,
    NOTES,
    REFUSE,
    VLANS_DROPPED,
    VLANS_KEPT,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

ARPHRD_NETLINK = 824


@lean_kernel
def ethernet(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if at + 14 > facts[END]:
        return REFUSE + CUT_SHORT, at
    facts[NEXT_MAC] = (at << 2) | MAC_PAIR
    return u8(tables, BY_ETHERTYPE + u16(data, at + 12)), at + 14


@lean_kernel
def vlan(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """802.1Q and 802.1ad tags, also several. The first five ids are kept, more are noted."""
    if at + 4 > facts[END]:
        return REFUSE + CUT_SHORT, at
    number = facts[NEXT_VLANS] >> 60
    if number < VLANS_KEPT:
        ids = facts[NEXT_VLANS] & ((1 << 60) - 1)
        facts[NEXT_VLANS] = ids | ((u16(data, at) & 0xFFF) << (12 * number)) | ((number + 1) << 60)
    else:
        facts[NOTES] |= 1 << VLANS_DROPPED
    return u8(tables, BY_ETHERTYPE + u16(data, at + 2)), at + 4


@rare_kernel
def tag(data: Bytes, at: int, size: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Cisco's VN-Tag (802.1BR) and metadata, HSR's sequence numbers: of them the ethertype at the end counts."""
    if at + size > facts[END]:
        return REFUSE + CUT_SHORT, at
    return u8(tables, BY_ETHERTYPE + u16(data, at + size - 2)), at + size


@rare_kernel
def llc(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """802.2: IP comes here only behind a SNAP header (RFC 1042)."""
    if at + 8 > facts[END]:
        return REFUSE + NON_IP, at
    if u24(data, at) != 0xAAAA03 or u24(data, at + 3) != 0 or u16(data, at + 6) < 1536:
        return REFUSE + NON_IP, at
    return u8(tables, BY_ETHERTYPE + u16(data, at + 6)), at + 8


@rare_kernel
def cooked(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """LINUX_SLL: kind, hardware type, address length, address, protocol."""
    if at + 16 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u16(data, at + 2) == ARPHRD_NETLINK:
        return REFUSE + NON_IP, at
    if u16(data, at + 4) == 6:
        facts[NEXT_MAC] = ((at + 6) << 2) | MAC_SENDER
    return u8(tables, BY_ETHERTYPE + u16(data, at + 14)), at + 16


@rare_kernel
def cooked2(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """LINUX_SLL2: protocol, reserved, interface, hardware type, kind, address length, address."""
    if at + 20 > facts[END]:
        return REFUSE + CUT_SHORT, at
    if u16(data, at + 8) == ARPHRD_NETLINK:
        return REFUSE + NON_IP, at
    if u8(data, at + 11) == 6:
        facts[NEXT_MAC] = ((at + 12) << 2) | MAC_SENDER
    return u8(tables, BY_ETHERTYPE + u16(data, at)), at + 20


@lean_kernel
def by_address_family(family: int) -> int:
    if family == 2:
        return IPV4
    # Linux, NetBSD and OpenBSD, FreeBSD, Darwin: each has its own number for IPv6.
    if family == 10 or family == 24 or family == 28 or family == 30:
        return IPV6
    return REFUSE + NON_IP


@rare_kernel
def null(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """NULL: an address family in the byte order of the machine that captured, which nobody wrote down."""
    if at + 4 > facts[END]:
        return REFUSE + CUT_SHORT, at
    family = word(data, at, 0)
    if family > 0xFFFF:
        family = u32(data, at)
    return by_address_family(family), at + 4


@rare_kernel
def loop(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """LOOP: as NULL, in network byte order."""
    if at + 4 > facts[END]:
        return REFUSE + CUT_SHORT, at
    return by_address_family(u32(data, at)), at + 4


@rare_kernel
def raw(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """RAW: the IP header itself says which it is."""
    if at + 1 > facts[END]:
        return REFUSE + CUT_SHORT, at
    version = u8(data, at) >> 4
    if version == 4:
        return IPV4, at
    if version == 6:
        return IPV6, at
    return REFUSE + NON_IP, at

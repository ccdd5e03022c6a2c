"""Link types that a capturing program made up: a header of its own, then the packet."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, half, u8, word
from ingest.packets.layout import BY_LINK, CUT_SHORT, END, LINK_TYPE, NON_IP, ORIGINAL_END, OTHER_TUNNEL, REFUSE
from ingest.packets.link_layer import by_address_family
from whowas.arrays import Words
from whowas.kernels import rare_kernel

NFULA_PAYLOAD = 9
ATTRIBUTES_MOST = 64


@rare_kernel
def nflog(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Linux's netfilter log: a family, then attributes in the byte order of the machine that captured."""
    if at + 8 > facts[END]:
        return REFUSE + CUT_SHORT, at
    layer = by_address_family(u8(data, at))
    if u8(data, at + 1) != 0:
        return REFUSE + NON_IP, at
    at += 4
    # The first attribute is a short one: read in the wrong order it would be longer than 255 bytes.
    big = 1 if half(data, at, 0) > half(data, at, 1) else 0
    for _ in range(ATTRIBUTES_MOST):
        if at + 4 > facts[END]:
            return REFUSE + (CUT_SHORT if at + 4 <= facts[ORIGINAL_END] else NON_IP), at
        size, kind = half(data, at, big), half(data, at + 2, big) & 0x7FFF
        if size < 4:
            return REFUSE + NON_IP, at
        if kind == NFULA_PAYLOAD:
            facts[END] = min(facts[END], at + size)
            facts[ORIGINAL_END] = min(facts[ORIGINAL_END], at + size)
            return layer, at + 4
        at += (size + 3) & ~3
    return REFUSE + NON_IP, at


@rare_kernel
def enc(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """OpenBSD's IPsec device: family in the machine's order, index, flags."""
    if at + 12 > facts[END]:
        return REFUSE + CUT_SHORT, at
    family = word(data, at, 0)
    return by_address_family(family if family <= 0xFFFF else word(data, at, 1)), at + 12


@rare_kernel
def pflog(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """OpenBSD's packet filter log: length without padding, family."""
    if at + 2 > facts[END]:
        return REFUSE + CUT_SHORT, at
    size = u8(data, at)
    return by_address_family(u8(data, at + 1)), at + ((size + 3) & ~3)


@rare_kernel
def _behind(link: int, tables: Bytes) -> int:
    """The layer of a link type that a packet tells; the file's own is what is counted where that is not read."""
    layer = u8(tables, BY_LINK + link)
    return REFUSE + OTHER_TUNNEL if layer == REFUSE + LINK_TYPE else layer


@rare_kernel
def ppi(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Per-packet information: version, flags, length, the link type behind it, little-endian."""
    if at + 8 > facts[END]:
        return REFUSE + CUT_SHORT, at
    size, link = half(data, at + 2, 0), word(data, at + 4, 0)
    if size < 8 or link > 0xFFFF:
        return REFUSE + NON_IP, at
    return _behind(link, tables), at + size


@rare_kernel
def pktap(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Darwin's capture on several interfaces: length, kind, the link type behind it, little-endian."""
    if at + 12 > facts[END]:
        return REFUSE + CUT_SHORT, at
    size, kind, link = word(data, at, 0), word(data, at + 4, 0), word(data, at + 8, 0)
    if size < 12 or kind != 1 or link > 0xFFFF:
        return REFUSE + NON_IP, at
    return _behind(link, tables), at + size

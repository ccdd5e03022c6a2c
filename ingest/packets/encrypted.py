"""Tunnels whose inside is encrypted: recognised and told, never opened."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u24, u32
from ingest.packets.layout import (
    DONE,
    END,
    ORIGINAL_END,
    OTHER_TUNNEL,
    REFUSE,
    TUNNEL_BITS,
    TUNNEL_ESP,
    TUNNEL_WIREGUARD,
    TUNNELS,
    TUNNELS_KEPT,
)
from whowas.arrays import Words
from whowas.kernels import rare_kernel

# Security parameter indexes below 256 are reserved; 0 marks IKE (RFC 3948).
SPI_LEAST = 256


@rare_kernel
def told(facts: Words, code: int) -> None:
    """Put a tunnel that is not opened at the end of the innermost packet's chain."""
    if facts[TUNNELS] >> (TUNNEL_BITS * (TUNNELS_KEPT - 1)) == 0:
        facts[TUNNELS] = (facts[TUNNELS] << TUNNEL_BITS) | code


@rare_kernel
def esp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    told(facts, TUNNEL_ESP)
    return REFUSE + OTHER_TUNNEL, at


@rare_kernel
def esp_udp(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """ESP in UDP; IKE and keepalives go the same way and are what they are."""
    if at + 8 > facts[END] or u32(data, at) < SPI_LEAST:
        return DONE, at
    return esp(data, at, facts, tables)


@rare_kernel
def wireguard(data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """A type of four, three zeros, and a length that belongs to that type (the WireGuard paper, 5.4)."""
    if at + 4 > facts[END] or u24(data, at + 1) != 0:
        return DONE, at
    kind, size = u8(data, at), facts[ORIGINAL_END] - at
    known = (kind == 1 and size == 148) or (kind == 2 and size == 92) or (kind == 3 and size == 64)
    if not known and not (kind == 4 and size >= 32 and size & 15 == 0):
        return DONE, at
    told(facts, TUNNEL_WIREGUARD)
    return REFUSE + OTHER_TUNNEL, at

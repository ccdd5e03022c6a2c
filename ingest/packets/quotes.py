"""The packet that an ICMP error quotes: told on its conversation, never counted as its traffic (RFC 792, 1812, 4443).

Who sends an error may write what he likes into it. It is believed where it went to the sender of what it quotes, and
where that conversation is open; it changes a number and a word there, nothing else.
"""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, bits64, u8, u16, u32
from ingest.packets.conversation import key_of
from ingest.packets.flow_table import ERRORS, ERRORS_MOST, FIRST_ERROR, HASH, STATE, find, mix
from ingest.packets.layout import (
    DST_HI,
    DST_LO,
    DST_PORT,
    END,
    FAMILY,
    HAS_PORTS,
    ICMP,
    MARKING,
    NOTES,
    POINT,
    PROTOCOL,
    QUOTE_AT,
    QUOTES,
    REASONS,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    UNKNOWN_QUOTE,
)
from ingest.packets.network_layer import MAPPED
from ingest.packets.placing import note
from ingest.packets.points import B_LEAVES, WAY_TOLD, add_mark, add_point
from whowas.arrays import Words
from whowas.kernels import rare_kernel

EXTENSIONS_MOST = 8


@rare_kernel
def _quoted_4(data: Bytes, at: int, facts: Words) -> int:
    """Fill ends and protocol of a quoted IPv4 header; return where its ports stand, -1: no header, or none there."""
    header = (u8(data, at) & 15) * 4
    if u8(data, at) >> 4 != 4 or header < 20 or u16(data, at + 6) & 0x1FFF:
        return -1
    facts[SRC_HI] = 0
    facts[SRC_LO] = MAPPED | u32(data, at + 12)
    facts[DST_HI] = 0
    facts[DST_LO] = MAPPED | u32(data, at + 16)
    facts[PROTOCOL] = u8(data, at + 9)
    return at + header


@rare_kernel
def _quoted_6(data: Bytes, at: int, facts: Words) -> int:
    """As _quoted_4, behind a few extension headers."""
    if u8(data, at) >> 4 != 6:
        return -1
    facts[SRC_HI] = bits64(data, at + 8)
    facts[SRC_LO] = bits64(data, at + 16)
    facts[DST_HI] = bits64(data, at + 24)
    facts[DST_LO] = bits64(data, at + 32)
    following = u8(data, at + 6)
    at += 40
    for _ in range(EXTENSIONS_MOST):
        if following != 0 and following != 43 and following != 44 and following != 60:
            facts[PROTOCOL] = following
            return at
        if at + 8 > facts[END] or (following == 44 and u16(data, at + 2) & 0xFFF8):
            return -1
        size = 8 if following == 44 else (u8(data, at + 1) + 1) * 8
        following = u8(data, at)
        at += size
    return -1


@rare_kernel
def _read_quote(data: Bytes, facts: Words) -> bool:
    """Make the facts of an ICMP error those of what it quotes; False where that cannot be, or went to somebody else."""
    at, to_hi, to_lo = facts[QUOTE_AT], facts[DST_HI], facts[DST_LO]
    if at + (20 if facts[FAMILY] == 4 else 40) > facts[END]:
        return False
    ports = _quoted_4(data, at, facts) if facts[FAMILY] == 4 else _quoted_6(data, at, facts)
    if ports < 0 or facts[SRC_HI] != to_hi or facts[SRC_LO] != to_lo:
        return False
    kind = facts[PROTOCOL]
    facts[HAS_PORTS] = 0
    if kind == 6 or kind == 17 or kind == 33 or kind == 132 or kind == 136:
        if ports + 4 > facts[END]:
            return False
        facts[SRC_PORT], facts[DST_PORT], facts[HAS_PORTS] = u16(data, ports), u16(data, ports + 2), 1
    if facts[POINT] & WAY_TOLD:
        # What is quoted went the other way through this interface.
        facts[POINT] ^= B_LEAVES
    return True


@rare_kernel
def tell_error(data: Bytes, facts: Words, key: Words, slots: Words, pool: Words, secret: Words, noted: Words) -> None:
    """Tell an ICMP error, which has been counted as a packet of its own, on the conversation that it is about.

    Overwrites: facts, with those of what is quoted; key.
    """
    row = -1
    if _read_quote(data, facts):
        add_point(facts, key, key_of(facts, key))
        key[HASH] = mix(key, secret)
        row = find(key, key[HASH], slots, pool)
    if row < 0:
        noted[UNKNOWN_QUOTE] += 1
        return
    number = (pool[row, STATE] >> ERRORS) & ERRORS_MOST
    if number == 0:
        pool[row, STATE] |= facts[ICMP] << FIRST_ERROR
    if number < ERRORS_MOST:
        pool[row, STATE] += 1 << ERRORS


@rare_kernel
def remark(
    data: Bytes, facts: Words, sender: int, time: int, row: int, begun: bool, key: Words, pool: Words, cold: Words,
    slots: Words, secret: Words, noted: Words,
) -> None:  # fmt: skip
    """Do what NOTES of a counted packet say: remarks, marks, an ICMP error. Overwrites key, and facts of an error."""
    notes = facts[NOTES]
    if notes & ((1 << REASONS) - 1):
        note(notes, sender, pool[row], noted)
    if (notes >> MARKING) & 1:
        add_mark(facts, sender, time, begun, cold[row])
    if (notes >> QUOTES) & 1:
        tell_error(data, facts, key, slots, pool, secret, noted)

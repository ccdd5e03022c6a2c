"""Community ID v1, seed 0: the key by which Zeek, Suricata and others know the same flow.

Source: github.com/corelight/community-id-spec.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ingest.columns.arrow import strings
from ingest.columns.byte_reads import u32
from ingest.columns.sha1 import begin, mix
from whowas.arrays import Flags, Octets, Words
from whowas.kernels import lean_kernel

# ICMP types that answer each other; what is not here goes one way.
ICMP_ANSWERS = {0: 8, 8: 0, 9: 10, 10: 9, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
ICMPV6_ANSWERS = {
    128: 129, 129: 128, 130: 131, 131: 130, 133: 134, 134: 133, 135: 136, 136: 135, 139: 140, 140: 139,
    144: 145, 145: 144,
}  # fmt: skip
WITH_PORTS = (1, 6, 17, 58, 132)
BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)


NO_ANSWER = -1


def _answers() -> Words:
    """For each protocol (2 rows: ICMP, ICMPv6) and type the type that answers it."""
    answers = np.full((2, 256), NO_ANSWER, dtype=np.int64)
    for row, table in enumerate((ICMP_ANSWERS, ICMPV6_ANSWERS)):
        answers[row, list(table)] = list(table.values())
    return answers


ANSWERS = _answers()
PORTED = np.isin(np.arange(256), WITH_PORTS)


def community_ids(
    src: Octets, dst: Octets, family: Words, protocol: Words, ports: tuple[Words, Words, Flags], icmp: Words
) -> Any:
    """Return the column of ids.

    Args: src, dst: (n, 16) bytes, v4-mapped. family: 4 or 6. ports: of src, of dst, whether there are any.
        icmp: type << 8 | code of the first packet, sent by src; -1 else.
    """
    ends = np.empty((len(src), 6), dtype=np.int64)
    for place, one in enumerate((family, protocol, *ports, icmp)):
        ends[:, place] = one
    out = np.empty((len(src), 30), dtype=np.uint8)
    scratch = np.zeros(64, dtype=np.uint8), np.zeros(5, dtype=np.int64), np.zeros(80, dtype=np.int64)
    _fill(np.ascontiguousarray(src), np.ascontiguousarray(dst), ends, ANSWERS, PORTED, BASE64, *scratch, out)
    return strings(out)


@lean_kernel
def _fill(
    src: Octets,
    dst: Octets,
    ends: Words,
    answers: Words,
    ported: Flags,
    letters: Octets,
    block: Octets,
    state: Words,
    words: Words,
    out: Octets,
) -> None:
    """Fill out (n, 30). Args: ends: (n, 6) family, protocol, ports, whether there are any, ICMP."""
    for row in range(len(out)):
        family, protocol, low, high = ends[row, 0], ends[row, 1] & 0xFF, ends[row, 2], ends[row, 3]
        icmp, one_way = ends[row, 5], False
        if icmp >= 0 and (protocol == 1 or protocol == 58):
            low = (icmp >> 8) & 0xFF
            high = answers[0 if protocol == 1 else 1, low]
            one_way = high == NO_ANSWER
            high = icmp & 0xFF if one_way else high
        with_ports = (ends[row, 4] != 0 or icmp >= 0) and ported[protocol]
        swap = not one_way and _after(src, dst, row, with_ports and low > high)
        if swap:
            low, high = high, low
        skip = 12 if family == 4 else 0
        size = 2
        for i in range(skip, 16):
            block[size + i - skip] = dst[row, i] if swap else src[row, i]
            block[size + 16 - skip + i - skip] = src[row, i] if swap else dst[row, i]
        size += 2 * (16 - skip)
        block[0], block[1], block[size], block[size + 1] = 0, 0, protocol, 0
        size += 2
        if with_ports:
            block[size], block[size + 1] = (low >> 8) & 0xFF, low & 0xFF
            block[size + 2], block[size + 3] = (high >> 8) & 0xFF, high & 0xFF
            size += 4
        _digest(block, size, state, words)
        _spell(state, letters, family == 4 or family == 6, out, row)


@lean_kernel
def _after(src: Octets, dst: Octets, row: int, if_same: bool) -> bool:
    """Say whether src sorts behind dst, by bytes; if_same: what is said of equal ones."""
    for i in range(16):
        if src[row, i] != dst[row, i]:
            return bool(src[row, i] > dst[row, i])
    return if_same


@lean_kernel
def _digest(block: Octets, size: int, state: Words, words: Words) -> None:
    """Put the digest of the first bytes of a block, 55 at most, into the state."""
    block[size] = 0x80
    for i in range(size + 1, 64):
        block[i] = 0
    begin(state)
    for i in range(15):
        words[i] = u32(block, 4 * i)
    words[15] = 8 * size
    mix(state, words)


@lean_kernel
def _spell(state: Words, letters: Octets, told: bool, out: Octets, row: int) -> None:
    """Write `1:` and the base64 of the 20 bytes of the state into out[row]; of zeros if nothing is to be told."""
    out[row, 0], out[row, 1], out[row, 29] = ord("1"), ord(":"), ord("=")
    for i in range(27):
        # Six bits from bit 6 i on, of 160; behind the last word there are zeros.
        place, left = (6 * i) >> 5, (6 * i) & 31
        both = (state[place] << 32) | (state[place + 1] if place < 4 else 0)
        out[row, 2 + i] = letters[(both >> (58 - left)) & 63] if told else letters[0]

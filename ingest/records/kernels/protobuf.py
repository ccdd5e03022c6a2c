"""Kernels: protobuf messages, and where one ends and the next begins. Compiled, bounds-checked.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import numpy as np

from ingest.columns.byte_reads import Bytes, u8
from ingest.records.kernels.json import TEXT
from ingest.records.kernels.json import _spot as spot
from whowas.arrays import Words
from whowas.kernels import kernel, lean_kernel

FIELDS = 128
NESTING = 8
ABSENT, WHOLE, PIECE = 0, 1, 2  # of a field: nothing, a number, a spot


@lean_kernel
def _varint(data: Bytes, at: int, end: int, out: Words) -> int:
    """Put a varint into out[0]; place behind it, -1 where it is cut or too long."""
    value, shift = 0, 0
    while at < end and shift < 70:
        byte = u8(data, at)
        at += 1
        if shift < 64:
            value |= (byte & 127) << shift
        if byte < 128:
            out[0] = value
            return at
        shift += 7
    return -1


@lean_kernel
def _fixed(data: Bytes, at: int, size: int) -> int:
    """Little-endian number."""
    value = 0
    for place in range(size):
        value |= u8(data, at + place) << (8 * place)
    return value


@kernel
def frames(data: Bytes, starts: Words, ends: Words, counts: Words, broken: Bytes, bounds: Words, fill: int) -> None:
    """Find the messages in each value, each behind its length as a varint.

    Fills counts (n,) and broken (n,): empty, or what follows the messages is no whole one; with `fill`, bounds (m, 2).
    """
    out = np.zeros(1, dtype=np.int64)
    total = 0
    for row in range(len(starts)):
        at, end, count = starts[row], ends[row], 0
        broken[row] = at == end
        while at < end:
            first = _varint(data, at, end, out)
            if first < 0 or out[0] < 0 or out[0] > end - first:
                broken[row] = 1
                break
            at = first + out[0]
            if fill:
                bounds[total, 0], bounds[total, 1] = first, at
            total += 1
            count += 1
        counts[row] = count


@lean_kernel
def _message(
    data: Bytes, at: int, end: int, nodes: Words, row: int, values: Words, seen: Bytes, stack: Words, out: Words
) -> bool:
    """Read one message into a row. stack (NESTING, 2): node, end."""
    depth, node = 0, 0
    stack[0, 0], stack[0, 1] = 0, end
    while True:
        while at == stack[depth, 1]:
            if depth == 0:
                return True
            depth -= 1
        node, end = stack[depth, 0], stack[depth, 1]
        at = _varint(data, at, end, out)
        if at < 0:
            return False
        field, wire = out[0] >> 3, out[0] & 7
        if field <= 0:
            return False
        leaf, inner = -1, -1
        if field < FIELDS:
            leaf, inner = nodes[node, field, 0], nodes[node, field, 1]
        if wire == 0:
            at = _varint(data, at, end, out)
            if at < 0:
                return False
        elif wire == 2:
            at = _varint(data, at, end, out)
            size = out[0]
            if at < 0 or size < 0 or size > end - at:
                return False
            if inner >= 0:
                depth += 1
                if depth == NESTING:
                    return False
                stack[depth, 0], stack[depth, 1] = inner, at + size
                continue
            out[0] = spot(at, at + size, TEXT)
            at += size
        elif wire == 1 or wire == 5:
            size = 8 if wire == 1 else 4
            if size > end - at:
                return False
            out[0] = _fixed(data, at, size)
            at += size
        else:
            return False
        if leaf >= 0:
            values[row, leaf] = out[0]
            seen[row, leaf] = PIECE if wire == 2 else WHOLE


@kernel
def scan_proto(data: Bytes, starts: Words, ends: Words, nodes: Words, values: Words, seen: Bytes, whole: Bytes) -> None:
    """Fill values (n, leaves), seen (n, leaves) and whole (n,) of the messages data[starts:ends].

    Args: nodes (nodes, FIELDS, 2): leaf and node of each field number; -1 = none.
    """
    stack, out = np.zeros((NESTING, 2), dtype=np.int64), np.zeros(1, dtype=np.int64)
    for row in range(len(starts)):
        whole[row] = _message(data, starts[row], ends[row], nodes, row, values, seen, stack, out)


@kernel
def piece_addresses(
    data: Bytes, values: Words, seen: Bytes, column: int, octets: Bytes, families: Bytes, state: Bytes
) -> None:
    """Addresses of 4 or 16 bytes in network order; of anything else, BAD (2). Empty or absent: NOTHING (1)."""
    for row in range(len(values)):
        families[row], state[row] = 0, 1
        if seen[row, column] == ABSENT:
            continue
        packed = values[row, column]
        start, size = packed >> 31, (packed >> 3) & ((1 << 28) - 1)
        if size == 0:
            continue
        state[row] = 2
        if seen[row, column] == PIECE and (size == 4 or size == 16):
            for place in range(size):
                octets[row, 16 - size + place] = data[start + place]
            mapped = size == 4
            if size == 4:
                octets[row, 10], octets[row, 11] = 255, 255
            elif octets[row, 10] == 255 and octets[row, 11] == 255:
                mapped = True
                for place in range(10):
                    mapped = mapped and octets[row, place] == 0
            families[row], state[row] = 4 if mapped else 6, 0

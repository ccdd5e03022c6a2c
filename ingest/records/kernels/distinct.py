"""Finds the distinct texts of a column by hashing."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8
from ingest.records.kernels.json import ABSENT
from ingest.records.kernels.spots import KIND, spot_size, spot_start
from whowas.arrays import Words
from whowas.kernels import kernel, lean_kernel


@kernel
def distinct_spans(
    data: Bytes, spots: Words, column: int, secret: int, table: Words, numbers: Words, firsts: Words
) -> int:
    """Number each row's bytes: equal bytes, equal number, -1 where absent. Returns: how many there are.

    Args: table: a power of two, at least twice the rows. firsts: filled with the first row of each.
    """
    mask, count = len(table) - 1, 0
    table[:] = -1
    for row in range(len(spots)):
        spot = spots[row, column]
        if spot & KIND == ABSENT:
            numbers[row] = -1
            continue
        at, size = spot_start(spot), spot_size(spot)
        if row > 0 and numbers[row - 1] >= 0 and _equal(data, spots[row - 1, column], at, size):
            numbers[row] = numbers[row - 1]
            continue
        mixed = secret
        for place in range(at, at + size):
            mixed = (mixed ^ u8(data, place)) * 0x2127599BF4325C37
            mixed ^= mixed >> 29
        slot = (mixed ^ (mixed >> 32)) & mask
        while table[slot] >= 0 and not _equal(data, spots[firsts[table[slot]], column], at, size):
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot], firsts[count] = count, row
            count += 1
        numbers[row] = table[slot]
    return count


@lean_kernel
def _equal(data: Bytes, spot: int, at: int, size: int) -> bool:
    if spot_size(spot) != size:
        return False
    first = spot_start(spot)
    for place in range(size):  # noqa: SIM110 - a kernel has no generators
        if data[first + place] != data[at + place]:
            return False
    return True


@kernel
def distinct_pairs(first: Words, second: Words, secret: int, table: Words, numbers: Words, firsts: Words) -> int:
    """Number each row's pair of numbers: equal pairs, equal number. firsts: first row of each. Returns: the count."""
    mask, count = len(table) - 1, 0
    table[:] = -1
    for row in range(len(first)):
        mixed = (first[row] ^ secret) * 0x2127599BF4325C37
        mixed = (mixed ^ (mixed >> 31) ^ second[row]) * 0x1B03738712FAD5C9
        slot = (mixed ^ (mixed >> 32)) & mask
        while table[slot] >= 0:
            other = firsts[table[slot]]
            if first[other] == first[row] and second[other] == second[row]:
                break
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = count
            firsts[count] = row
            count += 1
        numbers[row] = table[slot]
    return count

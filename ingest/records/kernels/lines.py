"""Kernels: the wanted columns of lines that a character separates, and where JSON objects within a list stand."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes
from ingest.records.kernels.json import TEXT
from ingest.records.kernels.json import _spot as spot
from whowas.arrays import Words
from whowas.kernels import kernel

DEPTH, IN_TEXT, ESCAPED, BEGIN = 0, 1, 2, 3


@kernel
def split_lines(
    data: Bytes, starts: Words, ends: Words, separator: int, leaves: Words, spots: Words, counts: Words
) -> None:
    """Fill spots (n, k) of the wanted columns and counts (n,) of all columns of data[starts:ends].

    Args: leaves: for each column its place in spots, -1 = unwanted. Spaces around a field are not part of it.
    """
    for row in range(len(starts)):
        at, end, column = starts[row], ends[row], 0
        while True:
            first = at
            while at < end and data[at] != separator:
                at += 1
            if column < len(leaves) and leaves[column] >= 0:
                last = at
                while first < last and data[first] == 32:
                    first += 1
                while last > first and data[last - 1] == 32:
                    last -= 1
                spots[row, leaves[column]] = spot(first, last, TEXT)
            column += 1
            if at >= end:
                break
            at += 1
        counts[row] = column


@kernel
def frame_objects(data: Bytes, start: int, end: int, base: int, state: Words, bounds: Words) -> int:
    """Fill bounds (m, 2) with the objects that stand at depth `base`, from `start` on. Returns: how many.

    state (4,): depth, within a text, after a backslash, begin of an open object (-1 = none); kept between calls.
    """
    count = 0
    for at in range(start, end):
        c = data[at]
        if state[IN_TEXT]:
            if state[ESCAPED]:
                state[ESCAPED] = 0
            elif c == 92:
                state[ESCAPED] = 1
            elif c == 34:
                state[IN_TEXT] = 0
        elif c == 34:
            state[IN_TEXT] = 1
        elif c == 123 or c == 91:
            if c == 123 and state[DEPTH] == base:
                state[BEGIN] = at
            state[DEPTH] += 1
        elif c == 125 or c == 93:
            state[DEPTH] -= 1
            if state[DEPTH] < 0:
                state[DEPTH] = 0
            if c == 125 and state[DEPTH] == base and state[BEGIN] >= 0:
                bounds[count, 0], bounds[count, 1] = state[BEGIN], at + 1
                count += 1
                state[BEGIN] = -1
    return count

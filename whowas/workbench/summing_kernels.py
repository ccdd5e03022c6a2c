"""Kernels of roll-ups: rows of codes get numbers, and what is counted is added up by number."""

from __future__ import annotations

from whowas.arrays import Flags, Indices, Words
from whowas.kernels import kernel, lean_kernel

MOST = 9_223_372_036_854_775_807


@lean_kernel
def _hash(codes: Indices, low: int, high: int) -> int:
    mixed = 88172645463325252 + high - low
    for i in range(low, high):
        mixed = (mixed ^ codes[i]) * -7046029254386353131
        mixed ^= mixed >> 29 & 0x7FFFFFFFF
    return mixed


@lean_kernel
def _same(codes: Indices, low: int, high: int, kept: Indices, begin: int, end: int) -> bool:
    if high - low != end - begin:
        return False
    for i in range(high - low):  # noqa: SIM110 - a kernel
        if codes[low + i] != kept[begin + i]:
            return False
    return True


@kernel
def number(
    codes: Indices, offsets: Words, kept: Indices, starts: Words, table: Indices, known: int, found: Indices
) -> int:
    """Give lists of codes their numbers: equal lists have one, new ones the next. Returns: how many are known now.

    List i is codes[offsets[i]:offsets[i + 1]]. kept, starts: the known lists in the same form, with room for all.
    table: of numbers, -1 where empty, a power of two, at most half full after all.
    """
    mask = len(table) - 1
    for i in range(len(found)):
        low, high = offsets[i], offsets[i + 1]
        at = _hash(codes, low, high) & mask
        while table[at] >= 0:
            one = table[at]
            if _same(codes, low, high, kept, starts[one], starts[one + 1]):
                break
            at = (at + 1) & mask
        if table[at] < 0:
            begin = starts[known]
            for j in range(high - low):
                kept[begin + j] = codes[low + j]
            table[at] = known
            known += 1
            starts[known] = begin + high - low
        found[i] = table[at]
    return known


@kernel
def refill(kept: Indices, starts: Words, table: Indices, known: int) -> None:
    """Put known lists into a larger table that is empty."""
    mask = len(table) - 1
    for one in range(known):
        at = _hash(kept, starts[one], starts[one + 1]) & mask
        while table[at] >= 0:
            at = (at + 1) & mask
        table[at] = one


@lean_kernel
def _sum(left: int, right: int) -> int:
    """A sum that stays at the end of the numbers where it would pass it."""
    if right > 0 and left > MOST - right:
        return MOST
    if right < 0 and left < -MOST - right:
        return -MOST
    return left + right


@kernel
def both(left: Words, right: Words, found: Words) -> None:
    """Add what was counted of two directions."""
    for i in range(len(found)):
        found[i] = _sum(left[i], right[i])


@kernel
def add(at: Indices, values: Words, sums: Words) -> None:
    """Add values where their numbers say."""
    for i in range(len(at)):
        sums[at[i]] = _sum(sums[at[i]], values[i])


@kernel
def bounds(at: Indices, low: Words, high: Words, there: Flags, first: Words, last: Words) -> None:
    """Widen first and last, by number, with those that are there."""
    for i in range(len(at)):
        if there[i]:
            first[at[i]] = min(first[at[i]], low[i])
            last[at[i]] = max(last[at[i]], high[i])

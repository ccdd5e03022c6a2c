"""Ends conversations that were quiet, and writes out what a full table must give up."""

from __future__ import annotations

import numpy as np

from ingest.packets.conversation import (
    END_FULL,
    ENDS_NOT,
    end_of_closed,
    overdue,
)
from ingest.packets.flow_table import (
    CLOCK,
    CLOSED,
    FIRST,
    FREE,
    HAND,
    HASH,
    LAST,
    OUT,
    REASON,
    STATE,
    TOP,
    free_row,
    leave_slot,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

VICTIMS_LOOKED_AT = 8


@rare_kernel
def write_finished(
    row: int, reason: int, pool: Words, cold: Words, numbers: Words, out: Words, out_cold: Words
) -> None:
    """Copy a row to the finished ones."""
    at = numbers[OUT]
    for i in range(pool.shape[1]):
        out[at, i] = pool[row, i]
    for i in range(cold.shape[1]):
        out_cold[at, i] = cold[row, i]
    out_cold[at, REASON] = reason
    numbers[OUT] += 1


@lean_kernel
def sweep_expired(
    looks: int,
    clock: int,
    pool: Words,
    cold: Words,
    slots: Words,
    numbers: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
) -> None:
    """Look at the next rows of the pool, as many as packets came: constant cost a packet."""
    hand, top = numbers[HAND], numbers[TOP]
    for _ in range(min(looks, top)):
        if hand >= top:
            hand = np.int64(0)
        row = pool[hand]
        if row[FIRST] != FREE:
            reason = overdue(row, clock, spans)
            if reason != ENDS_NOT:
                write_finished(hand, reason, pool, cold, numbers, out, out_cold)
                leave_slot(row[HASH] >> 32, hand, slots)
                free_row(hand, numbers, pool)
        hand += 1
    numbers[HAND] = hand


@rare_kernel
def make_room(pool: Words, cold: Words, slots: Words, numbers: Words, out: Words, out_cold: Words) -> None:
    """Write out one of a full table: of the next few rows, the one that was quiet longest."""
    start = numbers[HAND] % len(pool)
    victim = start
    for i in range(min(VICTIMS_LOOKED_AT, len(pool))):
        row = (start + i) % len(pool)
        if pool[row, LAST] < pool[victim, LAST]:
            victim = row
    numbers[HAND] = start + 1
    reason = end_of_closed(pool[victim, STATE]) if pool[victim, STATE] & CLOSED else END_FULL
    write_finished(victim, reason, pool, cold, numbers, out, out_cold)
    leave_slot(pool[victim, HASH] >> 32, victim, slots)
    free_row(victim, numbers, pool)


@lean_kernel
def group_clock(packets: Words, start: int, number: int, numbers: Words) -> int:
    """Return the earlier of this group's and the last group's median of three packet times (first, middle, last)."""
    a, b, c = packets[start, 3], packets[start + number // 2, 3], packets[start + number - 1, 3]
    low, high = min(a, b), max(a, b)
    middle = max(low, min(high, c))
    if numbers[CLOCK] < 0:
        numbers[CLOCK] = middle
    before = numbers[CLOCK]
    numbers[CLOCK] = middle
    clock: int = min(before, middle)
    return clock

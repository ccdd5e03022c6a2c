"""Kernels of sliding timespans: events of many groups in one array, each group's part in order of time.

An event is a row of numbers: see detect.judge.event_columns. A group's part begins at `offsets[g]`, has `sizes[g]`
events and room for `rooms[g]`. Windows are the stretches of one timespan, both ends counted, that begin at an event of
the group: a condition that only grows with more events holds for some window iff it holds for one of these.
"""

from __future__ import annotations

import numpy as np

from detect.judge.event_columns import BITS, MARK, TIME, VALUE
from detect.judge.group_kernels import first_at
from whowas.arrays import Words
from whowas.kernels import kernel, lean_kernel

EVENT_COUNT, VALUE_COUNT, TEMPORAL, TEMPORAL_ORDERED = 0, 1, 2, 3
LT, LTE, GT, GTE, EQ, NEQ = 0, 1, 2, 3, 4, 5
# What a rule consists of, as an array. RULES: how many it correlates.
KIND, OPERATOR, COUNT, TIMESPAN, RULES = 0, 1, 2, 3, 4
# Columns of the table of _neighbours.
STAMP, HASH, PLACE = 0, 1, 2


@lean_kernel
def _holds(operator: int, found: int, count: int) -> bool:
    if operator == LT:
        return found < count
    if operator == LTE:
        return found <= count
    if operator == GT:
        return found > count
    if operator == GTE:
        return found >= count
    if operator == EQ:
        return found == count
    return found != count


@kernel
def _neighbours(events: Words, low: int, high: int, before: Words, after: Words, table: Words, stamp: int) -> None:
    """For each event the last before and the first after it of the same value, as places; -1 and `high` if none.

    table: (power of two, 3): stamp, value, place. What bears another stamp is empty.
    """
    mask = 1
    while mask < 2 * (high - low):
        mask *= 2
    mask -= 1
    for i in range(low, high):
        value = events[i, VALUE]
        at = (value ^ (value >> 32)) & mask
        while table[at, STAMP] == stamp and table[at, HASH] != value:
            at = (at + 1) & mask
        before[i - low] = -1
        after[i - low] = high
        if table[at, STAMP] == stamp:
            before[i - low] = table[at, PLACE]
            after[table[at, PLACE] - low] = i
        table[at, STAMP] = stamp
        table[at, HASH] = value
        table[at, PLACE] = i


@kernel
def _completed(events: Words, low: int, high: int, rules: int, done: Words, following: Words) -> None:
    """For each event the earliest time by which all rules matched in order from it on; equal times are in order."""
    never = np.int64(2**62)
    for k in range(rules):
        following[k] = never
    i = high - 1
    while i >= low:
        first, bits = i, events[i, BITS]
        while first > low and events[first - 1, TIME] == events[i, TIME]:
            first -= 1
            bits |= events[first, BITS]
        for k in range(rules - 1, -1, -1):
            if bits & (1 << k):
                following[k] = events[i, TIME] if k == rules - 1 else following[k + 1]
        for at in range(first, i + 1):
            done[at - low] = following[0]
        i = first - 1


@lean_kernel
def _enters(kind: int, events: Words, at: int, begin: int, low: int, rules: int, scratch: Words) -> int:
    """Return by how much the measure of a window that begins at `begin` grows when the event at `at` enters it."""
    if kind == EVENT_COUNT:
        return 1
    if kind == VALUE_COUNT:
        return 1 if scratch[0, at - low] < begin else 0
    grown = 0
    if kind == TEMPORAL:
        for r in range(rules):
            if events[at, BITS] & (1 << r):
                scratch[0, r] += 1
                if scratch[0, r] == 1:
                    grown += 1
    return grown


@lean_kernel
def _leaves(kind: int, events: Words, at: int, end: int, rules: int, scratch: Words, low: int) -> int:
    """Return by how much the measure shrinks when the window, which ends before `end`, begins behind `at`."""
    if kind == EVENT_COUNT:
        return 1
    if kind == VALUE_COUNT:
        return 1 if scratch[1, at - low] >= end else 0
    shrunk = 0
    if kind == TEMPORAL:
        for r in range(rules):
            if events[at, BITS] & (1 << r):
                scratch[0, r] -= 1
                if scratch[0, r] == 0:
                    shrunk += 1
    return shrunk


@lean_kernel
def _satisfied(rule: Words, measure: int, done: int, end_us: int) -> bool:
    """Say whether a window that ends at `end_us` fulfils the rule. done: when all rules matched in order."""
    if rule[KIND] == TEMPORAL_ORDERED:
        return bool(done <= end_us)
    if rule[KIND] == TEMPORAL:
        return bool(measure == rule[RULES])
    return bool(_holds(rule[OPERATOR], measure, rule[COUNT]))


@kernel
def _slide(
    events: Words, begin: int, low: int, high: int, to: int, rule: Words, scratch: Words, found: Words, total: int
) -> int:
    """Move a window over events low..high of a group that begins at `begin`; see evaluate. Returns: how many found."""
    kind, timespan, rules = rule[KIND], rule[TIMESPAN], rule[RULES]
    i, j, measure, marked = low, low, 0, low
    while i < high and events[i, TIME] <= to:
        end_us = events[i, TIME] + timespan
        while j < high and events[j, TIME] <= end_us:
            measure += _enters(kind, events, j, i, low, rules, scratch)
            j += 1
        # Of events of one time the first begins the window of them all.
        if i == begin or events[i - 1, TIME] != events[i, TIME]:
            done = scratch[0, i - low] if kind == TEMPORAL_ORDERED else 0
            if _satisfied(rule, measure, done, end_us):
                for at in range(max(i, marked), j):
                    if events[at, MARK] == 0:
                        events[at, MARK] = 1
                        found[total] = at
                        total += 1
                marked = max(marked, j)
        measure -= _leaves(kind, events, i, j, rules, scratch, low)
        i += 1
    return total


@kernel
def evaluate(
    events: Words,
    offsets: Words,
    sizes: Words,
    groups: Words,
    froms: Words,
    tos: Words,
    rule: Words,
    scratch: Words,
    table: Words,
    found: Words,
) -> int:
    """Look at the windows that begin at froms[k]..tos[k] in each group; mark and list the events they count.

    rule: kind, operator, count, timespan, rules. scratch: (2, the largest group). table: see _neighbours, zeros at
    first. found: takes the places of events that were not marked before. Returns: how many.
    """
    kind, rules = rule[KIND], rule[RULES]
    total = 0
    for k in range(len(groups)):
        begin = offsets[groups[k]]
        end = begin + sizes[groups[k]]
        low = first_at(events, begin, end, froms[k])
        high = first_at(events, low, end, tos[k] + rule[TIMESPAN] + 1)
        # Too few events make no window of many.
        if kind in (EVENT_COUNT, VALUE_COUNT) and rule[OPERATOR] == GTE and high - low < rule[COUNT]:
            continue
        if kind == VALUE_COUNT:
            _neighbours(events, low, high, scratch[0], scratch[1], table, k + 1)
        elif kind == TEMPORAL_ORDERED:
            _completed(events, low, high, rules, scratch[0], scratch[1])
        elif kind == TEMPORAL:
            scratch[0, :rules] = 0
        total = _slide(events, begin, low, high, tos[k], rule, scratch, found, total)
    return total

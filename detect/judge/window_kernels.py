"""Kernels of sliding timespans: events of many groups in one array, each group's part in order of time.

An event is a row of eight numbers: see the columns below. A group's part begins at `offsets[g]`, has `sizes[g]` events
and room for `rooms[g]`. Windows are the stretches of one timespan, both ends counted, that begin at an event of the
group: whatever holds for some stretch of that length and can only become truer with more events holds for one of these.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whowas.kernels import kernel, lean_kernel

Words = npt.NDArray[np.int64]

# Columns of an event: start time, hash of what is counted, one bit a rule that it matches, whether it was counted,
# the flow's id in two, where its row is, the key of its group.
TIME, VALUE, BITS, MARK, HIGH, LOW, REF, KEY = 0, 1, 2, 3, 4, 5, 6, 7
WIDTH = 8
EVENT_COUNT, VALUE_COUNT, TEMPORAL, TEMPORAL_ORDERED = 0, 1, 2, 3
LT, LTE, GT, GTE, EQ, NEQ = 0, 1, 2, 3, 4, 5


@lean_kernel
def _before(left: Words, right: Words) -> bool:
    """Whether one event comes before another: by time, then by id."""
    if left[0] != right[0]:
        return bool(left[0] < right[0])
    if left[4] != right[4]:
        return bool(left[4] < right[4])
    return bool(left[5] < right[5])


@lean_kernel
def _first_at(events: Words, low: int, high: int, at: int) -> int:
    """Return the first place in [low, high) whose time is `at` or later."""
    while low < high:
        middle = (low + high) // 2
        if events[middle, 0] < at:
            low = middle + 1
        else:
            high = middle
    return low


@lean_kernel
def _slot(key: int, keys: Words, numbers: Words) -> int:
    """Return the place of a key in a table, or the empty one (number -1) where it would stand."""
    mask = len(keys) - 1
    # Keys are hashes: any of their bits will do.
    at = (key ^ (key >> 32)) & mask
    while numbers[at] >= 0 and keys[at] != key:
        at = (at + 1) & mask
    return at


@kernel
def number(wanted: Words, keys: Words, numbers: Words, known: int, most: int, found: Words) -> int:
    """Give keys their numbers, new ones from `known` on, below `most`; else -1. Returns: how many are known now.

    keys, numbers: a table, a power of two, at most half full after all of `wanted`; numbers are -1 where it is empty.
    """
    for i in range(len(wanted)):
        at = _slot(wanted[i], keys, numbers)
        if numbers[at] < 0 and known < most:
            keys[at] = wanted[i]
            numbers[at] = known
            known += 1
        found[i] = numbers[at]
    return known


@kernel
def by_group(groups: Words, local: Words, order: Words, touched: Words, begins: Words) -> int:
    """Sort rows by group, rows of one group as they stand. Rows of group -1 are left out.

    local: zeros, one a group; zeros again afterwards. Fills order (rows), touched (groups) and begins (one more).
    Returns: how many groups are touched.
    """
    count = 0
    for i in range(len(groups)):
        group = groups[i]
        if group < 0:
            continue
        if local[group] == 0:
            touched[count] = group
            begins[count + 1] = 0
            count += 1
            local[group] = count
        begins[local[group]] += 1
    begins[0] = 0
    for k in range(count):
        begins[k + 1] += begins[k]
    for i in range(len(groups) - 1, -1, -1):
        group = groups[i]
        if group >= 0:
            place = local[group]
            begins[place] -= 1
            order[begins[place]] = i
    # Each begin now is its own group's: one place too far right.
    for k in range(count):
        begins[k] = begins[k + 1]
        local[touched[k]] = 0
    return count


@kernel
def move(events: Words, offsets: Words, sizes: Words, groups: Words, places: Words) -> None:
    """Copy the parts of groups to new places of the same array."""
    for k in range(len(groups)):
        group, to = groups[k], places[k]
        source = offsets[group]
        for i in range(sizes[group]):
            for c in range(8):
                events[to + i, c] = events[source + i, c]
        offsets[group] = to


@kernel
def repack(events: Words, offsets: Words, sizes: Words, rooms: Words, cut: int, into: Words) -> int:
    """Copy what is at or behind `cut` into another array, with half as much room to spare. Returns: what is used."""
    used = 0
    for group in range(len(offsets)):
        low, high = offsets[group], offsets[group] + sizes[group]
        low = _first_at(events, low, high, cut)
        offsets[group] = used
        sizes[group] = high - low
        rooms[group] = sizes[group] + sizes[group] // 2
        for i in range(sizes[group]):
            for c in range(8):
                into[used + i, c] = events[low + i, c]
        used += rooms[group]
    return used


@kernel
def behind(events: Words, offsets: Words, sizes: Words, cut: int) -> int:
    """Return how many events are at or behind `cut`."""
    found = 0
    for group in range(len(offsets)):
        high = offsets[group] + sizes[group]
        found += high - _first_at(events, offsets[group], high, cut)
    return found


@kernel
def merge(events: Words, offsets: Words, sizes: Words, groups: Words, begins: Words, new: Words) -> None:
    """Put new events into their groups' parts, from behind. begins: (groups + 1,) into new, which is in order."""
    for k in range(len(groups)):
        group = groups[k]
        old = offsets[group] + sizes[group] - 1
        fresh = begins[k + 1] - 1
        to = old + begins[k + 1] - begins[k]
        sizes[group] += begins[k + 1] - begins[k]
        while fresh >= begins[k]:
            if old >= offsets[group] and _before(new[fresh], events[old]):
                for c in range(8):
                    events[to, c] = events[old, c]
                old -= 1
            else:
                for c in range(8):
                    events[to, c] = new[fresh, c]
                fresh -= 1
            to -= 1


@lean_kernel
def _holds(operator: int, found: int, count: int) -> bool:
    if operator == 0:
        return found < count
    if operator == 1:
        return found <= count
    if operator == 2:
        return found > count
    if operator == 3:
        return found >= count
    if operator == 4:
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
        value = events[i, 1]
        at = (value ^ (value >> 32)) & mask
        while table[at, 0] == stamp and table[at, 1] != value:
            at = (at + 1) & mask
        before[i - low] = -1
        after[i - low] = high
        if table[at, 0] == stamp:
            before[i - low] = table[at, 2]
            after[table[at, 2] - low] = i
        table[at, 0] = stamp
        table[at, 1] = value
        table[at, 2] = i


@kernel
def _completed(events: Words, low: int, high: int, rules: int, done: Words, following: Words) -> None:
    """For each event the earliest time by which all rules matched in order from it on; equal times are in order."""
    never = np.int64(2**62)
    for k in range(rules):
        following[k] = never
    i = high - 1
    while i >= low:
        first, bits = i, events[i, 2]
        while first > low and events[first - 1, 0] == events[i, 0]:
            first -= 1
            bits |= events[first, 2]
        for k in range(rules - 1, -1, -1):
            if bits & (1 << k):
                following[k] = events[i, 0] if k == rules - 1 else following[k + 1]
        for at in range(first, i + 1):
            done[at - low] = following[0]
        i = first - 1


@lean_kernel
def _enters(kind: int, events: Words, at: int, begin: int, low: int, rules: int, scratch: Words) -> int:
    """Return by how much the measure of a window that begins at `begin` grows when the event at `at` enters it."""
    if kind == 0:
        return 1
    if kind == 1:
        return 1 if scratch[0, at - low] < begin else 0
    grown = 0
    if kind == 2:
        for r in range(rules):
            if events[at, 2] & (1 << r):
                scratch[0, r] += 1
                if scratch[0, r] == 1:
                    grown += 1
    return grown


@lean_kernel
def _leaves(kind: int, events: Words, at: int, end: int, rules: int, scratch: Words, low: int) -> int:
    """Return by how much the measure shrinks when the window, which ends before `end`, begins behind `at`."""
    if kind == 0:
        return 1
    if kind == 1:
        return 1 if scratch[1, at - low] >= end else 0
    shrunk = 0
    if kind == 2:
        for r in range(rules):
            if events[at, 2] & (1 << r):
                scratch[0, r] -= 1
                if scratch[0, r] == 0:
                    shrunk += 1
    return shrunk


@lean_kernel
def _satisfied(rule: Words, measure: int, done: int, end_us: int) -> bool:
    """Say whether a window that ends at `end_us` fulfils the rule. done: when all rules matched in order."""
    if rule[0] == 3:
        return bool(done <= end_us)
    if rule[0] == 2:
        return bool(measure == rule[4])
    return bool(_holds(rule[1], measure, rule[2]))


@kernel
def _slide(
    events: Words, begin: int, low: int, high: int, to: int, rule: Words, scratch: Words, found: Words, total: int
) -> int:
    """Move a window over events low..high of a group that begins at `begin`; see evaluate. Returns: how many found."""
    kind, timespan, rules = rule[0], rule[3], rule[4]
    i, j, measure, marked = low, low, 0, low
    while i < high and events[i, 0] <= to:
        end_us = events[i, 0] + timespan
        while j < high and events[j, 0] <= end_us:
            measure += _enters(kind, events, j, i, low, rules, scratch)
            j += 1
        # Of events of one time the first begins the window of them all.
        if i == begin or events[i - 1, 0] != events[i, 0]:
            done = scratch[0, i - low] if kind == 3 else 0
            if _satisfied(rule, measure, done, end_us):
                for at in range(max(i, marked), j):
                    if events[at, 3] == 0:
                        events[at, 3] = 1
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
    kind, rules = rule[0], rule[4]
    total = 0
    for k in range(len(groups)):
        begin = offsets[groups[k]]
        end = begin + sizes[groups[k]]
        low = _first_at(events, begin, end, froms[k])
        high = _first_at(events, low, end, tos[k] + rule[3] + 1)
        # Too few events make no window of many.
        if kind < 2 and rule[1] == 3 and high - low < rule[2]:
            continue
        if kind == 1:
            _neighbours(events, low, high, scratch[0], scratch[1], table, k + 1)
        elif kind == 3:
            _completed(events, low, high, rules, scratch[0], scratch[1])
        elif kind == 2:
            scratch[0, :rules] = 0
        total = _slide(events, begin, low, high, tos[k], rule, scratch, found, total)
    return total

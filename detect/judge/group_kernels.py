"""Kernels that keep the events of each group together in one array."""

from __future__ import annotations

from detect.judge.event_columns import HIGH, LOW, TIME, WIDTH
from whowas.arrays import Words
from whowas.kernels import kernel, lean_kernel


@lean_kernel
def _before(left: Words, right: Words) -> bool:
    """Whether one event comes before another: by time, then by id."""
    if left[TIME] != right[TIME]:
        return bool(left[TIME] < right[TIME])
    if left[HIGH] != right[HIGH]:
        return bool(left[HIGH] < right[HIGH])
    return bool(left[LOW] < right[LOW])


@lean_kernel
def first_at(events: Words, low: int, high: int, at: int) -> int:
    """Return the first place in [low, high) whose time is `at` or later."""
    while low < high:
        middle = (low + high) // 2
        if events[middle, TIME] < at:
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
            for c in range(WIDTH):
                events[to + i, c] = events[source + i, c]
        offsets[group] = to


@kernel
def repack(events: Words, offsets: Words, sizes: Words, rooms: Words, cut: int, into: Words) -> int:
    """Copy what is at or behind `cut` into another array, with half as much room to spare. Returns: what is used."""
    used = 0
    for group in range(len(offsets)):
        low, high = offsets[group], offsets[group] + sizes[group]
        low = first_at(events, low, high, cut)
        offsets[group] = used
        sizes[group] = high - low
        rooms[group] = sizes[group] + sizes[group] // 2
        for i in range(sizes[group]):
            for c in range(WIDTH):
                into[used + i, c] = events[low + i, c]
        used += rooms[group]
    return used


@kernel
def behind(events: Words, offsets: Words, sizes: Words, cut: int) -> int:
    """Return how many events are at or behind `cut`."""
    found = 0
    for group in range(len(offsets)):
        high = offsets[group] + sizes[group]
        found += high - first_at(events, offsets[group], high, cut)
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
                for c in range(WIDTH):
                    events[to, c] = events[old, c]
                old -= 1
            else:
                for c in range(WIDTH):
                    events[to, c] = new[fresh, c]
                fresh -= 1
            to -= 1

"""The as-of lookup: addresses and times in, holders out; a kernel over immutable arrays."""

from __future__ import annotations

import numpy as np

from whowas.arrays import Indices, Octets, Words
from whowas.kernels import kernel, lean_kernel

CANDIDATES = 8
EMPTY = -1
# Marks of a hold: it is no pod's of the pod network; one before it, on the same address, may last beyond its start.
OTHER, LASTS = 1, 2
# Fewer questions than one for so many addresses are not worth being put in order.
SPARSE = 8
# So few holds lie in the processor's own memory.
SMALL = 1 << 15


@lean_kernel
def mixed(high: int, low: int) -> np.int64:
    """Spread an address over the table."""
    x = np.uint64(high) ^ (np.uint64(low) * np.uint64(0x9E3779B97F4A7C15))
    x ^= x >> np.uint64(29)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(32)
    return np.int64(x >> np.uint64(1))


@kernel
def fill_table(pairs: Words, table: Indices) -> None:
    """Enter every distinct address; the table is a power of two, at most half full."""
    mask = len(table) - 1
    for row in range(len(pairs)):
        at = mixed(pairs[row, 0], pairs[row, 1]) & mask
        while table[at] != EMPTY:
            at = (at + 1) & mask
        table[at] = row


@lean_kernel
def find_address(high: int, low: int, pairs: Words, table: Indices) -> np.int64:
    """Return the row of a pair, -1 when it is not there."""
    mask = len(table) - 1
    at = mixed(high, low) & mask
    while table[at] != EMPTY:
        row = table[at]
        if pairs[row, 0] == high and pairs[row, 1] == low:
            return np.int64(row)
        at = (at + 1) & mask
    return np.int64(-1)


@kernel
def _in_order(counts: Indices, addresses: int, holds: int) -> Indices:
    """Return the questions address by address: what is asked of one lies together in memory, and is fetched once."""
    if len(counts) < addresses // SPARSE or holds < SMALL:
        return np.arange(len(counts)).astype(np.int32)
    place = np.zeros(addresses + 2, dtype=np.int32)
    for query in range(len(counts)):
        place[counts[query, 3] + 2] += 1
    for row in range(1, len(place)):
        place[row] += place[row - 1]
    order = np.empty(len(counts), dtype=np.int32)
    for query in range(len(counts)):
        row = counts[query, 3] + 1
        order[place[row]] = query
        place[row] += 1
    return order


@kernel
def holders(
    asked: Words,
    since: Words,
    until: Words,
    pairs: Words,
    table: Indices,
    first: Words,
    coarse: Indices,
    scale: Words,
    bounds: Words,
    reach: Words,
    marks: Octets,
    found: Indices,
    counts: Indices,
) -> None:
    """Find who may have held each address at some time from `since` to `until`, both counted.

    Args: asked: (n, 2) addresses as the machine reads their 16 bytes, as in pairs. since, until: (n,) us.
        first: CSR of holds by address. bounds: (holds, 4) start_min, start_max, end_min, end_max, by
        address then start_min. reach: the largest end_max up to each hold of its address: the way back can stop.
        coarse, scale, marks: the same in little memory (enrich.history.time_index), which a search reads most.
    Fills: found (n, CANDIDATES): hold rows, certain ones first. counts (n, 4): rows of pods possible, rows
        certain of all that time (at most one is sure), other kinds, address row.
    """
    for query in range(len(since)):
        counts[query, 3] = find_address(asked[query, 0], asked[query, 1], pairs, table)
    for query in _in_order(counts, len(pairs), len(coarse)):
        row = counts[query, 3]
        if row < 0:
            continue
        start = first[row]
        stop = int(_begun(until[query], start, first[row + 1], coarse, scale, bounds))
        _collect(query, since[query], until[query], start, stop, bounds, reach, marks, found, counts)


@lean_kernel
def _begun(time: int, start: int, stop: int, coarse: Indices, scale: Words, bounds: Words) -> np.int64:
    """Return the row behind the last hold of an address that can have begun by a time."""
    rough = (min(max(time, scale[0]), scale[1]) - scale[0]) >> scale[2]
    below, above = start, stop
    while below < above:
        middle = (below + above) // 2
        if coarse[middle] <= rough:
            below = middle + 1
        else:
            above = middle
    if below == start or bounds[below - 1, 0] <= time:
        return np.int64(below)
    # Begun a moment later, which the rough measure does not tell.
    above, below = below, start
    while below < above:
        middle = (below + above) // 2
        if bounds[middle, 0] <= time:
            below = middle + 1
        else:
            above = middle
    return np.int64(below)


@lean_kernel
def _collect(
    query: int,
    since: int,
    until: int,
    start: int,
    stop: int,
    bounds: Words,
    reach: Words,
    marks: Octets,
    found: Indices,
    counts: Indices,
) -> None:
    """Walk back over one address's holds; certain ones go to the front."""
    kept = 0
    for hold in range(stop - 1, start - 1, -1):
        # Where none before lasts into this one, and one moment is asked for, there is nobody further back.
        last = since == until and marks[hold] & LASTS == 0
        if hold < stop - 1 and reach[hold] <= since:
            break
        if bounds[hold, 3] <= since:
            if last:
                break
            continue
        sure = bounds[hold, 1] <= since and until < bounds[hold, 2]
        if marks[hold] & OTHER == 0:
            counts[query, 0] += 1
            if sure:
                counts[query, 1] += 1
        else:
            counts[query, 2] += 1
        if kept < CANDIDATES or sure:
            place = min(kept, CANDIDATES - 1)
            if sure:
                for other in range(place, 0, -1):
                    found[query, other] = found[query, other - 1]
                place = 0
            found[query, place] = hold
            kept = min(kept + 1, CANDIDATES)
        if last:
            break


@lean_kernel
def _changes_by(time: int, low: int, high: int, since: Words) -> int:
    """Return how many changes of a line had come by a time: what it was first was so before, too."""
    below = low
    while below + 1 < high:
        middle = (below + high) // 2
        if since[middle] <= time:
            below = middle
        else:
            high = middle
    return below - low


@kernel
def states_at(
    holders: Indices,
    times: Words,
    homes: Indices,
    first: Words,
    since: Words,
    home_first: Words,
    home_since: Words,
    states: Indices,
) -> None:
    """Find the state of each holder at each time: changes of its own, and of the node it is on. Fills: states."""
    for query in range(len(holders)):
        holder = holders[query]
        if holder < 0:
            states[query] = -1
            continue
        time, home = times[query], homes[holder]
        own = _changes_by(time, first[holder], first[holder + 1], since)
        states[query] = own + _changes_by(time, home_first[home], home_first[home + 1], home_since)

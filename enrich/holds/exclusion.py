"""Tightens holds by exclusion: two pods never hold one address at once.

Bounds are (n, 4): start_min, start_max, end_min, end_max. proven: up to where the end is excluded by proof; from
there to end_min only by silence. docs/architecture-holds.md explains.
"""

from __future__ import annotations

import numpy as np

from whowas.arrays import Flags, Words
from whowas.kernels import kernel
from whowas.timestamps import AFTER_ALL, BEFORE_ALL


@kernel
def exclude(first: Words, rows: Words, bounds: Words, proven: Words, conflict: Flags) -> None:
    """Tighten neighbours on each address where their order is certain. Changes bounds and conflict in place.

    Args: first: CSR of `rows` by address. rows: pods with a network of their own, address by address.
    Sorting by a bound alone is not enough: a pod first published as terminal can sort behind its successor.
    """
    for address in range(len(first) - 1):
        low, high = first[address], first[address + 1]
        if high - low > 1:
            _on_one_address(rows[low:high], bounds, proven, conflict)


@kernel
def _on_one_address(holds: Words, bounds: Words, proven: Words, conflict: Flags) -> None:
    _by_starts(holds, bounds, proven, conflict)
    ends = np.array([bounds[one, 2] for one in holds])
    holds = holds[np.argsort(ends, kind="mergesort")]
    starts = np.array([bounds[one, 1] for one in holds])
    holds = holds[np.argsort(starts, kind="mergesort")]
    certain = np.array([bounds[one, 1] < bounds[one, 2] for one in holds])
    sure = holds[certain]
    for place in range(len(sure) - 1):
        before, after = sure[place], sure[place + 1]
        if proven[before] > bounds[after, 1]:
            conflict[before] = conflict[after] = True
            continue
        bounds[before, 3] = max(min(bounds[before, 3], bounds[after, 1]), proven[before])
        bounds[after, 0] = min(max(bounds[after, 0], proven[before]), bounds[after, 1])
    if len(sure):
        starts = np.array([bounds[one, 1] for one in sure])
        ends = np.array([proven[one] for one in sure])
        for one in holds[~certain]:
            _fit(one, sure, starts, ends, bounds, proven, conflict)
    _give_way(holds, bounds, proven)


@kernel
def _by_starts(holds: Words, bounds: Words, proven: Words, conflict: Flags) -> None:
    """Put in order what cannot have begun in another: of two whose starts do not overlap, one was over by the other's.

    Neither needs a moment in which it is certain. What contradicts another tells nothing of it.
    """
    sane = holds[~np.array([conflict[one] for one in holds])]
    if len(sane) < 2:
        return
    lows = np.array([bounds[one, 0] for one in sane])
    highs = np.array([bounds[one, 1] for one in sane])
    ends = np.array([proven[one] for one in sane])
    rising = np.argsort(lows, kind="mergesort")
    # Of the holds from each on: by when one of them had begun.
    begun = np.append(highs[rising], AFTER_ALL)
    for place in range(len(sane) - 1, -1, -1):
        begun[place] = min(begun[place], begun[place + 1])
    started = np.argsort(highs, kind="mergesort")
    # Of the holds up to each: until when one of them went on.
    lasted = np.append(BEFORE_ALL, ends[started])
    for place in range(len(sane)):
        lasted[place + 1] = max(lasted[place + 1], lasted[place])
    lows, starts = lows[rising], highs[started]
    for place in range(len(sane)):
        one = sane[place]
        low, high = bounds[one, 0], bounds[one, 1]
        if low < high:
            following = begun[np.searchsorted(lows, high, side="left")]
            if ends[place] <= following:
                bounds[one, 3] = max(min(bounds[one, 3], following), low)
            before = lasted[np.searchsorted(starts, low, side="right")]
            if before <= high:
                bounds[one, 0] = max(low, before)


@kernel
def _fit(one: int, sure: Words, starts: Words, ends: Words, bounds: Words, proven: Words, conflict: Flags) -> None:
    """Place a hold without a certain moment among those that have one. starts, ends: of the sure, by their starts."""
    # Whoever was certain already when this one could begin at the earliest came before it.
    before = np.searchsorted(starts, bounds[one, 0], side="right") - 1
    if before >= 0 and proven[sure[before]] > bounds[one, 0]:
        bounds[one, 0] = proven[sure[before]]
    # Whoever was certain, and no more, when this one is proven to have gone on, came before it too.
    earlier = np.searchsorted(ends, proven[one], side="right") - 1
    if earlier >= 0 and ends[earlier] > bounds[one, 0]:
        bounds[one, 0] = ends[earlier]
    # Whoever is certain still when this one has ended at the latest came after it.
    after = np.searchsorted(ends, bounds[one, 3], side="left")
    if after < len(sure) and bounds[sure[after], 1] < bounds[one, 3] and bounds[one, 3] != AFTER_ALL:
        bounds[one, 3] = max(bounds[sure[after], 1], bounds[one, 0])
    # Whoever is certain when this one had begun at the latest, or after, came after it too.
    later = np.searchsorted(starts, bounds[one, 1], side="left")
    if later < len(sure) and starts[later] < bounds[one, 3]:
        bounds[one, 3] = starts[later]
    if bounds[one, 0] > bounds[one, 3]:
        conflict[one] = True
        bounds[one, 3] = bounds[one, 0]


@kernel
def _give_way(holds: Words, bounds: Words, proven: Words) -> None:
    """Believe in silence only up to the moment at which somebody else may have come."""
    starts = np.array([bounds[one, 0] for one in holds])
    holds = holds[np.argsort(starts, kind="mergesort")]
    starts = np.sort(starts)
    # Of the holds up to each: the latest end, the second latest, and whose the latest is.
    far, near = np.full(len(holds), BEFORE_ALL), np.full(len(holds), BEFORE_ALL)
    owner = np.full(len(holds), -1)
    latest, second, whose = BEFORE_ALL, BEFORE_ALL, -1
    for row in range(len(holds)):
        end = bounds[holds[row], 3]
        if end > latest:
            latest, second, whose = end, latest, row
        else:
            second = max(second, end)
        far[row], near[row], owner[row] = latest, second, whose
    for row in range(len(holds)):
        one = holds[row]
        if bounds[one, 2] <= proven[one]:
            continue
        following = np.searchsorted(starts, proven[one], side="left")
        if following:
            rival = near[following - 1] if owner[following - 1] == row else far[following - 1]
            if rival > proven[one]:
                bounds[one, 2] = proven[one]
                continue
        if following < len(holds) and holds[following] == one:
            following += 1
        if following < len(holds):
            bounds[one, 2] = max(proven[one], min(bounds[one, 2], starts[following]))

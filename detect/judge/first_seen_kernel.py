"""Kernel of first_seen: which flows may be the first of their combination, and what is kept of those that are not."""

from __future__ import annotations

from whowas.arrays import Words
from whowas.kernels import kernel


@kernel
def sift(
    numbers: Words,
    times: Words,
    within: int,
    last: Words,
    soonest: Words,
    spans: Words,
    fresh: Words,
    touched: Words,
    events: Words,
) -> tuple[int, int]:
    """Tell flows that follow another of their combination closely from those that may be the first.

    numbers: of each flow's combination, -1 for none. last, soonest, spans, fresh: by number; see firsts.Firsts.
    fresh: what these flows add to spans, empty at first. Fills touched (numbers of which fresh tells) and events
    (places of flows that may be first), both as long as numbers. Returns: how many of events, how many of touched.
    """
    kept = marked = 0
    for i in range(len(numbers)):
        n, t = numbers[i], times[i]
        if n < 0:
            continue
        if t - last[n] <= within or 0 < t - soonest[n] <= within or 0 < t - spans[n, 0] <= within:
            low, high = min(spans[n, 0], t), max(spans[n, 1], t)
            if high - low <= within:
                spans[n, 0], spans[n, 1] = low, high
                if fresh[n, 1] < fresh[n, 0]:
                    touched[marked] = n
                    marked += 1
                fresh[n, 0], fresh[n, 1] = min(fresh[n, 0], t), max(fresh[n, 1], t)
                continue
        events[kept] = i
        kept += 1
        soonest[n] = min(soonest[n], t)
    return kept, marked

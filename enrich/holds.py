"""Holds: who held an address, when, between which bounds. Derived from evidence, never edited.

Certain in [start_max, end_min), possible in [start_min, end_max). docs/architecture-holds.md explains.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise

from enrich.objects import SHOWN_WITHIN, ClusterTrack, ThingTrack
from enrich.pods import PUBLISHED_WITHIN, PodTrack, Segment
from enrich.sights import AFTER_ALL, BEFORE_ALL, SECOND

POD, HOST_POD, SERVICE, NODE = 0, 1, 2, 3
# A kubelet reconciles what it has published every 10 s.
QUIET = 10 * SECOND
# A watch has a bookmark about every minute: files that follow each other more closely are one recording, rotated.
CLOCK_SLACK = 2 * SECOND
SAME_RECORDING = 90 * SECOND


@dataclass(slots=True)
class Hold:
    """One holder of one address. `entity` is a row of the history's entities.

    proven_end: up to here the end is excluded by proof; up to end_min only by silence, which holds as long as
    nobody else may have come (see `_give_way`).
    """

    ip: bytes
    kind: int
    entity: int
    start_min: int
    start_max: int
    end_min: int
    end_max: int
    conflict: bool = False
    source: str = ""
    seen: int = BEFORE_ALL
    proven_end: int = BEFORE_ALL

    def certain(self) -> bool:
        """Say whether there is any moment at which this is certain."""
        return self.start_max < self.end_min


def coverage(track: ClusterTrack) -> list[tuple[int, int]]:
    """Return the intervals in which somebody was looking: first to last receipt of each recording, less the gaps."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(map(tuple, track.recordings)):
        if found and low <= found[-1][1] + SAME_RECORDING:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    for low, high in sorted(track.gaps):
        found = [part for one in found for part in _without(one, low, high)]
    return found


def _without(one: tuple[int, int], low: int, high: int) -> list[tuple[int, int]]:
    """One interval less a gap."""
    if high <= one[0] or one[1] < low:
        return [one]
    parts = [(one[0], low)] if one[0] < low else []
    return [*parts, (high, one[1])] if high <= one[1] else parts


def _watched_until(seen: int, covered: list[tuple[int, int]]) -> int:
    """Return up to when we went on looking after `seen` without a break."""
    return next((high for low, high in covered if low <= seen <= high), seen)


Clock = tuple[int, int]


def node_clocks(pods: Iterable[PodTrack]) -> dict[str, Clock]:
    """Return by how much (us) the clocks of nodes are ahead and behind, where that is proven.

    What is proven is the least that they are off, so CLOCK_SLACK is added.
    """
    found: dict[str, Clock] = {}
    for pod in pods:
        if pod.ahead or pod.behind:
            ahead, behind = found.get(pod.node, (0, 0))
            found[pod.node] = (
                max(ahead, pod.ahead + CLOCK_SLACK if pod.ahead else 0),
                max(behind, pod.behind + CLOCK_SLACK if pod.behind else 0),
            )
    return found


def pod_holds(track: PodTrack, entity: int, covered: list[tuple[int, int]], clock: Clock | None = None) -> list[Hold]:
    """Finish the bounds of a pod's segments with what was not seen while we were looking.

    clock: by how much the node's clock is ahead and behind; every bound gives way by that.
    """
    kind = HOST_POD if track.host_network else POD
    if clock is not None:
        for one in track.segments():
            one.widen(*clock)
    return [_finish(one, kind, entity, covered, track.deletion) for one in track.segments()]


def thing_holds(thing: ThingTrack, entity: int, covered: list[tuple[int, int]]) -> list[Hold]:
    """The addresses of a Service or Node. While we watched, what nobody reported to be over went on."""
    kind = SERVICE if thing.kind == "Service" else NODE
    found = []
    for ip, (low, high, end_min, end_max) in thing.holds.items():
        if end_max == AFTER_ALL:
            end_min = max(end_min, _watched_until(end_min, covered) - SHOWN_WITHIN)
        found.append(Hold(ip, kind, entity, low, high, end_min, end_max))
    return found


def _finish(one: Segment, kind: int, entity: int, covered: list[tuple[int, int]], deletion: int) -> Hold:
    proven, quiet = _silence(one, covered, deletion)
    end_min = max(proven, quiet)
    if proven > one.end_max:
        # Clocks that disagree: nothing is certain, everything between them possible.
        bounds = (one.start_min, AFTER_ALL, BEFORE_ALL, proven)
        return Hold(one.ip, kind, entity, *bounds, conflict=True, source=one.source, seen=one.seen)
    bounds = (one.start_min, one.start_max, min(end_min, one.end_max), max(one.end_max, one.start_min))
    return Hold(one.ip, kind, entity, *bounds, source=one.source, seen=one.seen, proven_end=proven)


def _silence(one: Segment, covered: list[tuple[int, int]], deletion: int) -> tuple[int, int]:
    """Return up to when a hold goes on by proof, and up to when by nobody having reported an end.

    Silence is proof once it has lasted PUBLISHED_WITHIN. Silence of QUIET is believed where we watched on long
    enough to have seen a successor. Neither is asked where the end of the last container is known, nor for the
    time after the pod should have been gone: then its kubelet is cut off, or what it said was held back.
    """
    if one.seen == BEFORE_ALL or one.finished:
        return one.end_min, one.end_min
    watched = _watched_until(one.seen, covered)
    until = watched if one.told is None else max(min(watched, one.told), one.seen)
    proven = max(one.end_min, min(until - PUBLISHED_WITHIN, deletion))
    return proven, min(until - QUIET, watched - PUBLISHED_WITHIN, deletion)


def exclude(holds: list[Hold]) -> None:
    """Tighten neighbours on one address, where their order is certain: two pods never hold it at once.

    Sorting by a bound alone is not enough: a pod first published as terminal can sort behind its successor.
    Only pods with a network of their own exclude each other.
    """
    holds.sort(key=lambda one: one.ip)
    for _, group in groupby((one for one in holds if one.kind == POD), key=lambda one: one.ip):
        same = list(group)
        if len(same) > 1:
            _exclude_on_one_address(same)


def _exclude_on_one_address(holds: list[Hold]) -> None:
    sure = sorted((one for one in holds if one.certain()), key=lambda one: (one.start_max, one.end_min))
    for before, after in pairwise(sure):
        if before.proven_end > after.start_max:
            before.conflict = after.conflict = True
            continue
        before.end_max = max(min(before.end_max, after.start_max), before.proven_end)
        after.start_min = min(max(after.start_min, before.proven_end), after.start_max)
    starts = [one.start_max for one in sure]
    ends = [one.proven_end for one in sure]
    for one in holds:
        if not one.certain():
            _fit(one, sure, starts, ends)
    _give_way(holds)


def _fit(one: Hold, sure: list[Hold], starts: list[int], ends: list[int]) -> None:
    """Place a hold without a certain moment among those that have one."""
    # Whoever was certain already when this one could begin at the earliest came before it.
    before = bisect_right(starts, one.start_min) - 1
    if before >= 0 and sure[before].proven_end > one.start_min:
        one.start_min = sure[before].proven_end
    # Whoever is certain still when this one has ended at the latest came after it.
    after = bisect_left(ends, one.end_max)
    if after < len(sure) and sure[after].start_max < one.end_max and one.end_max != AFTER_ALL:
        one.end_max = max(sure[after].start_max, one.start_min)
    if one.start_min > one.end_max:
        one.conflict = True
        one.end_max = one.start_min


def _give_way(holds: list[Hold]) -> None:
    """Believe in silence only up to the moment at which somebody else may have come."""
    holds.sort(key=lambda one: one.start_min)
    starts = [one.start_min for one in holds]
    # Of the holds up to each: the latest end, the second latest, and whose the latest is.
    reach, last = [], (BEFORE_ALL, BEFORE_ALL, -1)
    for row, one in enumerate(holds):
        if one.end_max > last[0]:
            last = (one.end_max, last[0], row)
        else:
            last = (last[0], max(last[1], one.end_max), last[2])
        reach.append(last)
    for row, one in enumerate(holds):
        if one.end_min <= one.proven_end:
            continue
        following = bisect_left(starts, one.proven_end)
        far, near, owner = reach[following - 1] if following else (BEFORE_ALL, BEFORE_ALL, -1)
        if (near if owner == row else far) > one.proven_end:
            one.end_min = one.proven_end
            continue
        following += following < len(holds) and holds[following] is one
        if following < len(holds):
            one.end_min = max(one.proven_end, min(one.end_min, starts[following]))

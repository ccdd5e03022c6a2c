"""Holds: who held an address, when, between which bounds. Derived from evidence, never edited.

Certain in [start_max, end_min), possible in [start_min, end_max). docs/architecture-holds.md explains.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from enrich.holds.clock_skew import BY_LEASE, BY_PODS
from enrich.holds.cluster_track import CATCHING_UP, ClusterTrack
from enrich.holds.exclusion import exclude
from enrich.holds.plugin_addresses import gateways
from enrich.holds.pod_tables import HOST_POD, NEVER, NODE, POD, SERVICE, Batch, chunk, codes, taken
from enrich.holds.pod_track import PUBLISHED_WITHIN
from enrich.holds.service_node_track import SHOWN_WITHIN, ThingTrack
from enrich.holds.time_bounds import SECOND, UNSEEN
from whowas.arrays import Flags, Indices, Words
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

Spans = list[tuple[int, int]]
# Statuses have been seen to come 20 s late.
QUIET = 25 * SECOND
CLOCK_SLACK = 2 * SECOND
# The quickest of some Leases is not on its way for longer.
ON_THEIR_WAY = SECOND // 4
# A watch has a bookmark about every minute: files that follow each other more closely are one recording, rotated.
SAME_RECORDING = 90 * SECOND
Clock = tuple[int, int]


class Hold(NamedTuple):
    """One holder of one address. `entity` is a row of the history's entities."""

    ip: bytes
    kind: int
    entity: int
    start_min: int
    start_max: int
    end_min: int
    end_max: int
    conflict: bool = False
    source: str = ""


@dataclass
class Table:
    """Holds as columns. bounds: (n, 4) start_min, start_max, end_min, end_max. halves: (n, 2) of the address.

    proven: up to here the end is excluded by proof; up to end_min only by silence, which holds as long as
    nobody else may have come (enrich.holds.exclusion). seen: last shown as holding. source: Arrow strings. told: when
    the end, the deletion or the loss of the sandbox was shown, AFTER_ALL where nothing was; None where nobody asks.
    network: numbers of the networks of pods' addresses; None where all are in the cluster's own.
    """

    halves: Words
    bounds: Words
    proven: Words
    seen: Words
    conflict: Flags
    kind: npt.NDArray[np.int32]
    entity: npt.NDArray[np.int32]
    source: Any = None
    network: Indices | None = None
    told: Words | None = None

    def take(self, rows: Words) -> Table:
        """Return some rows, or all in another order."""
        source = None if self.source is None else taken(self.source, rows)
        return Table(
            self.halves[rows], self.bounds[rows], self.proven[rows], self.seen[rows], self.conflict[rows],
            self.kind[rows], self.entity[rows], source, None if self.network is None else self.network[rows],
            None if self.told is None else self.told[rows],
        )  # fmt: skip


def coverage(spans: Spans, gaps: Spans) -> Spans:
    """Return the intervals in which somebody was looking: what was watched, joined where it is one, less the gaps."""
    found: Spans = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + SAME_RECORDING:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    for low, high in sorted(gaps):
        found = [part for one in found for part in _without(one, low, high)]
    return found


def _without(one: tuple[int, int], low: int, high: int) -> Spans:
    """One interval less a gap."""
    if high <= one[0] or one[1] < low:
        return [one]
    parts = [(one[0], low)] if one[0] < low else []
    return [*parts, (high, one[1])] if high <= one[1] else parts


def watched_until(seen: Words, covered: Spans) -> Words:
    """Return up to when we went on looking after `seen` without a break."""
    if not covered:
        return seen
    lows, highs = (np.array(side, dtype=np.int64) for side in zip(*covered, strict=True))
    place = np.searchsorted(lows, seen, side="right") - 1
    inside = (place >= 0) & (seen <= highs[np.maximum(place, 0)])
    return np.where(inside, highs[np.maximum(place, 0)], seen)


def node_clocks(clocks: Iterable[tuple[str, int, int, int]]) -> dict[str, Clock]:
    """Return by how much (us) the clocks of nodes are ahead and behind, beyond what is doubted of any clock.

    Args: clocks: node, proof (enrich.holds.clock_skew), ahead, behind. What pods prove is the least that a clock is
    off, so CLOCK_SLACK is added; Leases say it as it is, but for the time they were on their way.
    """
    known: dict[tuple[str, int], Clock] = {}
    for node, proof, ahead, behind in clocks:
        before = known.get((node, proof), (0, 0))
        known[node, proof] = (max(before[0], ahead), max(before[1], behind))
    found: dict[str, Clock] = {}
    for node in {node for node, _ in known}:
        least, measured = known.get((node, BY_PODS), (0, 0)), known.get((node, BY_LEASE))
        off = [_off_by(least[side], None if measured is None else measured[side]) for side in (0, 1)]
        if any(off):
            found[node] = (off[0], off[1])
    return found


def _off_by(least: int, measured: int | None) -> int:
    """How far a clock may be off to one side."""
    if measured is not None and measured + ON_THEIR_WAY >= least:
        return max(0, measured + ON_THEIR_WAY - UNSEEN)
    return least + CLOCK_SLACK if least else 0


def heard(when: Words, late: Spans) -> Words:
    """Return since when something may have been so that was told at `when`. late: by their ends."""
    if not late:
        return when
    lows, highs = (np.array(side, dtype=np.int64) for side in zip(*late, strict=True))
    place = np.minimum(np.searchsorted(highs + CATCHING_UP, when), len(highs) - 1)
    inside = (lows[place] < when) & (when <= highs[place] + CATCHING_UP)
    return np.where(inside, lows[place], when)


def pod_holds(batch: Batch, covered: Spans, late: Spans, clocks: dict[str, Clock]) -> Table:
    """Finish the bounds of all segments with what was not seen while we were looking.

    clocks: by how much the nodes' clocks are ahead and behind; every bound gives way by that.
    """
    pods, segments = batch.pods, batch.segments
    pod = segments["pod"].to_numpy()
    raw = {name: segments[name].to_numpy() for name in ("start_min", "start_max", "end_min", "end_max", "seen", "told")}
    start_min, start_max, end_min, end_max = (raw[name] for name in ("start_min", "start_max", "end_min", "end_max"))
    if clocks:
        ahead, behind = (one[pod] for one in _off(chunk(pods, "node"), clocks))
        start_min = np.where(start_min > BEFORE_ALL, start_min - ahead, start_min)
        end_min = np.where(end_min > BEFORE_ALL, end_min - ahead, end_min)
        start_max, end_max = np.minimum(start_max + behind, AFTER_ALL), np.minimum(end_max + behind, AFTER_ALL)
    deletion = pods["deletion"].to_numpy()[pod]
    finished = segments["finished"].to_numpy()
    proven, quiet = _silence(end_min, raw["seen"], raw["told"], finished, deletion, covered, late)
    # Clocks that disagree: nothing is certain, everything between them possible.
    odd = proven > end_max
    bounds = np.empty((len(pod), 4), dtype=np.int64)
    bounds[:, 0] = start_min
    bounds[:, 1] = np.where(odd, AFTER_ALL, start_max)
    bounds[:, 2] = np.where(odd, BEFORE_ALL, np.minimum(np.maximum(proven, quiet), end_max))
    bounds[:, 3] = np.where(odd, proven, np.maximum(end_max, start_min))
    kind = pods["kind"].to_numpy()[pod].astype(np.int32)
    proven = np.where(odd, BEFORE_ALL, proven)
    return Table(
        _halves(chunk(segments, "ip")), bounds, proven, raw["seen"], odd, kind, pod.astype(np.int32),
        chunk(segments, "source"), _networks(segments), np.where(raw["told"] == NEVER, AFTER_ALL, raw["told"]),
    )  # fmt: skip


def _networks(segments: Any) -> Indices | None:
    """Return a number for the network of each segment, 0 for the cluster's own; None where there is no other."""
    code, words = codes(chunk(segments, "network"))
    if not any(words):
        return None
    numbers = np.array([0 if not word else place for place, word in enumerate(words, 1)], dtype=np.int32)
    return numbers[code]


def _off(nodes: Any, clocks: dict[str, Clock]) -> tuple[Words, Words]:
    """By how much the clock of each pod's node is ahead and behind."""
    by_node = np.array([clocks.get(name, (0, 0)) for name in nodes.dictionary.to_pylist()], dtype=np.int64)
    by_node = by_node.reshape(-1, 2)
    node = nodes.indices.to_numpy()
    return by_node[node, 0], by_node[node, 1]


def _halves(addresses: Any) -> Words:
    data = np.frombuffer(addresses.buffers()[1] or b"", dtype=np.uint8)
    data = data[addresses.offset * 16 : (addresses.offset + len(addresses)) * 16]
    return data.view(">i8").astype(np.int64).reshape(-1, 2)


def _silence(
    end_min: Words, seen: Words, told: Words, finished: Flags, deletion: Words, covered: Spans, late: Spans
) -> tuple[Words, Words]:
    """Return up to when each hold goes on by proof, and up to when by nobody having reported an end.

    Silence is proof once it has lasted PUBLISHED_WITHIN. Silence of QUIET is believed where we watched on long
    enough to have seen a successor. Neither is asked where the end of the last container is known, nor for the
    time after the pod should have been gone: then its kubelet is cut off, or what it said was held back.
    """
    watched = watched_until(seen, covered)
    until = heard(np.where(told == NEVER, watched, np.maximum(np.minimum(watched, told), seen)), late)
    proven = np.maximum(end_min, np.minimum(until - PUBLISHED_WITHIN, deletion))
    quiet = np.minimum(np.minimum(until - QUIET, heard(watched, late) - PUBLISHED_WITHIN), deletion)
    plain = (seen == BEFORE_ALL) | finished
    return np.where(plain, end_min, proven), np.where(plain, end_min, quiet)


def thing_holds(things: Iterable[ThingTrack], first: int, covered: dict[int, Spans]) -> Table:
    """The addresses of Services and Nodes, entities from `first` on, each a row.

    covered: by kind. While we watched, what nobody reported to be over went on.
    """
    found: list[tuple[int, ...]] = []
    addresses = bytearray()
    for entity, thing in enumerate(things, first):
        kind = SERVICE if thing.kind == "Service" else NODE
        for ip, times in thing.holds.items():
            addresses += ip * len(times)
            found.extend((kind, entity, *span) for span in times)
        for ip in gateways(thing.ranges) - thing.holds.keys():
            addresses += ip
            found.append((kind, entity, thing.created, AFTER_ALL, BEFORE_ALL, thing.until))
    rows = np.array(found, dtype=np.int64).reshape(-1, 6)
    bounds = np.ascontiguousarray(rows[:, 2:])
    for kind in (SERVICE, NODE):
        mine = (rows[:, 0] == kind) & (bounds[:, 1] < AFTER_ALL)
        until = np.minimum(watched_until(bounds[mine, 2], covered[kind]), bounds[mine, 3]) - SHOWN_WITHIN
        bounds[mine, 2] = np.maximum(bounds[mine, 2], until)
    size = len(rows)
    return Table(
        np.frombuffer(bytes(addresses), dtype=">i8").astype(np.int64).reshape(-1, 2),
        bounds, np.full(size, BEFORE_ALL), np.full(size, BEFORE_ALL), np.zeros(size, dtype=bool),
        rows[:, 0].astype(np.int32), rows[:, 1].astype(np.int32),
    )  # fmt: skip


def by_address(table: Table) -> Table:
    """Return the holds address by address, oldest first, with what neighbours say of each other."""
    network = np.zeros(len(table.kind), dtype=np.int32) if table.network is None else table.network
    table = table.take(np.lexsort((network, table.halves[:, 1], table.halves[:, 0])))
    pods = np.flatnonzero(table.kind == POD)
    halves = table.halves[pods]
    # In another network the same address is another.
    apart = halves if table.network is None else np.column_stack([halves, table.network[pods]])
    exclude(starts_of(apart), pods, table.bounds, table.proven, table.conflict)
    if table.network is not None:
        _mark_shared(starts_of(halves), pods, table.network, table.conflict)
    table = _without_guesses(table)
    order = (table.bounds[:, 1], table.bounds[:, 0], table.halves[:, 1], table.halves[:, 0])
    return table.take(np.lexsort(order))


def _mark_shared(first: Words, pods: Words, network: Indices, conflict: Flags) -> None:
    """Mark the holds of addresses that live in several networks: which network a packet was in, nobody told."""
    for low, high in itertools.pairwise(first):
        mine = pods[low:high]
        if len(mine) > 1 and (network[mine] != network[mine[0]]).any():
            conflict[mine] = True


def _without_guesses(table: Table) -> Table:
    """Drop what is but guessed to be a node's where a pod ever had the address: there the guess is wrong.

    Args: table: address by address.
    """
    guessed = (table.kind == NODE) & (table.bounds[:, 1] == AFTER_ALL)
    if not guessed.any():
        return table
    first = starts_of(table.halves)
    ever = np.repeat(np.logical_or.reduceat(table.kind == POD, first[:-1]), np.diff(first))
    return table.take(np.flatnonzero(~(guessed & ever)))


def starts_of(halves: Words) -> Words:
    """Return the CSR of addresses in sorted rows: where each begins, and the end of all."""
    if not len(halves):
        return np.zeros(1, dtype=np.int64)
    changed = np.ones(len(halves), dtype=bool)
    changed[1:] = (halves[1:] != halves[:-1]).any(axis=1)
    return np.append(np.flatnonzero(changed), len(halves)).astype(np.int64)


__all__ = ["HOST_POD", "NODE", "POD", "SERVICE", "ClusterTrack", "Hold", "Table", "by_address", "coverage"]

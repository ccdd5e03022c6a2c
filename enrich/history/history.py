"""The immutable history: who held which address when, and what was known of each holder at each time."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from enrich.history.entities import Entities, Holds
from enrich.history.lookup import CANDIDATES, fill_table, holders
from enrich.history.open_ports import OpenPorts, open_ports
from enrich.history.states import States
from enrich.history.time_index import Index, index_of
from enrich.holds.clock_skew import BY_PODS
from enrich.holds.cluster_track import ClusterTrack
from enrich.holds.derive import (
    NODE,
    POD,
    SERVICE,
    Spans,
    Table,
    by_address,
    coverage,
    node_clocks,
    pod_holds,
    starts_of,
    thing_holds,
)
from enrich.holds.pod_tables import Batch, chunk, join
from enrich.holds.untold import Untold, without_untold
from enrich.holds.versions import Version
from enrich.holds.workloads import rows_of
from whowas.arrays import Indices, Words
from whowas.errors import ConfigError
from whowas.observation import Observation
from whowas.safe_text import clean
from whowas.timestamps import AFTER_ALL, BEFORE_ALL, rfc3339

DEFAULT = "default"
KIND_OF = {POD: "Pod", SERVICE: "Service", NODE: "Node"}


@dataclass(frozen=True)
class Found:
    """Answers of a lookup: rows of holds (-1 = none), certain ones first, and counts a query.

    counts columns: pods possible, pods certain, services and nodes possible, row of the address (-1 = never held).
    """

    holds: Indices
    counts: Indices


@dataclass(frozen=True)
class ClusterHistory:
    """One cluster. Arrays are aligned: holds sorted by address, then start_min.

    states: what entities were told to be, as of any time. opened: ports that are open on nodes.

    known_until: us; up to here, as far as it was watched, everything that happened to any kind that names has been
    told. Nobody knows yet what came after.
    """

    name: str
    entities: Entities
    states: States
    holds: Holds
    covered: Spans
    gaps: Spans
    ranges: tuple[str, ...]
    opened: OpenPorts
    bounds: Words
    seen: Words
    told: Words
    conflicts: npt.NDArray[np.bool_]
    kinds: Indices
    entity_of: Indices
    first: Words
    reach: Words
    index: Index
    pairs: Words
    table: Indices
    known_until: int = BEFORE_ALL
    untold: Untold = field(default_factory=Untold)

    def lookup(
        self, addresses: npt.NDArray[np.uint8], since: Words, until: Words | None = None, skew_us: int = 0
    ) -> Found:
        """Return who may have held each address at some time from `since` to `until`.

        Args: addresses: (n, 16) uint8, v4-mapped. since, until: (n,) int64, us since epoch, UTC, both counted; without
            `until` each is a moment. skew_us: by which the times may be off.
        """
        asked = np.ascontiguousarray(addresses).view(np.int64)
        until = since if until is None else until
        if skew_us:
            since, until = since - skew_us, until + skew_us
        found = np.full((len(since), CANDIDATES), -1, dtype=np.int32)
        counts = np.zeros((len(since), 4), dtype=np.int32)
        # Where kernels run as plain Python (whowas.kernels.do_without) the hash wraps around, as it is meant to.
        with np.errstate(over="ignore"):
            self._holders(asked, since, until, found, counts)
        return Found(found, counts)

    def _holders(self, asked: Words, since: Words, until: Words, found: Indices, counts: Indices) -> None:
        holders(
            asked, since, until, self.pairs, self.table, self.first, self.index.coarse, self.index.scale, self.bounds,
            self.reach, self.index.marks, found, counts,
        )  # fmt: skip

    def states_of(self, holds: Indices, times: Words) -> Indices:
        """Return the state of the holder of each hold (n, k) at each row's time (n,); -1 for hold -1."""
        if not len(self.holds):
            return np.full(holds.shape, -1, dtype=np.int32)
        entities = np.where(holds >= 0, self.entity_of[holds], -1).astype(np.int32)
        return self.states.at(entities.ravel(), np.repeat(times, holds.shape[1])).reshape(holds.shape)

    def version_in(self, hold: int, state: int) -> Version:
        """Return what the holder of a hold was told to be in one of its states."""
        return self.states.version(int(self.entity_of[hold]), state)

    def rows_on(self, address: bytes) -> range:
        """Return the rows of every hold on an address (16 bytes)."""
        rows = np.flatnonzero((self.pairs == np.frombuffer(address, dtype=np.int64)).all(axis=1))
        return range(int(self.first[rows[0]]), int(self.first[rows[0] + 1])) if len(rows) else range(0)

    def octets(self) -> npt.NDArray[np.uint8]:
        """Return every address that was ever held, (n, 16), v4-mapped, in the order of `first`."""
        return self.pairs.view(np.uint8).reshape(-1, 16)


@dataclass(frozen=True)
class History:
    """All clusters of the evidence, by name."""

    clusters: dict[str, ClusterHistory]

    def __repr__(self) -> str:
        """Say in one line what is known: a million holds must not fill a terminal."""
        holds = sum(len(one.holds) for one in self.clusters.values())
        covered = [span for one in self.clusters.values() for span in one.covered]
        span = f"{rfc3339(min(covered)[0])} to {rfc3339(max(end for _, end in covered))}" if covered else "no time"
        return f"<History of {', '.join(sorted(self.clusters)) or 'no cluster'}: {holds} holds, watched {span}>"

    def cluster(self, name: str | None) -> ClusterHistory:
        """Return one cluster; without a name the only one. Raises: ConfigError."""
        if name is None and len(self.clusters) == 1:
            return next(iter(self.clusters.values()))
        if name is not None and name in self.clusters:
            return self.clusters[name]
        known = ", ".join(map(clean, sorted(self.clusters))) or "none"
        if name is None:
            raise ConfigError(f"cannot tell which cluster is meant: the history has {known}; say --cluster NAME")
        raise ConfigError(f"cannot use cluster '{name}': the history has {known}; say one of these")

    def several(self, name: str | None) -> list[ClusterHistory]:
        """Return one cluster, or all of them without a name. Raises: ConfigError."""
        return list(self.clusters.values()) if name is None else [self.cluster(name)]


def derive(observations: Iterable[Observation]) -> History:
    """Derive who held each address when, from all observations, in the order given."""
    # Nothing here makes reference cycles, and the collector would walk all objects again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        tracks = gather(observations)
        return History({name: build(tracks.pop(name), last=True) for name in list(tracks)})
    finally:
        if collecting:
            gc.enable()


def gather(observations: Iterable[Observation]) -> dict[str, ClusterTrack]:
    """Gather what is said of each cluster. A new recording begins, and a GAP without a name lies, in all of them."""
    tracks: dict[str, ClusterTrack] = {}
    nameless = []
    quiet = False
    for one in observations:
        if one.verb == "START":
            quiet = one.span is not None
            for track in tracks.values():
                track.begin()
        elif one.verb == "GAP" and one.cluster is None:
            nameless.append(one)
        else:
            name = one.cluster or DEFAULT
            if name not in tracks:
                tracks[name] = ClusterTrack(name)
            if quiet and one.span is None:
                tracks[name].take(one)
            else:
                tracks[name].observe(one)
    if not tracks:
        tracks[DEFAULT] = ClusterTrack(DEFAULT)
    for track in tracks.values():
        for one in nameless:
            track.observe(one)
    return tracks


def build(track: ClusterTrack, packed: Sequence[Batch] = (), *, last: bool = False) -> ClusterHistory:
    """Lay a cluster out in arrays.

    Args: packed: pods of which no more will be heard, as they were derived before. last: the track is not needed
    any more: its pods leave memory as their columns come into it.
    """
    made = _laid_out(track, join([*packed, rows_of(track, list(track.pods), last=last)]))
    # What was read, joined and sorted on the way is several times what is kept.
    pa.default_memory_pool().release_unused()
    return made


def _laid_out(track: ClusterTrack, batch: Batch) -> ClusterHistory:
    covered = {kind: coverage(track.watched(word), track.missed(word)) for kind, word in KIND_OF.items()}
    proven = [(*key, *off) for key, off in track.clocks.items()]
    proven += [(node, proof, *off) for (_, node, proof), off in track.leases.by_node.items()]
    if _any_off(batch):
        off = (batch.pods[name].to_pylist() for name in ("node", "ahead", "behind"))
        proven += [(node, BY_PODS, ahead, behind) for node, ahead, behind in zip(*off, strict=True)]
    clocks = node_clocks(proven)
    things = list(track.things.values())
    ranges_of = {one.name: one.ranges for one in things if one.kind == "Node"}
    shown = pod_holds(batch, covered[POD], track.delayed("Pod"), clocks)
    shown, untold = without_untold(shown, chunk(batch.pods, "node"), ranges_of)
    held = _both(shown, thing_holds(things, batch.pods.num_rows, covered))
    ranges = tuple(sorted({cidr for one in things for cidr in one.ranges}))
    entities = Entities(batch.pods, things, clocks)
    states = States(batch, things, *entities.nodes())
    opened = open_ports(batch, things)
    made = arrange(track.name, entities, states, by_address(held), covered[POD], track.missed("Pod"), ranges, opened)
    # A kind that nobody watches (rights that were not given) keeps nothing waiting; pods always do.
    ends = [spans[-1][1] for spans in covered.values() if spans] if covered[POD] else [BEFORE_ALL]
    return replace(made, known_until=min(ends), untold=untold)


def _any_off(batch: Batch) -> bool:
    return any(bool(np.any(batch.pods[name].to_numpy())) for name in ("ahead", "behind"))


def _both(pods: Table, things: Table) -> Table:
    """Pods' holds and things' holds in one table."""
    names = ("halves", "bounds", "proven", "seen", "conflict", "kind", "entity")
    columns: dict[str, Any] = {name: np.concatenate([getattr(pods, name), getattr(things, name)]) for name in names}
    nowhere = pa.array([""] * len(things.kind), pa.string())
    network = None if pods.network is None else np.append(pods.network, np.zeros(len(things.kind), dtype=np.int32))
    told = None if pods.told is None else np.append(pods.told, np.full(len(things.kind), AFTER_ALL))
    return Table(**columns, source=pa.concat_arrays([pods.source, nowhere]), network=network, told=told)


def arrange(
    name: str,
    entities: Entities,
    states: States,
    held: Table,
    covered: Spans,
    gaps: Spans,
    ranges: tuple[str, ...],
    opened: OpenPorts,
) -> ClusterHistory:
    """Index holds by address."""
    first = starts_of(held.halves)
    reach = held.bounds[:, 3].copy()
    for low, high in itertools.pairwise(first):
        if high - low > 1:
            np.maximum.accumulate(reach[low:high], out=reach[low:high])
    halves = held.halves[first[:-1]]
    # As the machine reads the 16 bytes of an address, so that those of a batch need not be turned.
    pairs = np.ascontiguousarray(halves).astype(">i8").view(np.int64).reshape(-1, 2)
    table = np.full(1 << max(4, (2 * len(pairs)).bit_length() + 1), -1, dtype=np.int32)
    with np.errstate(over="ignore"):
        fill_table(pairs, table)
    return ClusterHistory(
        name=name,
        entities=entities,
        states=states,
        holds=Holds(held, first, halves),
        covered=covered,
        gaps=gaps,
        ranges=ranges,
        opened=opened,
        bounds=held.bounds,
        seen=held.seen,
        told=np.full(len(held.kind), AFTER_ALL) if held.told is None else held.told,
        conflicts=held.conflict,
        kinds=held.kind,
        entity_of=held.entity,
        first=first,
        reach=reach,
        index=index_of(held.bounds[:, 0], reach, held.kind, first),
        pairs=pairs,
        table=table,
    )

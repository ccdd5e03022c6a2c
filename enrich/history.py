"""The immutable history: who held which address when, and what was known of each holder at each time."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from enrich.holds import (
    HOST_POD,
    NODE,
    POD,
    SERVICE,
    Clock,
    Hold,
    coverage,
    exclude,
    node_clocks,
    pod_holds,
    thing_holds,
)
from enrich.lookup import CANDIDATES, as_of, fill_table, holders
from enrich.objects import ClusterTrack, ThingTrack
from enrich.pods import PodTrack
from enrich.sights import BEFORE_ALL, SECOND
from whowas.errors import ConfigError
from whowas.observation import Observation

Words = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
DEFAULT = "default"
HASHED = ("pod-template-hash", "rollouts-pod-template-hash")


class Entity(NamedTuple):
    """Who can hold an address. `note` says what is doubtful about the workload."""

    kind: int
    namespace: str
    name: str
    uid: str
    node: str = ""
    zone: str = ""
    workload: str = ""
    workload_kind: str = ""
    note: str = ""
    service_account: str = ""
    images: tuple[str, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()

    def full_name(self) -> str:
        """namespace/name, or the name of what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Version(NamedTuple):
    """Labels and services of a holder from a time on."""

    since: int
    labels: tuple[tuple[str, str], ...] = ()
    services: str = ""


@dataclass(frozen=True)
class Found:
    """Answers of a lookup: rows of holds (-1 = none), certain ones first, and counts a query.

    counts columns: pods possible, pods certain, services and nodes possible, row of the address (-1 = never held).
    """

    holds: Indices
    counts: Indices


@dataclass(frozen=True)
class ClusterHistory:
    """One cluster. Arrays are aligned: holds sorted by address, then start_min."""

    name: str
    entities: list[Entity]
    versions: list[Version]
    holds: list[Hold]
    covered: list[tuple[int, int]]
    gaps: list[tuple[int, int]]
    ranges: tuple[str, ...]
    node_ports: dict[tuple[int, str], list[int]]
    bounds: Words
    seen: Words
    conflicts: npt.NDArray[np.bool_]
    kinds: Indices
    entity_of: Indices
    first: Words
    reach: Words
    highs: Words
    lows: Words
    table: Indices
    version_first: Words
    version_since: Words

    def lookup(self, addresses: npt.NDArray[np.uint8], times: Words, skew_us: int = 0) -> Found:
        """Return who may have held each address at each time.

        Args: addresses: (n, 16) uint8, v4-mapped. times: (n,) int64, us since epoch, UTC. skew_us: by which
            the times may be off.
        """
        halves = np.ascontiguousarray(addresses).view(">i8").astype(np.int64)
        high, low = np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])
        found = np.full((len(times), CANDIDATES), -1, dtype=np.int32)
        counts = np.zeros((len(times), 4), dtype=np.int32)
        holders(
            high, low, times, skew_us, self.highs, self.lows, self.table, self.first, self.bounds,
            self.reach, self.kinds, found, counts,
        )  # fmt: skip
        return Found(found, counts)

    def versions_at(self, entities: Indices, times: Words) -> Indices:
        """Return the row of `versions` that was in force for each entity at each time; -1 for entity -1."""
        versions = np.empty(len(entities), dtype=np.int32)
        as_of(entities, times, self.version_first, self.version_since, versions)
        return versions

    def holds_on(self, address: bytes) -> list[Hold]:
        """Return every hold on an address, oldest first."""
        halves = np.frombuffer(address, dtype=">i8").astype(np.int64)
        rows = np.flatnonzero((self.highs == halves[0]) & (self.lows == halves[1]))
        return self.holds[int(self.first[rows[0]]) : int(self.first[rows[0] + 1])] if len(rows) else []


@dataclass(frozen=True)
class History:
    """All clusters of the evidence, by name."""

    clusters: dict[str, ClusterHistory]

    def cluster(self, name: str | None) -> ClusterHistory:
        """Return one cluster; without a name the only one. Raises: ConfigError."""
        if name is None and len(self.clusters) == 1:
            return next(iter(self.clusters.values()))
        if name is not None and name in self.clusters:
            return self.clusters[name]
        known = ", ".join(sorted(self.clusters)) or "none"
        if name is None:
            raise ConfigError(f"cannot tell which cluster is meant: the history has {known}; say --cluster NAME")
        raise ConfigError(f"cannot use cluster '{name}': the history has {known}; say one of these")


def derive(observations: Iterable[Observation]) -> History:
    """Derive who held each address when, from all observations, in the order given."""
    # Nothing here makes reference cycles, and the collector would walk all objects again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        tracks = _tracks(observations)
        return History({name: _build(tracks.pop(name)) for name in list(tracks)})
    finally:
        if collecting:
            gc.enable()


def _tracks(observations: Iterable[Observation]) -> dict[str, ClusterTrack]:
    """Gather what is said of each cluster. A new recording begins, and a GAP without a name lies, in all of them."""
    tracks: dict[str, ClusterTrack] = {}
    gaps = []
    for one in observations:
        if one.verb == "START":
            for track in tracks.values():
                track.begin()
        elif one.verb == "GAP" and one.cluster is None and one.span is not None:
            gaps.append(one.span)
        else:
            name = one.cluster or DEFAULT
            if name not in tracks:
                tracks[name] = ClusterTrack(name)
            tracks[name].observe(one)
    if not tracks:
        tracks[DEFAULT] = ClusterTrack(DEFAULT)
    for track in tracks.values():
        track.gaps += gaps
    return tracks


def _build(track: ClusterTrack) -> ClusterHistory:
    covered = coverage(track)
    zones = {one.name: one.zone for one in track.things.values() if one.kind == "Node"}
    entities: list[Entity] = []
    versions: list[list[Version]] = []
    holds: list[Hold] = []
    node_ports: dict[tuple[int, str], list[int]] = {}
    clocks = node_clocks(track.pods.values())
    for uid in list(track.pods):
        pod = track.pods.pop(uid)  # one by one, so that what was evidence leaves memory as holds come into it
        holds += pod_holds(pod, len(entities), covered, clocks.get(pod.node))
        entities.append(_pod(pod, track, zones, clocks.get(pod.node)))
        versions.append(_versions(pod, track))
    for thing in track.things.values():
        holds += thing_holds(thing, len(entities), covered)
        for port in thing.node_ports:
            node_ports.setdefault(port, []).append(len(entities))
        entities.append(_thing(thing))
        versions.append([Version(BEFORE_ALL)])
    exclude(holds)
    holds.sort(key=lambda one: (one.ip, one.start_min, one.start_max))
    return _arrange(track, entities, versions, holds, covered, node_ports)


def _pod(pod: PodTrack, track: ClusterTrack, zones: dict[str, str], clock: Clock | None) -> Entity:
    kind, name, note = _workload(pod, track)
    if clock is not None:
        off = f"the clock of its node is off by {max(clock) / SECOND:.1f} s, bounds are widened by that"
        note = f"{note}; {off}" if note else off
    return Entity(
        HOST_POD if pod.host_network else POD, pod.namespace, pod.name, pod.uid, pod.node, zones.get(pod.node, ""),
        name, kind, note, pod.service_account, pod.images, pod.ports,
    )  # fmt: skip


def _workload(pod: PodTrack, track: ClusterTrack) -> tuple[str, str, str]:
    """Follow controllers by UID to the top: (kind, name, what is doubtful). A bare or static pod is its own."""
    owner = pod.owner
    if owner is None or owner.kind == "Node":
        return "Pod", pod.name, ""
    for _ in range(8):
        known = track.owners.get(owner.uid)
        if known is None or known.owner is None:
            break
        owner = known.owner
    if owner.kind == "ReplicaSet" and owner.uid not in track.owners:
        labels = dict(pod.labels[-1][1]) if pod.labels else {}
        for label in HASHED:
            suffix = f"-{labels.get(label, '')}"
            if len(suffix) > 1 and owner.name.endswith(suffix):
                kind = "Deployment" if label == HASHED[0] else "Rollout"
                return kind, owner.name.removesuffix(suffix), "workload by the name of a ReplicaSet never seen"
    return owner.kind, owner.name, ""


def _versions(pod: PodTrack, track: ClusterTrack) -> list[Version]:
    """Merge the changes of labels and of service membership into one line of versions."""
    members = track.members.get(pod.uid, [])
    if not members and len(pod.labels) == 1:
        return [Version(BEFORE_ALL, pod.labels[0][1])]
    changes = sorted({since for since, _ in pod.labels} | {since for since, _ in members} | {BEFORE_ALL})
    found: list[Version] = []
    labels: tuple[tuple[str, str], ...] = ()
    services = ""
    by_label, by_member = dict(pod.labels), dict(members)
    for since in changes:
        labels = by_label.get(since, labels)
        services = by_member.get(since, services)
        found.append(Version(since, labels, services))
    return found


def _thing(thing: ThingTrack) -> Entity:
    if thing.kind == "Service":
        return Entity(SERVICE, thing.namespace, thing.name, thing.uid, workload="", ports=thing.ports)
    return Entity(NODE, "", thing.name, thing.uid, node=thing.name, zone=thing.zone)


def _arrange(
    track: ClusterTrack,
    entities: list[Entity],
    versions: list[list[Version]],
    holds: list[Hold],
    covered: list[tuple[int, int]],
    node_ports: dict[tuple[int, str], list[int]],
) -> ClusterHistory:
    """Lay everything out in arrays."""
    bounds = np.array([(one.start_min, one.start_max, one.end_min, one.end_max) for one in holds], dtype=np.int64)
    bounds = bounds.reshape(-1, 4)
    packed = np.frombuffer(b"".join(one.ip for one in holds), dtype=">i8").astype(np.int64).reshape(-1, 2)
    changed = np.ones(len(holds), dtype=bool)
    if len(holds):
        changed[1:] = (packed[1:] != packed[:-1]).any(axis=1)
    starts = np.flatnonzero(changed)
    first = np.append(starts, len(holds)).astype(np.int64)
    reach = bounds[:, 3].copy()
    for low, high in itertools.pairwise(first):
        np.maximum.accumulate(reach[low:high], out=reach[low:high])
    highs, lows = np.ascontiguousarray(packed[starts, 0]), np.ascontiguousarray(packed[starts, 1])
    table = np.full(1 << max(4, (2 * len(starts)).bit_length() + 1), -1, dtype=np.int32)
    fill_table(highs, lows, table)
    counts = [len(one) for one in versions]
    flat = [one for several in versions for one in several]
    return ClusterHistory(
        name=track.name,
        entities=entities,
        versions=flat,
        holds=holds,
        covered=covered,
        gaps=sorted(track.gaps),
        ranges=tuple(sorted({cidr for one in track.things.values() for cidr in one.ranges})),
        node_ports=node_ports,
        bounds=bounds,
        seen=np.array([one.seen for one in holds], dtype=np.int64),
        conflicts=np.array([one.conflict for one in holds], dtype=bool),
        kinds=np.array([one.kind for one in holds], dtype=np.int32),
        entity_of=np.array([one.entity for one in holds], dtype=np.int32),
        first=first,
        reach=reach,
        highs=highs,
        lows=lows,
        table=table,
        version_first=np.append(0, np.cumsum(counts)).astype(np.int64),
        version_since=np.array([one.since for one in flat], dtype=np.int64),
    )

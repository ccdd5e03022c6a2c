"""What a history knows of policies: who held what, and a timeline of policies for each cluster."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from detect.policy.kinds import TIERS
from detect.policy.mesh_policies import READERS as MESH_KINDS
from detect.policy.timeline import Timeline
from enrich.history.history import DEFAULT, History, build, gather
from enrich.holds.cluster_track import ClusterTrack
from enrich.holds.derive import coverage
from ingest.cluster import EvidenceReport, read_observations
from ingest.files import open_input
from whowas.errors import BrokenInput, ConfigError
from whowas.history.evidence_files import Paths, find_evidence
from whowas.history.queries import load_history, refuse_nothing, the_store
from whowas.observation import Observation

KINDS = frozenset((*TIERS, *MESH_KINDS, "Pod", "Namespace"))
POLICY = "NetworkPolicy"
MARK = b"NetworkPolicy"  # in the name of every kind of them
ALWAYS = (-62_135_596_800_000_000, 253_402_300_799_999_999)


class Known(NamedTuple):
    """A history, and what it knows of policies."""

    history: History
    timelines: dict[str, Timeline]

    def timeline(self, cluster: str) -> Timeline:
        """Return the timeline of a cluster; an empty one where nothing of the kind was told."""
        return self.timelines.get(cluster) or Timeline()


def load(
    history: Paths,
    *,
    cluster: str | None = None,
    report: EvidenceReport | None = None,
    progress: Callable[[Any], None] | None = None,
    span: tuple[int, int] = ALWAYS,
    pods: bool = False,
) -> Known:
    """Read a store or evidence files. Raises: WhowasError.

    Args: span: of a store, what stood at any time in it (us). pods: its pods too where there is no policy.
    """
    told = EvidenceReport() if report is None else report
    store = the_store(history)
    if store is not None:
        return _of_store(store, span, told, pods)
    files = find_evidence(history)
    known = _of_files(read_observations(files.paths, cluster, told, progress, files.taken))
    refuse_nothing(told.files)
    return known


def _of_files(observations: Iterable[Observation]) -> Known:
    """As enrich.history.history.derive, and timelines beside it."""
    timelines: dict[str, Timeline] = {}
    # Nothing here makes reference cycles, and the collector would walk all objects again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        tracks = gather(_taken(observations, timelines))
        for name, track in tracks.items():
            if name in timelines:
                timelines[name].now_watched(watched(track, timelines[name]), timelines[name].late)
                timelines[name].mesh_watched = mesh_watched(track, timelines[name])
        return Known(History({name: build(tracks.pop(name), last=True) for name in list(tracks)}), timelines)
    finally:
        if collecting:
            gc.enable()


def policies_alone(history: Paths) -> dict[str, Timeline]:
    """Return what a store or evidence files tell of policies themselves, by cluster; {} where they name none.

    Pods and namespaces are not read: enough for when policies changed, not for verdicts. Raises: WhowasError.
    """
    store = the_store(history)
    if store is not None:
        from enrich.store.database import opened

        with opened(store) as database:
            return of_database(database, ALWAYS, frozenset(TIERS)) if _has_policies(database) else {}
    files = find_evidence(history)
    if not any(map(_names_policies, files.paths)):
        return {}
    timelines: dict[str, Timeline] = {}
    for one in read_observations(files.paths, None, EvidenceReport(), None, files.taken):
        if one.object.kind in TIERS:
            timelines.setdefault(one.cluster or DEFAULT, Timeline()).take(one)
    return timelines


def _names_policies(path: str) -> bool:
    """Does a file hold the word? To look for it is far cheaper than to read what the file says."""
    tail = b""
    with open_input(path) as source:
        try:
            while piece := source.read(1 << 20):
                if MARK in tail + piece:
                    return True
                tail = piece[-len(MARK) :]
        except BrokenInput:
            return True
    return False


def _of_store(store: str, span: tuple[int, int], report: EvidenceReport, pods: bool) -> Known:
    from enrich.store.database import opened

    history = load_history(store, report=report)
    with opened(store) as database:
        return Known(history, of_database(database, span, pods=pods))


def _taken(told: Iterable[Observation], timelines: dict[str, Timeline]) -> Iterator[Observation]:
    """Pass observations on; what tells of policies goes into timelines as well."""
    for one in told:
        if one.object.kind in KINDS:
            timelines.setdefault(one.cluster or DEFAULT, Timeline()).take(one)
        yield one


def watched(track: ClusterTrack, timeline: Timeline, kind: str = POLICY) -> list[tuple[int, int]]:
    """Return when policies were looked at. A recording in which no word of them came did not look at them."""
    spans = [*track.spans.get(kind, ())]
    if kind in timeline.heard:
        spans += track.watched("")
    missed = [list(track.missed(kind))]
    if kind == POLICY:
        # Where policies of administrators are known to be, somebody must have looked at those too.
        missed += [track.gaps.get(one, []) for one in timeline.heard & TIERS.keys() - {POLICY}]
    return coverage(spans, sorted(one for some in missed for one in some))


def mesh_watched(track: ClusterTrack, timeline: Timeline) -> dict[str, list[tuple[int, int]]]:
    """As watched, of each kind of Istio's."""
    return {kind: watched(track, timeline, kind) for kind in MESH_KINDS}


def of_database(
    database: Any, span: tuple[int, int], kinds: frozenset[str] = KINDS, *, pods: bool = False
) -> dict[str, Timeline]:  # fmt: skip
    """Return what an open store knows of policies, by cluster.

    Args: span: of what stood at any time in it (us). pods: as in load.
    """
    from enrich.store.reader import StoreReader

    found: dict[str, Timeline] = {}
    reading = StoreReader(database)
    tracks = {row: ClusterTrack(name) for row, name in reading.clusters.items()}
    reading.spans(tracks)
    for track in tracks.values():
        mine = found[track.name] = Timeline()
        mine.now_watched(watched(track, mine), dict(track.late))
    # Where there is no policy nobody needs to know what it would have been about.
    others = _Others(database, kinds)
    for one in reading.observations(*span, never=others) if pods or _has_policies(database) else ():
        if one.object.kind in kinds:
            found[one.cluster or DEFAULT].take(one)
    for track in tracks.values():
        # Of what was imported it shows only now whether policies were among it.
        found[track.name].now_watched(watched(track, found[track.name]), dict(track.late))
        found[track.name].mesh_watched = mesh_watched(track, found[track.name])
    return found


class _Others:
    """UIDs of objects of other kinds than some."""

    def __init__(self, database: Any, kinds: frozenset[str]) -> None:
        from enrich.store.encoding import KIND

        codes = [KIND[one] for one in sorted(kinds)]
        places = ", ".join("?" * len(codes))
        found = database.execute(f"SELECT uid FROM object WHERE kind IN ({places})", codes)  # noqa: S608
        self._mine = {uid for (uid,) in found}

    def __contains__(self, uid: object) -> bool:
        return uid not in self._mine


def _has_policies(database: Any) -> bool:
    from enrich.store.encoding import KIND

    kinds = [KIND[one] for one in (*TIERS, *MESH_KINDS)]
    places = ", ".join("?" * len(kinds))
    found = database.execute(f"SELECT 1 FROM object WHERE kind IN ({places}) LIMIT 1", kinds)  # noqa: S608
    return found.fetchone() is not None


def need_policies(known: Known, cluster: str) -> Timeline:
    """Return a cluster's timeline. Raises: ConfigError where nobody ever told of policies."""
    found = known.timeline(cluster)
    if not (found.knows() or found.mesh):
        raise ConfigError(
            f"cannot judge by the policies of cluster '{cluster}': its history has none, and nobody looked at them; "
            "record them with 'whowas watch' (deploy/rbac.yaml has the right), or add "
            "'kubectl get networkpolicies,namespaces,pods -A -o json'"
        )
    return found

"""Follows what a store knows of policies as it grows."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

from detect.policy.kinds import TIERS
from detect.policy.mesh_moments import PEERS
from detect.policy.mesh_policies import READERS as MESH_KINDS
from detect.policy.timeline import NEAR, Timeline
from enrich.holds.cluster_track import ClusterTrack
from enrich.store.blocks import NEWER, Stored
from enrich.store.database import opened
from enrich.store.reader import Facts, StoreReader, observed
from whowas.policy.loading import ALWAYS, KINDS, mesh_watched, of_database, watched

# Where nobody has watched policies for so long, nobody does any more, and nothing is to wait for it.
GIVEN_UP_US = 300_000_000


class _Mark(NamedTuple):
    rewritten: int
    event: int


class StoredTimelines:
    """The timelines of a store's clusters; `refresh` takes in what was written since. Raises: StoreError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.timelines: dict[str, Timeline] = {}
        self._seen: _Mark | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read on; what was packed, imported or forgotten meanwhile makes it read all anew."""
        with opened(self._path) as database:
            mark = _Mark(
                database.execute("SELECT times FROM rewritten").fetchone()[0],
                database.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0],
            )
            before, self._seen = self._seen, None
            if before is None or before.rewritten != mark.rewritten or not self._read_on(database, before.event):
                self.timelines = of_database(database, ALWAYS)
            self._seen = mark

    def _read_on(self, database: Any, last: int) -> bool:
        """Take in newer events. Returns: whether they can be taken in one by one."""
        reading = StoreReader(database)
        if set(reading.clusters.values()) != set(self.timelines):
            return False
        newer = map(Stored._make, database.execute(NEWER, (last,)).fetchall())
        for row, group in groupby(newer, key=lambda one: one.object):
            events = list(group)
            found = database.execute("SELECT uid, kind, cluster FROM object WHERE id = ?", (row,))
            uid, kind, cluster = found.fetchone()
            facts = Facts(uid, kind, reading.clusters[cluster])
            if facts.kind not in KINDS:
                continue
            mine = self.timelines[facts.cluster]
            # Where there was no policy, pods and namespaces were not read.
            first = facts.kind in (*TIERS, *MESH_KINDS) and not (mine.policies or mine.mesh)
            if first or any(one.source is not None for one in events):
                return False
            for seen in observed(facts, events, reading.sources):
                mine.take(seen)
        tracks = {row: ClusterTrack(name) for row, name in reading.clusters.items()}
        reading.spans(tracks)
        for track in tracks.values():
            mine = self.timelines[track.name]
            mine.now_watched(watched(track, mine), dict(track.late))
            mine.mesh_watched = mesh_watched(track, mine)
        return True


def known_until(timeline: Timeline, until_us: int, *, mesh: bool = False) -> int:
    """Return up to when verdicts are final, where names are up to until_us. mesh: what Istio asked for counts too."""
    found = until_us
    if timeline.policies:
        found = _final(timeline.watched, until_us)
    if mesh and timeline.mesh:
        found = min(found, _final(timeline.mesh_watched.get(PEERS, []), until_us))
    return found


def _final(spans: list[tuple[int, int]], until_us: int) -> int:
    if not spans:
        return until_us
    last = spans[-1][1] - NEAR
    return until_us if last < until_us - GIVEN_UP_US else min(until_us, last)

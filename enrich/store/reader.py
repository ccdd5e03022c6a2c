"""Reading a store: rows and blocks back to observations, to tracks, to a history; all of it, or of one address."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from enrich.holds.cluster_track import ClusterTrack, Owned
from enrich.store.blocks import ALL_EVENTS, NEWER, RULES, Stored, events_of, evidence_in, read_block
from enrich.store.encoding import DERIVED, EARLIEST, KIND, KINDS, LATEST, OWNERS, POD, VERBS
from enrich.store.writer_state import as_bytes, read_owner
from whowas.observation import KubeObject, Meta, Observation

if TYPE_CHECKING:
    from enrich.holds.pod_tables import Batch

DECODE = msgspec.json.Decoder(KubeObject)


class Facts:
    """What stands beside every event of an object: UID, kind, cluster."""

    __slots__ = ("cluster", "kind", "uid")

    def __init__(self, uid: str, kind: int, cluster: str) -> None:
        if not isinstance(uid, str) or not 0 <= kind < len(KINDS):
            raise ValueError(f"an object of kind {kind} with uid {uid!r}")
        self.uid, self.kind, self.cluster = uid, KINDS[kind], cluster


def observed(facts: Facts, events: Iterable[Stored], sources: dict[int, str]) -> list[Observation]:
    """Return one object's observations in the order in which they happened. Raises: ValueError where they cannot be."""
    found = []
    body: bytes | None = None
    several = set()
    for one in events:
        several.add(one.source)
        if not (0 <= one.verb < len(VERBS) and _are_times(one.received_us or 0, one.not_before_us)):
            raise ValueError(f"event {one.id} has no verb or time")
        verb = VERBS[one.verb]
        service = ""
        if verb in ("JOINED", "LEFT", "VANISHED"):
            thing = KubeObject(kind=facts.kind, metadata=Meta(uid=facts.uid))
            service = "" if one.body is None else as_bytes(one.body).decode()
        else:
            body = one.body if one.body is not None else body
            thing = DECODE.decode(body) if body else KubeObject(kind=facts.kind, metadata=Meta(uid=facts.uid))
            if thing.metadata is None or thing.metadata.uid != facts.uid:
                raise ValueError(f"event {one.id} speaks of another object than its own")
            if one.version is not None:
                thing.metadata.resourceVersion = str(one.version)
        name = f"event {one.id}" if one.source is None else f"event {one.id} of {sources.get(one.source, '?')}"
        found.append(Observation(verb, thing, one.received_us, one.not_before_us, facts.cluster, name, service=service))
    if len(several) > 1:
        found.sort(key=lambda seen: seen.received_us or seen.not_before_us)
    return found


def _are_times(*moments: int) -> bool:
    return all(EARLIEST <= us <= LATEST for us in moments)


class StoreReader:
    """One consistent look at a store: everything that was durable when it began."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.clusters: dict[int, str] = dict(database.execute("SELECT id, name FROM cluster ORDER BY id"))
        self.sources: dict[int, str] = dict(database.execute("SELECT id, name FROM source"))
        if not all(isinstance(name, str) for name in self.clusters.values()):
            raise ValueError("a cluster's name is no text")
        self.events: Counter[int] = Counter()

    def tracks(self) -> dict[int, ClusterTrack]:
        """Return the tracks of all that is not packed away, with spans, gaps and owners."""
        tracks = {row: ClusterTrack(name) for row, name in self.clusters.items()}
        self.spans(tracks)
        facts: dict[int, tuple[int, Facts]] = {}
        rows = self._database.execute(
            "SELECT id, cluster, uid, kind FROM object WHERE block IS NULL AND kind IN (?, ?, ?)", DERIVED
        )
        for row, cluster, uid, kind in rows:
            facts[row] = (cluster, Facts(uid, kind, self.clusters[cluster]))
        found = self._database.execute(ALL_EVENTS)
        for row, events in groupby(map(Stored._make, found), key=lambda one: one.object):
            if row not in facts:
                continue
            cluster, mine = facts[row]
            self.events[KINDS.index(mine.kind)] += tracks[cluster].take_all(observed(mine, events, self.sources))
        for cluster, track in tracks.items():
            self.owners(cluster, track)
        return tracks

    def newer(self, last: int, tracks: dict[int, ClusterTrack]) -> None:
        """Take into the tracks what was written after event `last`; objects that an import spoke of, as a whole."""
        found = self._database.execute(NEWER, (last,)).fetchall()
        for row, group in groupby(map(Stored._make, found), key=lambda one: one.object):
            events = list(group)
            uid, kind, cluster = self._database.execute(
                "SELECT uid, kind, cluster FROM object WHERE id = ?", (row,)
            ).fetchone()
            if kind not in DERIVED:
                continue
            track = tracks.setdefault(cluster, ClusterTrack(self.clusters[cluster]))
            facts = Facts(uid, kind, self.clusters[cluster])
            if any(one.source is not None or one.body is None for one in events):
                # What came before decides what these mean: the object is taken in from its beginning.
                track.forget(uid)
                events = list(events_of(self._database, [row]))
            track.take_all(observed(facts, events, self.sources))
        for cluster, track in tracks.items():
            self.owners(cluster, track)

    def spans(self, tracks: dict[int, ClusterTrack]) -> None:
        """Fill in when somebody was looking, and when not, as the file says it now."""
        for track in tracks.values():
            track.spans, track.gaps, track.late = {}, {}, {}
        for cluster, node, proof, *off in self._database.execute(
            "SELECT cluster, node, proof, ahead_us, behind_us FROM clock"
        ):
            tracks[cluster].clocks[node, proof] = (off[0], off[1])
        for cluster, kind, sort, low, high in self._database.execute(
            "SELECT cluster, kind, gap, low_us, high_us FROM span ORDER BY low_us"
        ):
            if not (isinstance(kind, str) and _are_times(low, high) and 0 <= sort < 3):
                raise ValueError("a span has no kind or time")
            track = tracks[cluster]
            (track.spans, track.gaps, track.late)[sort].setdefault(kind, []).append((low, high))

    def owners(self, cluster: int, track: ClusterTrack) -> None:
        """Fill in what stands between the track's pods and their workloads."""
        wanted = {pod.owner.uid for pod in track.pods.values() if pod.owner is not None}
        while wanted:
            further = set()
            for uid in wanted:
                found = self._database.execute(
                    "SELECT kind, name, owner FROM object WHERE uid = ? AND cluster = ?", (uid, cluster)
                ).fetchone()
                if found is not None and found[1] and found[0] in OWNERS:
                    owner = read_owner(found[2])
                    track.owners[uid] = Owned(KINDS[found[0]], found[1], owner)
                    if owner is not None:
                        further.add(owner.uid)
            wanted = further - track.owners.keys()

    def batches(self, cluster: int, after: int = 0) -> list[Batch]:
        """Return what is packed away, derived; of blocks after one."""
        from enrich.holds.pod_tables import Batch

        dropped: dict[int, set[str]] = {}
        for block, uid in self._database.execute("SELECT block, uid FROM dropped"):
            dropped.setdefault(block, set()).add(uid)
        found = []
        blocks = self._database.execute(
            "SELECT id, rules, checksum, derived FROM block WHERE cluster = ? AND id > ? ORDER BY id", (cluster, after)
        )
        for block, rules, check, derived in blocks:
            if rules == RULES:
                batch = read_block(block, Batch.from_bytes, derived, check[32:])
            else:
                batch = self.derived_anew(cluster, block)
            found.append(batch.without(dropped[block]) if block in dropped else batch)
        return found

    def derived_anew(self, cluster: int, block: int) -> Batch:
        """Derive a block that other rules derived. Raises: StoreError when it is damaged."""
        events = evidence_in(self._database, block)
        return derive_rows(self._database, cluster, list(dict.fromkeys(one.object for one in events)), events)

    def on_addresses(self, several: Iterable[bytes]) -> list[int]:
        """Return the rows of all objects that ever said one of these addresses was theirs."""
        found: list[int] = []
        for ip in several:
            found += [row for (row,) in self._database.execute("SELECT object FROM address WHERE ip = ?", (ip,))]
        return found

    def named(self, namespace: str, begins: str) -> list[int]:
        """Return the rows of pods of a namespace whose names begin so."""
        rows = self._database.execute(
            "SELECT id FROM object WHERE kind = ? AND namespace = ? AND name >= ? AND name < ?",
            (POD, namespace, begins, begins + "\U0010ffff"),
        )
        return [row for (row,) in rows]

    def addresses_of(self, rows: Sequence[int]) -> set[bytes]:
        """Return every address that these objects spoke of."""
        found: set[bytes] = set()
        for track in self.of_objects(rows).values():
            for pod in track.pods.values():
                found.update(one.ip for one in pod.segments())
        return found

    def of_uids(self, uids: Sequence[str], cluster: str | None) -> list[Observation]:
        """Return every observation of some objects, each in its order. cluster: None = of all clusters."""
        found: list[Observation] = []
        blocks: dict[int, list[Stored]] = {}
        for uid in uids:
            rows = self._database.execute("SELECT id FROM object WHERE uid = ?", (uid,)).fetchall()
            for (row,) in rows:
                facts, events = self.object_events(row, blocks)
                if cluster in (None, facts.cluster):
                    found += observed(facts, events, self.sources)
        return found

    def object_events(self, row: int, blocks: dict[int, list[Stored]]) -> tuple[Facts, list[Stored]]:
        """Return all there is about one object, packed away or not. blocks: those that are open already."""
        uid, kind, cluster, block = self._database.execute(
            "SELECT uid, kind, cluster, block FROM object WHERE id = ?", (row,)
        ).fetchone()
        facts = Facts(uid, kind, self.clusters[cluster])
        if block is None:
            return facts, list(events_of(self._database, [row]))
        if block not in blocks:
            blocks[block] = evidence_in(self._database, block)
        return facts, [one for one in blocks[block] if one.object == row]

    def of_objects(self, rows: Sequence[int]) -> dict[int, ClusterTrack]:
        """Return tracks of some objects, and of all nodes and of what clocks say."""
        tracks = {row: ClusterTrack(name) for row, name in self.clusters.items()}
        self.spans(tracks)
        # Nodes are never packed away: the index of what stands in rows leads to them.
        nodes = self._database.execute("SELECT id FROM object WHERE kind = ? AND block IS NULL", (KIND["Node"],))
        blocks: dict[int, list[Stored]] = {}
        numbers = {name: row for row, name in self.clusters.items()}
        for row in dict.fromkeys([*rows, *(row for (row,) in nodes)]):
            facts, events = self.object_events(row, blocks)
            tracks[numbers[facts.cluster]].take_all(observed(facts, events, self.sources))
        for cluster, track in tracks.items():
            self.owners(cluster, track)
        return tracks

    def observations(
        self, low_us: int, high_us: int, also: Container[str] = (), never: Container[str] = ()
    ) -> Iterator[Observation]:
        """Yield all that is known of every object that stood at any time from low_us to high_us, object by object.

        also: UIDs of those that may have held an address then, whenever they were seen. never: of those to leave out.
        """
        wanted: dict[int, dict[int, Facts]] = {}
        rows = self._database.execute("SELECT id, cluster, uid, kind, block, gone_us FROM object ORDER BY block, id")
        for row, cluster, uid, kind, block, gone in rows:
            if uid in also or (uid not in never and (gone is None or gone >= low_us)):
                wanted.setdefault(block or 0, {})[row] = Facts(uid, kind, self.clusters[cluster])
        for block, members in wanted.items():
            events: Iterable[Stored]
            if block:
                events = (one for one in evidence_in(self._database, block) if one.object in members)
            else:
                events = events_of(self._database, members)
            for row, mine in groupby(events, key=lambda one: one.object):
                seen = observed(members[row], mine, self.sources)
                if members[row].uid in also or (seen[0].received_us or seen[0].not_before_us) <= high_us:
                    yield from seen


def derive_rows(database: sqlite3.Connection, cluster: int, rows: Sequence[int], events: Sequence[Stored]) -> Batch:
    """Derive the pods among some objects of a cluster from their events, which come object by object."""
    from enrich.holds.workloads import rows_of

    reading = StoreReader(database)
    track = ClusterTrack(reading.clusters[cluster])
    facts = {}
    for row in rows:
        found = database.execute("SELECT uid, kind FROM object WHERE id = ?", (row,)).fetchone()
        # What was taken out of a block and forgotten since is in its evidence still.
        if found is not None and found[1] == POD:
            facts[row] = Facts(found[0], POD, track.name)
    for row, mine in groupby(events, key=lambda one: one.object):
        if row in facts:
            track.take_all(observed(facts[row], mine, reading.sources))
    reading.owners(cluster, track)
    return rows_of(track, list(track.pods), last=True)

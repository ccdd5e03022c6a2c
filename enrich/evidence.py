"""The append-only store of evidence: one SQLite file that one recorder writes and any number read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from enrich.clocks import Clocks
from enrich.evidence_file import Lock, in_words, now_us, open_database
from enrich.members import Slices
from enrich.sights import address16
from whowas.observation import KubeObject, Meta, Observation, version_number

# Numbers that stand in the file: only ever add to the end.
VERBS = ("ADDED", "MODIFIED", "DELETED", "LISTED", "VANISHED", "JOINED", "LEFT")
KINDS = (
    "", "Pod", "Service", "Node", "EndpointSlice", "Namespace", "NetworkPolicy", "ReplicaSet", "Job", "CronJob",
    "Deployment", "StatefulSet", "DaemonSet",
)  # fmt: skip
VERB = {word: number for number, word in enumerate(VERBS)}
POD = KINDS.index("Pod")
KIND = {word: number for number, word in enumerate(KINDS)}
# Kinds of which a sight that says nothing new is still a sight of somebody who holds an address.
HOLDERS = frozenset((KIND["Pod"], KIND["Service"], KIND["Node"]))
# Conditions that bound holds; the others flap, and say nothing of addresses.
CONDITIONS = frozenset(("PodScheduled", "PodReadyToStartContainers"))
GONE = ("DELETED", "VANISHED")
NOTES = ("cni.projectcalico.org/podIP", "cni.projectcalico.org/podIPs")


@dataclass(frozen=True)
class Cursor:
    """Up to where a kind of object is known: resume a watch from `version`; `received_us`: last word of the server."""

    version: str
    received_us: int


@dataclass(frozen=True)
class Written:
    """What one transaction added: events that said something new, and how many objects stand now."""

    events: int
    objects: int


@dataclass
class _Known:
    """What the writer remembers of a cluster: living objects by UID (row, kind, what they said last), and slices."""

    row: int
    living: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    slices: Slices = field(default_factory=Slices)
    watching: dict[str, int] = field(default_factory=dict)


@dataclass
class _Change:
    """What a transaction does to the memory of the writer, once it is durable."""

    living: dict[tuple[str, str], tuple[int, int, int] | None] = field(default_factory=dict)
    listed: list[tuple[str, str, str]] = field(default_factory=list)
    complete: list[tuple[str, str]] = field(default_factory=list)
    began: bool = False
    cursors: dict[tuple[str, str], Cursor] = field(default_factory=dict)
    received: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    events: list[tuple[int, int, int | None, int, int | None, int | None, bytes | None]] = field(default_factory=list)
    addresses: list[tuple[bytes, int]] = field(default_factory=list)


class EvidenceStore:
    """Evidence of one or more clusters in a file. One writer at a time, readers beside it.

    Raises: StoreError: no such store, no store at all, a newer version, another recorder writes, damaged;
    StoreBusyError: disk full, locked: nothing was written, the same may be tried again.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = False) -> None:
        """Open; with `write` create where there is none, and hold the recorder's lock until close()."""
        self.path = os.fspath(path)
        self._lock = Lock(self.path) if write else None
        try:
            self.database = open_database(self.path, write=write)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        self._known: dict[str, _Known] = {}
        self._importing = ""
        self._clocks = Clocks()
        # What a list that is not complete yet has shown, by cluster and kind.
        self._listed: dict[tuple[str, str], set[str]] = {}

    def close(self) -> None:
        """Let go of the file and of the recorder's lock."""
        self.database.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> EvidenceStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cursors(self, cluster: str) -> dict[str, Cursor]:
        """Return the durable cursor of each kind ("Pod", "Service", …) of a cluster."""
        with in_words(self.path, "read"):
            rows = self.database.execute(
                "SELECT kind, version, received_us FROM cursor JOIN cluster ON cluster.id = cursor.cluster "
                "WHERE name = ?",
                (cluster,),
            ).fetchall()
        return {kind: Cursor(version, received) for kind, version, received in rows}

    def write(self, observations: Sequence[Observation], *, source: int | None = None) -> Written:
        """Store observations and move the cursors, in one transaction: durable on return, or nothing happened.

        An event sets its kind's cursor to its resourceVersion, BOOKMARK and RELISTED to theirs. RELISTED also
        marks as vanished every object of the kind that was not LISTED since the RELISTED or START before.
        source: the row of an imported file; it moves no cursor.
        """
        change = _Change()
        try:
            with in_words(self.path, "write"):
                self.database.execute("BEGIN IMMEDIATE")
                for one in observations:
                    self._take(one, change, source)
                self._flush(change, source)
                self.database.execute("COMMIT")
        except BaseException:
            self._forget()
            raise
        self._remember(change)
        objects = sum(len(known.living) for known in self._known.values())
        return Written(len(change.events), objects)

    def _forget(self) -> None:
        """Undo a transaction that failed. What was listed before it is durable, and stays known."""
        self._known.clear()
        if self.database.in_transaction:
            with in_words(self.path, "write"):
                self.database.execute("ROLLBACK")

    def _remember(self, change: _Change) -> None:
        self._clocks.by_node.clear()
        for (cluster, uid), entry in change.living.items():
            living = self._known[cluster].living
            if entry is None:
                living.pop(uid, None)
            else:
                living[uid] = entry
        if change.began:
            self._listed.clear()
        for key in change.complete:
            self._listed.pop(key, None)
        for cluster, kind, uid in change.listed:
            self._listed.setdefault((cluster, kind), set()).add(uid)

    def _take(self, one: Observation, change: _Change, source: int | None) -> None:
        """Sort one observation into the change."""
        cluster = one.cluster or "default"
        known = self._known.get(cluster) or self._cluster(cluster)
        kind = one.object.kind
        if one.verb == "START":
            change.began = True
            change.listed.clear()
            return
        if one.span is not None:
            self._span(known, kind, one.verb == "GAP", one.span, source)
            return
        if one.verb == "RELISTED":
            self._vanish(one, cluster, known, change)
        if source is None:
            self._looked(one, cluster, kind, change)
        meta = one.object.metadata
        if one.verb == "CLOCK":
            self._clocks.lease(cluster, one)
            return
        if one.verb not in VERB or meta is None or not meta.uid or kind not in KIND:
            return
        if one.verb == "LISTED":
            change.listed.append((cluster, kind, meta.uid))
        if kind == "EndpointSlice":
            self._slice(one, cluster, known, change)
        else:
            self._object(one, cluster, known, change)

    def _looked(self, one: Observation, cluster: str, kind: str, change: _Change) -> None:
        """Move the cursor, and the time up to which somebody was looking."""
        version = one.object.metadata.resourceVersion if one.object.metadata else None
        if one.verb in ("LISTED", "VANISHED", "JOINED", "LEFT", "CLOCK") or one.received_us is None:
            return
        low, high = change.received.get((cluster, kind), (one.received_us, one.received_us))
        change.received[cluster, kind] = (min(low, one.received_us), max(high, one.received_us))
        if version is not None:
            change.cursors[cluster, kind] = Cursor(version, one.received_us)

    def _vanish(self, one: Observation, cluster: str, known: _Known, change: _Change) -> None:
        """What a complete list does not show any more went since it was last seen."""
        kind = KIND[one.object.kind]
        shown = set() if change.began else self._listed.get((cluster, one.object.kind), set())
        now = {uid for name, word, uid in change.listed if (name, word) == (cluster, one.object.kind)}
        living = {uid for uid, entry in known.living.items() if entry[1] == kind}
        living |= {
            uid for (name, uid), entry in change.living.items() if name == cluster and entry and entry[1] == kind
        }
        living |= set(known.slices.by_uid) if one.object.kind == "EndpointSlice" else set()
        for uid in sorted(living - shown - now):
            gone = KubeObject(kind=one.object.kind, metadata=Meta(uid=uid))
            seen = Observation("VANISHED", gone, one.received_us, one.received_us or 0, one.cluster, one.source)
            if one.object.kind == "EndpointSlice":
                self._slice(seen, cluster, known, change)
            else:
                self._object(seen, cluster, known, change)
        change.listed = [entry for entry in change.listed if entry[:2] != (cluster, one.object.kind)]
        change.complete.append((cluster, one.object.kind))

    def _slice(self, one: Observation, cluster: str, known: _Known, change: _Change) -> None:
        """Keep of a slice who joined and who left, filed under the pods."""
        meta = one.object.metadata
        assert meta is not None
        for pod, service, joined, since in known.slices.observe(one):
            row = self._row(pod, "Pod", None, "LEFT", cluster, known, change)
            verb = VERB["JOINED" if joined else "LEFT"]
            change.events.append((row, verb, one.received_us, since, None, None, service.encode()))
        state = known.slices.by_uid.get(meta.uid)
        if state is None:
            self.database.execute("DELETE FROM slice WHERE uid = ? AND cluster = ?", (meta.uid, known.row))
        else:
            pods = " ".join(sorted(state[1]))
            self.database.execute("REPLACE INTO slice VALUES(?, ?, ?, ?)", (meta.uid, known.row, state[0], pods))

    def _object(self, one: Observation, cluster: str, known: _Known, change: _Change) -> None:
        """Keep what an object says; where it says what it said before, only that it was seen."""
        thing, meta = one.object, one.object.metadata
        assert meta is not None
        verb, kind = VERB[one.verb], KIND[thing.kind]
        row = self._row(meta.uid, thing.kind, meta, one.verb, cluster, known, change)
        body, said, version = None, 0, version_number(meta.resourceVersion)
        told = one.verb in ("JOINED", "LEFT")
        if told:
            body = one.service.encode()
        elif one.verb != "VANISHED":
            body = reduced(thing)
            said = hash(body)
        before = change.living.get((cluster, meta.uid)) or known.living.get(meta.uid)
        if before is not None and before[2] == said and not told:
            if one.verb not in GONE and not (kind == POD or (one.verb == "LISTED" and kind in HOLDERS)):
                return
            body = None
        elif not told:
            if kind == POD:
                self._clocks.pod(cluster, one)
            change.addresses += [(ip, row) for ip in addresses(thing)]
        change.events.append((row, verb, one.received_us, one.not_before_us, version, None, body))
        if one.verb in GONE:
            self.database.execute(
                "UPDATE object SET gone_us = ? WHERE id = ?", (one.received_us or one.not_before_us, row)
            )
            change.living[cluster, meta.uid] = None
        elif not told:
            change.living[cluster, meta.uid] = (row, kind, said)

    def _row(
        self, uid: str, kind: str, meta: Meta | None, verb: str, cluster: str, known: _Known, change: _Change
    ) -> int:
        """Return the row of an object, made when it is new. What was packed away is unpacked: more is said of it."""
        entry = change.living.get((cluster, uid)) or known.living.get(uid)
        if entry is not None:
            return entry[0]
        found = self.database.execute(
            "SELECT id, block, name, gone_us FROM object WHERE uid = ? AND cluster = ?", (uid, known.row)
        ).fetchone()
        owner = next((one for one in (meta.ownerReferences if meta else None) or () if one.controller), None)
        above = f"{owner.kind}/{owner.uid}/{owner.name}" if owner else None
        told = (meta.namespace, meta.name, above) if meta else ("", "", None)
        if found is None:
            made = self.database.execute(
                "INSERT INTO object(cluster, kind, uid, namespace, name, owner) VALUES(?, ?, ?, ?, ?, ?)",
                (known.row, KIND[kind], uid, *told),
            )
            row = int(made.lastrowid or 0)
            if meta is None:
                change.living[cluster, uid] = (row, KIND[kind], 0)
            return row
        row = int(found[0])
        # Joins and leaves come late, and say nothing of life.
        if found[3] is not None and meta is not None and verb not in GONE:
            self.database.execute("UPDATE object SET gone_us = NULL WHERE id = ?", (row,))
        if found[1] is not None:
            from enrich.packing import unpack

            unpack(self.database, row, uid, int(found[1]))
        if not found[2] and meta is not None and meta.name:
            self.database.execute("UPDATE object SET namespace = ?, name = ?, owner = ? WHERE id = ?", (*told, row))
        return row

    def _span(self, known: _Known, kind: str, gap: bool, span: tuple[int, int], source: int | None) -> None:
        self.database.execute(
            "INSERT OR IGNORE INTO span(cluster, kind, gap, low_us, high_us, source) VALUES(?, ?, ?, ?, ?, ?)",
            (known.row, kind, int(gap), *span, source),
        )

    def _flush(self, change: _Change, source: int | None) -> None:
        """Write what was gathered."""
        if source is not None:
            change.events = [(*one[:5], source, one[6]) for one in change.events]
        self.database.executemany(
            "INSERT INTO event(object, verb, received_us, not_before_us, version, source, body) "
            "VALUES(?, ?, ?, ?, ?, ?, ?)",
            change.events,
        )
        self.database.executemany("INSERT OR IGNORE INTO address VALUES(?, ?)", change.addresses)
        for (cluster, node), (ahead, behind) in self._clocks.by_node.items():
            self.database.execute(
                "INSERT INTO clock VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "ahead_us = max(ahead_us, excluded.ahead_us), behind_us = max(behind_us, excluded.behind_us)",
                (self._known[cluster].row, node, ahead, behind),
            )
        for (cluster, kind), cursor in change.cursors.items():
            self.database.execute(
                "REPLACE INTO cursor VALUES(?, ?, ?, ?)",
                (self._known[cluster].row, kind, cursor.version, cursor.received_us),
            )
        for (cluster, kind), (low, high) in change.received.items():
            self._extend(self._known[cluster], kind, low, high)

    def _extend(self, known: _Known, kind: str, low: int, high: int) -> None:
        """A watch that is resumed goes on where it was: what it missed is told by a GAP, nothing else."""
        if kind not in known.watching:
            found = self.database.execute(
                "SELECT id FROM span WHERE cluster = ? AND kind = ? AND gap = 0 AND source IS NULL", (known.row, kind)
            ).fetchone()
            if found is None:
                made = self.database.execute(
                    "INSERT INTO span(cluster, kind, gap, low_us, high_us) VALUES(?, ?, 0, ?, ?)",
                    (known.row, kind, low, high),
                )
                found = (made.lastrowid,)
            known.watching[kind] = int(found[0])
        self.database.execute("UPDATE span SET high_us = max(high_us, ?) WHERE id = ?", (high, known.watching[kind]))

    def _cluster(self, name: str) -> _Known:
        """Remember a cluster as the file knows it."""
        found = self.database.execute("SELECT id FROM cluster WHERE name = ?", (name,)).fetchone()
        if found is None:
            found = (self.database.execute("INSERT INTO cluster(name) VALUES(?)", (name,)).lastrowid,)
        known = self._known[name] = _Known(int(found[0]))
        rows = self.database.execute(
            "SELECT id, uid, kind, (SELECT body FROM event WHERE object = object.id AND body IS NOT NULL "
            "AND verb < 5 ORDER BY id DESC LIMIT 1) FROM object "
            "WHERE block IS NULL AND gone_us IS NULL AND cluster = ?",
            (known.row,),
        )
        for row, uid, kind, body in rows:
            known.living[uid] = (row, kind, 0 if body is None else hash(bytes(body)))
        slices = self.database.execute("SELECT uid, service, pods FROM slice WHERE cluster = ?", (known.row,))
        for uid, service, pods in slices:
            known.slices.restore(uid, service, frozenset(pods.split()))
        return known

    def maintain(self, budget_seconds: float = 0.5) -> int:
        """Pack away what has been gone for an hour, for about so long. Returns: how many objects."""
        from enrich.packing import pack

        with in_words(self.path, "write"):
            return pack(self.database, budget_seconds=budget_seconds)

    def begin_import(self, name: str, digest: str) -> int | None:
        """Return a row for a file to be imported, None when the same content was imported before.

        What an import that was cut off has left is removed first.
        """
        with in_words(self.path, "write"):
            if self.database.execute("SELECT 1 FROM source WHERE digest = ?", (digest,)).fetchone():
                return None
            self.database.execute("BEGIN IMMEDIATE")
            for table in ("event", "span"):
                self.database.execute(
                    f"DELETE FROM {table} WHERE source IN (SELECT id FROM source WHERE digest IS NULL)"  # noqa: S608
                )
            self.database.execute("DELETE FROM source WHERE digest IS NULL")
            made = self.database.execute("INSERT INTO source(name, added_us) VALUES(?, ?)", (name, now_us()))
            self.database.execute("COMMIT")
        self._known.clear()
        self._importing = digest
        return int(made.lastrowid or 0)

    def end_import(self, row: int) -> None:
        """Say that a file was imported to its end."""
        with in_words(self.path, "write"):
            self.database.execute("UPDATE source SET digest = ? WHERE id = ?", (self._importing, row))


ENCODE = msgspec.json.Encoder()


def reduced(thing: KubeObject) -> bytes:
    """Return an object as it is stored: without its version, which has a column, and without what only flaps."""
    meta, status = thing.metadata, thing.status
    version, conditions = None, None
    if meta is not None:
        version, meta.resourceVersion = meta.resourceVersion, None
    if status is not None and status.conditions:
        conditions = status.conditions
        status.conditions = [one for one in conditions if one.type in CONDITIONS] or None
    try:
        return ENCODE.encode(thing)
    finally:
        if meta is not None:
            meta.resourceVersion = version
        if status is not None and conditions is not None:
            status.conditions = conditions


def addresses(thing: KubeObject) -> Iterable[bytes]:
    """Return every address an object speaks of as its own, by which it can be found."""
    words: list[str | None] = []
    meta, spec, status = thing.metadata, thing.spec, thing.status
    if thing.kind == "Pod" and status is not None:
        words += [status.podIP, *(one.ip for one in status.podIPs or ())]
    elif thing.kind == "Service" and spec is not None:
        words += [spec.clusterIP, *(spec.clusterIPs or ()), *(spec.externalIPs or ())]
        balancer = status.loadBalancer if status else None
        words += [one.ip for one in (balancer.ingress if balancer else None) or ()]
    if thing.kind == "Pod" and meta is not None and meta.annotations:
        for note in NOTES:
            words += meta.annotations.get(note, "").split(",")
    return {ip for ip in map(address16, words) if ip is not None}

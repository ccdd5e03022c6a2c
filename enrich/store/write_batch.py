"""One transaction: observations sorted into the rows of a store."""

from __future__ import annotations

import sqlite3

import msgspec

from enrich.holds.clock_skew import proven
from enrich.store.encoding import DERIVED, GONE, KIND, MEMBERS, OWNERS, POD, SPANS, VERB, Unfit, addresses, version_of
from enrich.store.watch_spans import WatchSpans
from enrich.store.writer_state import RECORDER, ClusterState, Cursor, Standing, WriterState, write_owner
from whowas.observation import KubeObject, Meta, Observation


class WriteBatch:
    """Takes observations within one transaction. source: RECORDER, or the row of a file, which moves no cursor."""

    def __init__(self, database: sqlite3.Connection, memory: WriterState, source: int) -> None:
        self._database, self._memory, self._source = database, memory, source
        self._events: list[tuple[int, int, int | None, int, int | None, int | None, bytes | None]] = []
        self._addresses: list[tuple[bytes, int]] = []
        self._cursors: dict[tuple[str, str], Cursor] = {}
        self._received: dict[tuple[str, str], tuple[int, int]] = {}
        # Lists, as in the memory: what was shown by those that go on, and which are complete.
        self._listed: dict[tuple[str, str], set[str]] = {}
        self._complete: set[tuple[str, str]] = set()
        self._lists: dict[tuple[str, str], int | None] = {}
        self._began = False
        # What changed, in words that another store takes as those of a file: nothing is left for it to conclude.
        self.effects: list[Observation] = []
        self._spans = WatchSpans(database, source, self.effects)

    @property
    def events(self) -> int:
        """Return how many said something new."""
        return len(self._events)

    def take(self, one: Observation, body: bytes) -> None:
        """Take one observation. body: its object, as enrich.store.encoding.weighed gave it. Raises: Unfit."""
        if one.verb == "START":
            if self._source == RECORDER:
                self._began = True
                self._listed.clear()
            return
        name, kind = one.cluster or "default", one.object.kind
        known = self._memory.cluster(name)
        if one.verb in SPANS and one.span is not None:
            self._spans.add(known, kind, SPANS.index(one.verb), one.span)
            return
        if one.verb == "OFFSET":
            self._memory.clocks.offset(name, one)
            return
        if one.verb == "CLOCK":
            self._memory.clocks.lease(name, one)
            return
        if one.verb in VERB:
            self._sight(one, body, name, known)
        elif one.verb == "RELISTED" and self._source == RECORDER:
            self._vanish(one, name, known)
        if self._source == RECORDER:
            self._looked(one, name, kind)

    def _sight(self, one: Observation, body: bytes, name: str, known: ClusterState) -> None:
        assert one.object.metadata is not None
        kind, uid = one.object.kind, one.object.metadata.uid
        before = known.living.get(uid)
        if before is not None and before.kind != KIND[kind]:
            raise Unfit("a uid of another kind")
        if one.verb in MEMBERS:
            self._member(uid, one.service, one, one.not_before_us, known)
        elif kind == "EndpointSlice":
            self._slice(one, known)
        else:
            self._object(one, body, name, known, before)
        if one.verb == "LISTED" and self._source == RECORDER:
            self._shown(name, kind, uid, one.received_us)

    def _shown(self, name: str, kind: str, uid: str, at: int | None) -> None:
        """A complete list shows all at one time: what one that broke off before it has shown may be gone by then."""
        key = (name, kind)
        if self._lists.get(key, self._memory.lists.get(key, at)) != at:
            self._listed[key] = set()
            self._complete.add(key)
        self._lists[key] = at
        self._listed.setdefault(key, set()).add(uid)

    def _looked(self, one: Observation, cluster: str, kind: str) -> None:
        """Move the cursor, and the time up to which somebody was looking. A list is a moment, not a watch."""
        if one.verb in ("LISTED", "VANISHED", *MEMBERS) or one.received_us is None:
            return
        version = one.object.metadata.resourceVersion if one.object.metadata else None
        low, high = self._received.get((cluster, kind), (one.received_us, one.received_us))
        self._received[cluster, kind] = (min(low, one.received_us), max(high, one.received_us))
        if version is not None:
            self._cursors[cluster, kind] = Cursor(version, one.received_us)

    def _vanish(self, one: Observation, name: str, known: ClusterState) -> None:
        """What a complete list does not show any more went since it was last seen."""
        word = one.object.kind
        key = (name, word)
        shown = self._listed.pop(key, set())
        if not self._began and key not in self._complete:
            shown = shown | self._memory.listed.get(key, set())
        self._complete.add(key)
        if word == "EndpointSlice":
            living = set(self._memory.slices(known, RECORDER).by_uid)
        else:
            living = {uid for uid, entry in known.living.items() if entry.kind == KIND.get(word)}
        for uid in sorted(living - shown):
            gone = KubeObject(kind=word, metadata=Meta(uid=uid))
            seen = Observation("VANISHED", gone, one.received_us, one.received_us or 0, one.cluster, one.source)
            if word == "EndpointSlice":
                self._slice(seen, known)
            else:
                self._object(seen, b"", name, known, known.living.get(uid))

    def _slice(self, one: Observation, known: ClusterState) -> None:
        """Keep of a slice who joined and who left, filed under the pods."""
        meta = one.object.metadata
        assert meta is not None
        slices = self._memory.slices(known, self._source)
        for pod, service, joined, since in slices.observe(one):
            self._member(pod, service, one, since, known, joined)
        state = slices.by_uid.get(meta.uid)
        key = (meta.uid, known.row, self._source)
        if state is None:
            self._database.execute("DELETE FROM slice WHERE uid = ? AND cluster = ? AND source = ?", key)
        else:
            pods = msgspec.json.encode(sorted(state[1])).decode()
            self._database.execute("REPLACE INTO slice VALUES(?, ?, ?, ?, ?)", (*key, state[0], pods))

    def _member(
        self, pod: str, service: str, one: Observation, since: int, known: ClusterState, joined: bool | None = None
    ) -> None:
        """Keep that a pod joined or left a Service. That comes late, and says nothing of whether the pod stands."""
        word = one.verb if joined is None else "JOINED" if joined else "LEFT"
        entry = known.living.get(pod)
        row = entry.row if entry else self._row(pod, POD, None, known)[0]
        self._add(row, VERB[word], one.received_us, since, None, service.encode())
        about = KubeObject(kind="Pod", metadata=Meta(uid=pod))
        self.effects.append(Observation(word, about, one.received_us, since, known.name, "", service=service))

    def _object(self, one: Observation, body: bytes, name: str, known: ClusterState, before: Standing | None) -> None:
        """Keep what an object says; where it says what it said before, only that it was seen."""
        thing, meta = one.object, one.object.metadata
        assert meta is not None
        kind, at = KIND[thing.kind], one.received_us or one.not_before_us
        gone = one.verb in GONE
        stands = not gone
        if before is None:
            row, gone_us = self._row(meta.uid, kind, meta, known)
            # What a file tells of the time before is no return.
            stands = stands and (gone_us is None or self._source == RECORDER or at > gone_us)
            if stands and gone_us is not None:
                self._database.execute("UPDATE object SET gone_us = NULL WHERE id = ?", (row,))
        else:
            row = before.row
        said = 0 if one.verb == "VANISHED" else hash(body)
        told: bytes | None = None
        if before is not None and before.said == said:
            if not gone and not (kind == POD or (one.verb == "LISTED" and kind in DERIVED)):
                return
        elif one.verb != "VANISHED":
            told = body
            self._describe(one, row, kind, name, before)
        if gone and not self._left(row, at, before):
            stands, said = True, said or (before.said if before else 0)
        if stands:
            known.living[meta.uid] = Standing(row, kind, said)
        else:
            known.living.pop(meta.uid, None)
        self._add(row, VERB[one.verb], one.received_us, one.not_before_us, version_of(thing), told)
        # An observation with a span or a Service would be written as that, so strip them.
        plain = one.cluster == name and one.span is None and not one.service
        self.effects.append(one if plain else one._replace(cluster=name, span=None, service=""))

    def _describe(self, one: Observation, row: int, kind: int, name: str, before: Standing | None) -> None:
        """Keep what an object is found by, and what tells of its node's clock."""
        meta = one.object.metadata
        assert meta is not None
        if kind == POD:
            self._memory.clocks.pod(name, one)
        self._addresses += [(ip, row) for ip in addresses(one.object)]
        if before is not None and (before.said == 0 or kind in OWNERS) and meta.name:
            self._name(row, meta)

    def _left(self, row: int, at: int, before: Standing | None) -> bool:
        """Mark an object as gone, unless a file says so of a time before somebody saw it. Returns: whether it is."""
        if self._source != RECORDER and before is not None:
            last = self._database.execute(
                "SELECT max(coalesce(received_us, not_before_us)) FROM event WHERE object = ? AND verb < ?",
                (row, VERB["JOINED"]),
            ).fetchone()[0]
            if last is not None and last > at:
                return False
        self._database.execute("UPDATE object SET gone_us = max(coalesce(gone_us, ?1), ?1) WHERE id = ?2", (at, row))
        return True

    def _row(self, uid: str, kind: int, meta: Meta | None, known: ClusterState) -> tuple[int, int | None]:
        """Return the row of an object that is not known to stand, and since when it is gone; made when it is new.

        What was packed away is unpacked: more is said of it. Raises: Unfit.
        """
        found = self._database.execute(
            "SELECT id, kind, block, name, gone_us FROM object WHERE uid = ? AND cluster = ?", (uid, known.row)
        ).fetchone()
        if found is None:
            told = (meta.namespace, meta.name, write_owner(meta)) if meta else ("", "", None)
            made = self._database.execute(
                "INSERT INTO object(cluster, kind, uid, namespace, name, owner) VALUES(?, ?, ?, ?, ?, ?)",
                (known.row, kind, uid, *told),
            )
            row = int(made.lastrowid or 0)
            known.living[uid] = Standing(row, kind, 0)
            return row, None
        row, its_kind, block, name, gone_us = found
        if its_kind != kind and meta is not None:
            raise Unfit("a uid of another kind")
        if block is not None:
            from enrich.store.blocks import unpack

            unpack(self._database, row, uid, block)
        if meta is not None and meta.name and (not name or kind in OWNERS):
            self._name(row, meta)
        return row, gone_us

    def _name(self, row: int, meta: Meta) -> None:
        self._database.execute(
            "UPDATE object SET namespace = ?, name = ?, owner = ? WHERE id = ?",
            (meta.namespace, meta.name, write_owner(meta), row),
        )

    def _add(
        self, row: int, verb: int, received_us: int | None, since: int, version: int | None, body: bytes | None
    ) -> None:
        self._events.append((row, verb, received_us, since, version, self._source or None, body))

    def flush(self) -> None:
        """Write what was gathered."""
        run, memory = self._database, self._memory
        run.executemany(
            "INSERT INTO event(object, verb, received_us, not_before_us, version, source, body) "
            "VALUES(?, ?, ?, ?, ?, ?, ?)",
            self._events,
        )
        run.executemany("INSERT OR IGNORE INTO address VALUES(?, ?)", self._addresses)
        run.executemany(
            "INSERT INTO clock VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "ahead_us = max(ahead_us, excluded.ahead_us), behind_us = max(behind_us, excluded.behind_us)",
            [
                (memory.cluster(name).row, node, proof, *off)
                for (name, node, proof), off in memory.clocks.by_node.items()
            ],
        )
        self.effects += [proven(*key, *off) for key, off in memory.clocks.by_node.items()]
        run.executemany(
            "REPLACE INTO cursor VALUES(?, ?, ?, ?)",
            [
                (memory.cluster(name).row, kind, cursor.version, cursor.received_us)
                for (name, kind), cursor in self._cursors.items()
            ],
        )
        for (name, kind), (low, high) in self._received.items():
            self._spans.extend(memory.cluster(name), kind, low, high)

    def remember(self) -> None:
        """It is durable: let the memory of lists follow, which stands in no file."""
        memory = self._memory
        memory.clocks.by_node.clear()
        if self._began:
            memory.listed.clear()
        for key in self._complete:
            memory.listed.pop(key, None)
        for key, shown in self._listed.items():
            memory.listed.setdefault(key, set()).update(shown)
        memory.lists.update(self._lists)

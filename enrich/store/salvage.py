"""Makes a sound store of what can still be read of a damaged one.

Every row is read and checked by itself. What is lost could have said that something ended: so from the earliest moment
on that a lost row may speak of, nothing is claimed to have been watched. Names of that time then come from what was
seen alone, and where nothing was seen the answer is `unknown`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enrich.store.blocks import check_of, from_blob
from enrich.store.database import HISTORY, connect_to_salvage
from enrich.store.encoding import EARLIEST, KINDS, LATEST, MEMBERS, VERBS
from enrich.store.reader import DECODE
from enrich.store.table_scan import Hole, Row, scan
from enrich.store.writer_state import read_owner
from whowas.errors import StoreError
from whowas.sqlite_file import transaction

PLACES_KEPT = 20
# An event speaks of what was before it came: longer than a status may stay unpublished, or an event be on its way.
BEFORE_US = 60_000_000


@dataclass
class Lost:
    """What of a store is lost. rows: by table, at most so many. places: the first of them, in words.

    since_us: from when on nothing is claimed to have been watched; None: nothing was lost that matters to that.
    """

    rows: dict[str, int] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    since_us: int | None = None

    def note(self, table: str, place: str, rows: int = 1) -> None:
        """Count what is lost of a table, and say where it stood."""
        self.rows[table] = self.rows.get(table, 0) + rows
        if len(self.places) < PLACES_KEPT:
            self.places.append(place)

    def from_then(self, us: int) -> None:
        """Something is lost that may speak of any time from then on."""
        self.since_us = max(EARLIEST, us if self.since_us is None else min(self.since_us, us))


def salvage(path: str, fresh: str) -> Lost:
    """Write what can be read of a store into a new one. Returns: what is lost. Raises: StoreError."""
    if not Path(path).is_file():
        raise StoreError(f"cannot salvage history '{path}': no such file; name the damaged store")
    with HISTORY.translate_errors(fresh, "write"):
        made = HISTORY.connect(fresh)
    found = connect_to_salvage(path)
    # Text is decoded value by value: one that cannot be costs its row.
    found.text_factory = bytes
    try:
        with HISTORY.translate_errors(fresh, "write"), transaction(made):
            return _Salvage(path, found, made).run()
    finally:
        found.close()
        made.close()


class _Salvage:
    """One salvage. Memory: a word for each object."""

    def __init__(self, path: str, found: sqlite3.Connection, made: sqlite3.Connection) -> None:
        self._path, self._found, self._made = path, found, made
        self.lost = Lost()
        self._clusters: set[int] = set()
        # Objects: UID, and the number of the hole before the last state of it that is whole.
        self._objects: dict[int, tuple[str, int | None]] = {}
        self._blocks: set[int] = set()
        # Blocks that are there and no good: how far back they go is known.
        self._bad: set[int] = set()
        self._holes = 0
        self._last_us = 0

    def run(self) -> Lost:
        """Copy table by table: what others refer to comes first."""
        for table, columns, take in (
            ("cluster", "name", self._cluster),
            ("source", "name, added_us", self._source),
            ("block", "cluster, objects, events, low_us, high_us, checksum, evidence", self._block),
            ("object", "cluster, kind, uid, namespace, name, owner, gone_us, block", self._object),
            ("event", "object, verb, received_us, not_before_us, version, source, body", self._event),
        ):
            for one in scan(self._found, table, columns):
                if isinstance(one, Hole):
                    self._hole(table, one)
                    continue
                try:
                    take(one)
                except Exception as error:  # noqa: BLE001 - whatever makes no sense in a row costs that row
                    self._odd(table, one, error)
        if not self._clusters:
            raise StoreError(f"cannot salvage history '{self._path}': nothing in it can be read; restore a copy")
        self._clocks()
        self._spans()
        return self.lost

    def _put(self, table: str, columns: str, *values: object) -> None:
        marks = ", ".join("?" * len(values))
        self._made.execute(f"INSERT INTO {table}({columns}) VALUES({marks})", values)

    def _hole(self, table: str, hole: Hole) -> None:
        self.lost.note(table, f"{table}: {hole}", hole.rows)
        self._holes += 1
        # The recorder writes in the order of time; what was imported is of any time.
        by_time = table == "event" and not self._imported()
        self.lost.from_then(self._last_us - BEFORE_US if by_time else EARLIEST)

    def _odd(self, table: str, row: Row, error: Exception) -> None:
        why = f"{type(error).__name__}: {error}".partition("\n")[0][:120]
        self.lost.note(table, f"{table} {row[0]}: {why}")
        self._holes += 1
        self.lost.from_then(self._since(table, row))

    def _since(self, table: str, row: Row) -> int:
        """When the earliest of what a lost row says may have been."""
        if table == "event":
            told = [us for us in (row[3], row[4]) if isinstance(us, int) and EARLIEST <= us <= LATEST]
            return EARLIEST if self._imported() else min([*told, self._last_us]) - BEFORE_US
        if table == "block":
            self._bad.add(row[0])
        if table == "block" and isinstance(row[4], int) and EARLIEST <= row[4] <= LATEST:
            return row[4] - BEFORE_US
        return EARLIEST

    def _imported(self) -> bool:
        return self._made.execute("SELECT 1 FROM source LIMIT 1").fetchone() is not None or "source" in self.lost.rows

    def _cluster(self, row: Row) -> None:
        self._put("cluster", "id, name", row[0], _text(row[1]))
        self._clusters.add(row[0])

    def _source(self, row: Row) -> None:
        self._put("source", "id, name, digest, added_us", row[0], _text(row[1]), f"salvaged {row[0]}", int(row[2]))

    def _block(self, row: Row) -> None:
        number, cluster, objects, events, low, high, check, evidence = row
        if cluster not in self._clusters or check_of(evidence) != check[:32] or len(from_blob(evidence)) != events:
            raise ValueError("its checksum does not fit")
        # Rules of 0: what was derived is derived anew from the evidence.
        self._put("block", "id, cluster, objects, events, low_us, high_us, rules, checksum, evidence, derived",
                  number, cluster, objects, events, low, high, 0, check, evidence, b"")  # fmt: skip
        self._blocks.add(number)

    def _object(self, row: Row) -> None:
        number, cluster, kind, *words, owner, gone, block = row
        uid, namespace, name = map(_text, words)
        if cluster not in self._clusters or not 0 < kind < len(KINDS) or not uid:
            raise ValueError("no cluster, kind or uid")
        if block is not None and block not in self._blocks:
            self.lost.note("object", f"object {number}: block {block}, which holds what was seen of it, is lost")
            if block not in self._bad:
                self.lost.from_then(EARLIEST)
            return
        told = None if owner is None else _text(owner)
        read_owner(told)
        gone = None if gone is None else _time(gone)
        self._put("object", "id, cluster, kind, uid, namespace, name, owner, gone_us, block",
                  number, cluster, kind, uid, namespace, name, told, gone, block)  # fmt: skip
        if block is None:
            self._objects[number] = (uid, None)

    def _event(self, row: Row) -> None:
        number, of, verb, received, since, version, source, body = row
        moment = _time(since if received is None else received)
        self._last_us = max(self._last_us, moment) if source is None else self._last_us
        word = VERBS[verb] if verb >= 0 else ""
        if of not in self._objects:
            self._recover(of, body, word)
        uid, state = self._objects[of]
        if word in MEMBERS:
            _text(body)
        elif body is None:
            if state is not None and state != self._holes:
                raise ValueError("what the object was before is lost")
        else:
            thing = DECODE.decode(body)
            if thing.metadata is None or thing.metadata.uid != uid:
                raise ValueError("it speaks of another object")
            self._objects[of] = (uid, self._holes)
        if not word or (version is not None and not isinstance(version, int)):
            raise ValueError("no verb or version")
        source = source if source is None else int(source)
        self._put("event", "id, object, verb, received_us, not_before_us, version, source, body",
                  number, of, verb, received, _time(since), version, source, body)  # fmt: skip

    def _recover(self, row: int, body: Any, word: str) -> None:
        """Put back an object whose row is lost, from what an event says of it. Raises: ValueError."""
        thing = DECODE.decode(body) if body is not None and word not in MEMBERS else None
        if thing is None or thing.metadata is None or not thing.metadata.uid or len(self._clusters) != 1:
            raise ValueError("its object is lost")
        meta = thing.metadata
        (cluster,) = self._clusters
        self._put("object", "id, cluster, kind, uid, namespace, name", row, cluster, KINDS.index(thing.kind), meta.uid,
                  meta.namespace, meta.name)  # fmt: skip
        self._objects[row] = (meta.uid, None)

    def _clocks(self) -> None:
        try:
            rows = self._found.execute("SELECT cluster, node, proof, ahead_us, behind_us FROM clock").fetchall()
            for cluster, node, proof, ahead, behind in rows:
                if cluster in self._clusters:
                    self._put("clock", "cluster, node, proof, ahead_us, behind_us",
                              cluster, _text(node), int(proof), int(ahead), int(behind))  # fmt: skip
        except (sqlite3.Error, ValueError, TypeError) as error:
            self.lost.note("clock", f"clock: how far clocks are off: {error}")
            self.lost.from_then(EARLIEST)

    def _spans(self) -> None:
        """Copy when somebody looked; what was watched after something was lost is not claimed."""
        spans = []
        for one in scan(self._found, "span", "cluster, kind, gap, low_us, high_us, source"):
            if isinstance(one, Hole):
                self._hole("span", one)
                continue
            try:
                spans.append(_span(one, self._clusters))
            except (ValueError, TypeError) as error:
                self._odd("span", one, error)
        until = LATEST if self.lost.since_us is None else self.lost.since_us
        for cluster, kind, sort, low, high, source in spans:
            if sort == 0:
                high = min(high, until)
            if low <= high:
                self._put("span", "cluster, kind, gap, low_us, high_us, source", cluster, kind, sort, low, high, source)
        if self.lost.since_us is not None:
            last = max([self._last_us, until, *(high for *_, high, _ in spans)])
            for cluster in sorted(self._clusters):
                self._put("span", "cluster, kind, gap, low_us, high_us, source", cluster, "", 1, until, last, -1)


def _span(row: Row, clusters: set[int]) -> tuple[int, str, int, int, int, int]:
    _, cluster, kind, sort, low, high, source = row
    if cluster not in clusters or sort not in (0, 1, 2) or not _time(low) <= _time(high):
        raise ValueError("no cluster or time")
    return cluster, _text(kind), sort, low, high, int(source)


def _text(value: Any) -> str:
    """Raises: ValueError, TypeError."""
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} in place of text")
    return value.decode()


def _time(value: Any) -> int:
    """Raises: ValueError."""
    if not isinstance(value, int) or not EARLIEST <= value <= LATEST:
        raise ValueError("no time")
    return value

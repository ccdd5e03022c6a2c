"""Keeps every change of a store until its topic has it.

A change is kept in the transaction that makes it.

All of a store is told once, in an epoch that begins with a snapshot and goes on with what changes. Messages of an epoch
are numbered 1, 2, 3, … without a hole: first those of the snapshot, then the live ones. What cannot go on without a
hole (the outbox grew too large, somebody wrote without an outbox, the topic has lost something) ends the epoch; the
store has it all, and the next epoch begins with it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from enrich.store.database import HISTORY, now_us, open_database
from enrich.store.encoding import KINDS
from enrich.store.writer_state import read_owner
from whowas.observation import KubeObject, Meta, Observation
from whowas.sqlite_file import snapshot, transaction
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

# In outbox.id: below it lies the snapshot, from here on what is live.
LIVE = 1 << 48
SNAPSHOT_OBJECTS = 500
# So much of the snapshot waits at most: the store has the rest.
SNAPSHOT_BYTES = 8 << 20
# In outbox.id: above all of it.
LAST_ID = 1 << 62
Pack = Callable[[Sequence[Observation]], list[bytes]]


class Epoch(NamedTuple):
    """Progress of publishing. snapshot, live: messages made. done: rows of `object` already in the snapshot."""

    epoch: int
    event: int
    objects: int
    done: int
    snapshot: int
    live: int

    @property
    def whole(self) -> bool:
        """Say whether all of the snapshot is in the outbox, or was."""
        return self.done >= self.objects

    def number(self, row: int) -> int:
        """Return a message's number by its row in the outbox."""
        return self.snapshot + row - LIVE if row > LIVE else row

    @property
    def last(self) -> int:
        """Return the number of the newest message; before the snapshot is whole, of its newest."""
        return self.snapshot + self.live if self.whole else self.snapshot


COLUMNS = "epoch, event, object, done, snapshot, live"
OPEN = f"SELECT {COLUMNS} FROM publishing WHERE ended = 0"  # noqa: S608 - words of ours


def open_epoch(database: sqlite3.Connection) -> Epoch | None:
    """Return the epoch that goes on."""
    found = database.execute(OPEN).fetchone()
    return Epoch._make(found) if found else None


def end_epoch(database: sqlite3.Connection) -> None:
    """Say that the topic will not hear of what is written now. Called within a transaction."""
    if database.execute("UPDATE publishing SET ended = 1 WHERE ended = 0").rowcount:
        database.execute("DELETE FROM outbox")


class Outbox:
    """The writer's side, in the writer's thread. pack: makes messages of observations. most_bytes: more ends the epoch.

    overflows: how often the outbox grew too large since the start.
    """

    def __init__(self, path: str, database: sqlite3.Connection, pack: Pack, most_bytes: int) -> None:
        self._path, self._database, self._pack, self._most = path, database, pack, most_bytes
        self.overflows = 0
        self._acknowledged = (0, 0)
        self._bytes: int | None = None

    def begin(self, above: int = 0) -> None:
        """Begin an epoch: all that the store holds is told anew. above: an epoch that some topic knows already."""
        from enrich.store.watch_spans import spans_within

        run = self._database.execute
        with HISTORY.translate_errors(self._path, "write"), transaction(self._database):
            end_epoch(self._database)
            before = run("SELECT coalesce(max(epoch), 0) FROM publishing").fetchone()[0]
            last = dict(run("SELECT name, seq FROM sqlite_sequence"))
            epoch = max(now_us(), before + 1, above + 1)
            row = (epoch, last.get("event", 0), last.get("object", 0))
            run("INSERT INTO publishing VALUES(?, ?, ?, 0, 0, 0, 0)", row)
            # When somebody looked is told after the snapshot, and as of its moment: half of it claims nothing.
            names = dict(run("SELECT id, name FROM cluster"))
            self._bytes = None
            self.put(list(spans_within(self._database, names, BEFORE_ALL, AFTER_ALL)))

    def is_open(self) -> bool:
        """Say whether an epoch is open."""
        with HISTORY.translate_errors(self._path, "read"):
            return open_epoch(self._database) is not None

    def size(self) -> tuple[int, int]:
        """Return how many messages wait, and their bytes."""
        with HISTORY.translate_errors(self._path, "read"):
            found = self._database.execute(f"SELECT count(*), {SIZE} FROM outbox").fetchone()  # noqa: S608
        return int(found[0]), int(found[1])

    def put(self, effects: Sequence[Observation]) -> None:
        """Add what a transaction changed. Called within it."""
        now = open_epoch(self._database)
        if now is None:
            return
        self._forget_acknowledged(now.epoch)
        try:
            messages = self._pack(effects) if effects else []
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            # What cannot be put into words must not stop the recording: the store is told anew as it took it.
            messages = None
        if messages is None or self._waiting() + sum(map(len, messages)) > self._most:
            self.overflows += 1
            end_epoch(self._database)
            self._bytes = None
            return
        self._insert(LIVE + now.live, messages)
        self._bytes = self._waiting() + sum(map(len, messages))
        self._database.execute("UPDATE publishing SET live = live + ? WHERE ended = 0", (len(messages),))

    def _insert(self, last: int, messages: list[bytes]) -> None:
        self._database.executemany("INSERT INTO outbox VALUES(?, ?)", enumerate(messages, last + 1))

    def _waiting(self) -> int:
        """Bytes of the live messages: what waits of the snapshot is bounded, and stands in the store anyway."""
        if self._bytes is None:
            words = f"SELECT {SIZE} FROM outbox WHERE id > ?"  # noqa: S608 - words of ours
            self._bytes = int(self._database.execute(words, (LIVE,)).fetchone()[0])
        return self._bytes

    def rolled_back(self) -> None:
        """The transaction did not happen: count anew."""
        self._bytes = None

    def acknowledge(self, epoch: int, row: int) -> None:
        """The topic has everything up to a row; it is removed with the next write, or step."""
        self._acknowledged = (epoch, row)

    def _forget_acknowledged(self, epoch: int) -> None:
        of, row = self._acknowledged
        if row and of == epoch:
            if self._database.execute("DELETE FROM outbox WHERE id <= ?", (row,)).rowcount:
                self._bytes = None
            self._acknowledged = (0, 0)

    def erased(self, epoch: int) -> None:
        """The topic was told to forget an epoch that has ended: its numbers are not needed any more."""
        with HISTORY.translate_errors(self._path, "write"):
            self._database.execute("DELETE FROM publishing WHERE ended = 1 AND epoch = ?", (epoch,))

    def step(self, seconds: float) -> bool:
        """Remove what is acknowledged, go on with the snapshot for about so long. Returns: whether it has more to do.

        Raises: StoreError.
        """
        until = time.monotonic() + seconds
        with HISTORY.translate_errors(self._path, "write"):
            now = open_epoch(self._database)
            if now is None:
                return False
            if self._acknowledged[1]:
                with transaction(self._database):
                    self._forget_acknowledged(now.epoch)
            while not now.whole and time.monotonic() < until and self._room():
                now = self._more(now)
        return not now.whole and self._room()

    def _room(self) -> bool:
        words = f"SELECT {SIZE} FROM outbox WHERE id < ?"  # noqa: S608 - words of ours
        return bool(self._database.execute(words, (LIVE,)).fetchone()[0] < SNAPSHOT_BYTES)

    def _more(self, now: Epoch) -> Epoch:
        """Put the next objects into the outbox, as they were when the epoch began."""
        rows = self._database.execute(
            "SELECT id, block FROM object WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (now.done, now.objects, SNAPSHOT_OBJECTS),
        ).fetchall()
        told = [one for found in self._objects(rows, now.event) for one in found]
        messages = self._pack(told) if told else []
        done = rows[-1][0] if rows else now.objects
        with transaction(self._database):
            self._insert(now.snapshot, messages)
            self._database.execute(
                "UPDATE publishing SET done = ?, snapshot = snapshot + ? WHERE epoch = ?",
                (done, len(messages), now.epoch),
            )
        return now._replace(done=done, snapshot=now.snapshot + len(messages))

    def _objects(self, rows: list[tuple[int, int | None]], last: int) -> list[list[Observation]]:
        """What is known of some objects. One block is open at a time: each may take tens of megabytes."""
        from enrich.store.blocks import Stored
        from enrich.store.reader import StoreReader, observed

        reading = StoreReader(self._database)
        found: list[list[Observation]] = []
        for _, members in groupby(sorted(rows, key=lambda one: (one[1] or 0, one[0])), key=lambda one: one[1]):
            blocks: dict[int, list[Stored]] = {}
            for row, _ in members:
                facts, events = reading.object_events(row, blocks)
                found.append(observed(facts, (one for one in events if one.id <= last), reading.sources))
                if not events:
                    found.append(self._only_named(row, facts.cluster))
        return found

    def _only_named(self, row: int, cluster: str) -> list[Observation]:
        """Of a workload whose evidence was pruned the name is kept, for its pods."""
        kind, uid, namespace, name, owner = self._database.execute(
            "SELECT kind, uid, namespace, name, owner FROM object WHERE id = ?", (row,)
        ).fetchone()
        above = read_owner(owner)
        meta = Meta(name, namespace, uid, ownerReferences=[above] if above else None)
        return [Observation("LISTED", KubeObject(KINDS[kind], meta), None, 0, cluster, "")] if name else []


SIZE = "coalesce(sum(length(value)), 0)"


@dataclass(frozen=True)
class Waiting:
    """What a publisher is to send: rows of the outbox in order. ended: epochs that the topic may forget, with the
    numbers of their messages, of the snapshot and live.
    """

    store: str
    epoch: Epoch | None
    rows: list[tuple[int, bytes]]
    ended: list[tuple[int, int, int]]


class OutboxReader:
    """The publisher's side: a look at the outbox beside the writer. Raises: StoreError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._database = open_database(path, write=False)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def look(self, after: tuple[int, int] = (0, 0), most: int = 100) -> Waiting:
        """Return what comes after a row of an epoch; of the live messages nothing before the snapshot is whole."""
        with HISTORY.translate_errors(self._path, "read"), snapshot(self._database):
            run = self._database.execute
            store = run("SELECT store FROM identity").fetchone()[0]
            now = open_epoch(self._database)
            ended = run("SELECT epoch, snapshot, live FROM publishing WHERE ended = 1 ORDER BY epoch").fetchall()
            if now is None:
                return Waiting(store, None, [], ended)
            row = after[1] if after[0] == now.epoch else 0
            limit = LAST_ID if now.whole else LIVE
            found = run("SELECT id, value FROM outbox WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", (row, limit, most))
            return Waiting(store, now, found.fetchall(), ended)

    def value(self, now: Epoch, number: int) -> bytes | None:
        """Return a message that waits, by its number in an epoch; None for one that does not."""
        row = number if number <= now.snapshot else LIVE + number - now.snapshot
        with HISTORY.translate_errors(self._path, "read"):
            found = self._database.execute("SELECT value FROM outbox WHERE id = ?", (row,)).fetchone()
        return bytes(found[0]) if found else None

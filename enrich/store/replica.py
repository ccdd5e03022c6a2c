"""Fills a store from what recorders published (enrich/store/outbox.py).

How far it has come stands in the store, and moves in the transaction that takes the evidence in: messages that come
again are known by their numbers, and a hole is seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from enrich.store.database import HISTORY, now_us, open_database, rewritten
from enrich.store.evidence_store import EvidenceStore
from whowas.errors import StoreError
from whowas.observation import Observation
from whowas.sqlite_file import snapshot, transaction

# What is not of the topic alone. Numbers are never given twice, so what counts them stays.
DERIVED_TABLES = ("cursor", "span", "object", "event", "address", "slice", "clock", "block", "dropped", "cluster")


class Message(NamedTuple):
    """A message's place: the store that told it, the epoch, its number in there. live: it follows the snapshot."""

    store: str
    epoch: int
    number: int
    live: bool


@dataclass
class Origin:
    """A store that tells, as far as it has. epoch 0: nothing yet. lost: why it cannot be followed, "" = it can."""

    store: str
    source: int
    epoch: int = 0
    number: int = 0
    live: bool = False
    lost: str = ""


@dataclass(frozen=True)
class Position:
    """How far a replica has come. next: offset in the topic that is read next."""

    topic: str
    next: int
    origins: tuple[Origin, ...]


class ReplicaStore:
    """A replica, open for writing by one process at a time. Raises: StoreError, as EvidenceStore."""

    def __init__(self, path: str, topic: str) -> None:
        """Open; made where there is none. A store that somebody records into is refused."""
        self._store = EvidenceStore(path, write=True)
        try:
            self._open(path, topic)
        except BaseException:
            self._store.close()
            raise

    def _open(self, path: str, topic: str) -> None:
        run = self._store.database.execute
        with HISTORY.translate_errors(path, "read"):
            found = run("SELECT topic FROM replica").fetchone()
            own = found is None and run("SELECT 1 FROM cluster LIMIT 1").fetchone() is not None
        if own or (found and found[0] != topic):
            what = f"a replica of topic '{found[0]}'" if found else "a store of its own"
            raise StoreError(
                f"cannot keep a replica of topic '{topic}' in '{path}': it is {what}; give a file of its own"
            )
        if found is None:
            with HISTORY.translate_errors(path, "write"):
                run("INSERT INTO replica VALUES(?, 0, x'')", (topic,))
        with HISTORY.translate_errors(path, "read"):
            self.next, self.key = run("SELECT next, key FROM replica").fetchone()
            self.origins = {one.store: one for one in _origins(self._store.database)}

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def maintain(self, seconds: float) -> int:
        """Pack what is over, for about so long. Returns: how many objects."""
        return self._store.maintain(seconds)

    def origin(self, store: str) -> Origin:
        """Return how far a store has told; made when it is new."""
        if store not in self.origins:
            with HISTORY.translate_errors(self._store.path, "write"), transaction(self._store.database):
                made = self._store.database.execute(
                    "INSERT INTO source(name, digest, added_us) VALUES(?, ?, ?)",
                    (f"store {store}", f"store {store}", now_us()),
                )
                self.origins[store] = Origin(store, int(made.lastrowid or 0))
                self._keep(self.origins[store])
        return self.origins[store]

    def _keep(self, one: Origin) -> None:
        row = (one.store, one.source, one.epoch, one.number, one.live, one.lost)
        self._store.database.execute("REPLACE INTO origin VALUES(?, ?, ?, ?, ?, ?)", row)

    def take(self, origin: Origin, observations: Sequence[Observation], offset: int, key: bytes) -> int:
        """Take in what an origin told, which has come to `origin`'s number with it. Returns: events that were new.

        offset, key: what is read next, and the key of what lies before it, kept in the same transaction.
        """

        def beside(_: sqlite3.Connection) -> None:
            self._keep(origin)
            self._come_to(offset, key)

        written = self._store.write(observations, source=origin.source, beside=beside)
        self.next, self.key = offset, key
        return written.events

    def skip(self, offset: int, key: bytes) -> None:
        """Nothing of what comes before an offset is wanted any more."""
        with HISTORY.translate_errors(self._store.path, "write"), transaction(self._store.database):
            for one in self.origins.values():
                self._keep(one)
            self._come_to(offset, key)
        self.next, self.key = offset, key

    def _come_to(self, offset: int, key: bytes) -> None:
        self._store.database.execute("UPDATE replica SET next = ?, key = ?", (offset, key))

    def forget(self, keep: Callable[[Origin], int]) -> None:
        """Forget all evidence, to read the topic from its beginning. keep: an origin's epoch to wait for, 0 = any."""
        run = self._store.database.execute
        with HISTORY.translate_errors(self._store.path, "write"), transaction(self._store.database):
            for table in DERIVED_TABLES:
                run(f"DELETE FROM {table}")  # noqa: S608 - words of ours
            for one in self.origins.values():
                one.epoch, one.number, one.live, one.lost = keep(one), 0, False, ""
                self._keep(one)
            self._come_to(0, b"")
            rewritten(self._store.database)
        self.next, self.key = 0, b""
        self._store.invalidate()


def _origins(database: sqlite3.Connection) -> list[Origin]:
    found = database.execute("SELECT store, source, epoch, number, live, lost FROM origin ORDER BY store").fetchall()
    return [
        Origin(store, source, epoch, number, bool(live), lost) for store, source, epoch, number, live, lost in found
    ]


def position(path: str) -> Position | None:
    """Return how far the replica in a file has come; None for what is none. Raises: StoreError."""
    database = open_database(path, write=False)
    try:
        with HISTORY.make_sense(path, "read"), snapshot(database):
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'replica'").fetchone():
                return None
            found = database.execute("SELECT topic, next FROM replica").fetchone()
            return Position(found[0], found[1], tuple(_origins(database))) if found else None
    finally:
        database.close()

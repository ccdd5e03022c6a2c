"""Stores the judge's state: one SQLite file, one transaction a commit.

It stands in a write-ahead log with `synchronous=FULL`: whoever feeds the judge commits offsets elsewhere after ours, so
a power cut must not take back what we said was durable. One process at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import zstandard

from detect.judge.evidence import Block
from whowas.arrays import Words
from whowas.sqlite_file import FileKind, transaction

OPEN, DONE, UNTOLD, SILENCED = 0, 1, 2, 3
MIGRATIONS: dict[int, str] = {
    0: """
CREATE TABLE fact(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE progress(origin TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rule(id TEXT PRIMARY KEY, signature TEXT NOT NULL, began_us INTEGER) WITHOUT ROWID;
CREATE TABLE finding(rule TEXT NOT NULL, identity INTEGER NOT NULL, state INTEGER NOT NULL, end_us INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY(rule, identity)) WITHOUT ROWID;
CREATE INDEX finding_state ON finding(state, end_us);
CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, last_us INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX event_rule ON event(rule, last_us);
CREATE TABLE seen(rule TEXT PRIMARY KEY, horizon_us INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE block(id INTEGER PRIMARY KEY, keep_us INTEGER NOT NULL, places BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX block_keep ON block(keep_us);
CREATE TABLE flow(reference INTEGER PRIMARY KEY, keep_us INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX flow_keep ON flow(keep_us);
""",
}

RULE_STATE = FileKind(
    noun="rule state",
    application=0x77777273,  # "wwrs"
    migrations=MIGRATIONS,
    synchronous="FULL",
    foreign="no state of rules",
    damaged="give another file, or bring it back from a copy",
    taken="process {who} judges with it; stop that one, or give this one a file of its own",
)


class State:
    """The judge's memory. Args: path: the file, made when it is not there; None: in memory, for one run.

    Raises: StoreError, StoreTakenError, StoreBusyError.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else os.fspath(path)
        self._lock = -1 if self.path is None else RULE_STATE.lock(self.path, "open")
        try:
            with self._translate_errors("open"):
                self._database = RULE_STATE.connect(self.path)
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Let go of the file. What was not committed is gone."""
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def size(self) -> int:
        """Return the bytes of its files; in memory, of its pages."""
        if self.path is None:
            run = self._database.execute
            return int(run("PRAGMA page_count").fetchone()[0]) * int(run("PRAGMA page_size").fetchone()[0])
        return sum(os.path.getsize(self.path + tail) for tail in ("", "-wal") if os.path.exists(self.path + tail))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within, or nothing of it. Raises: StoreError; StoreBusyError where trying again helps."""
        with self._translate_errors("write"), transaction(self._database):
            yield

    def _translate_errors(self, what: str) -> contextlib.AbstractContextManager[None]:
        return RULE_STATE.translate_errors(self.path or "in memory", what)

    # What was remembered.

    def bind(self, signatures: Mapping[str, str]) -> list[str]:
        """Take these rules for the ones that are judged by. Returns: ids of rules whose state was dropped."""
        known = dict(self._database.execute("SELECT id, signature FROM rule").fetchall())
        gone = [one for one, signature in known.items() if signatures.get(one) != signature]
        with self.transaction():
            for one in gone:
                for table in ("finding", "event", "seen"):
                    self._database.execute(f"DELETE FROM {table} WHERE rule = ?", (one,))  # noqa: S608
                self._database.execute("DELETE FROM rule WHERE id = ?", (one,))
            self._database.executemany(
                "INSERT OR IGNORE INTO rule(id, signature) VALUES(?, ?)", list(signatures.items())
            )
        return gone

    def fact(self, name: str, default: Any) -> Any:
        """Return a value that `keep_fact` kept."""
        found = self._database.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return default if found is None else msgspec.msgpack.decode(found[0])

    def progress(self) -> dict[str, int]:
        """Return, for each origin, the offset before which everything was judged."""
        return dict(self._database.execute("SELECT origin, next FROM progress").fetchall())

    def began(self) -> dict[str, int]:
        """Return since when flows were seen, for rules that ask for it."""
        return dict(self._database.execute("SELECT id, began_us FROM rule WHERE began_us IS NOT NULL").fetchall())

    def findings(self, *states: int) -> Iterator[tuple[str, int, int, dict[str, Any]]]:
        """Yield (rule, identity, state, body) of what is kept under these states."""
        for state in states:
            rows = self._database.execute("SELECT rule, identity, body FROM finding WHERE state = ?", (state,))
            for rule, identity, body in rows.fetchall():
                yield rule, identity, state, msgspec.msgpack.decode(body)

    def finding(self, rule: str, identity: int) -> tuple[int, dict[str, Any]] | None:
        """Return (state, body) of one finding."""
        found = self._database.execute(
            "SELECT state, body FROM finding WHERE rule = ? AND identity = ?", (rule, identity)
        ).fetchone()
        return None if found is None else (found[0], msgspec.msgpack.decode(found[1]))

    def oldest(self, state: int) -> int | None:
        """Return the earliest end of a window among the findings under one state."""
        found = self._database.execute("SELECT min(end_us) FROM finding WHERE state = ?", (state,)).fetchone()[0]
        return None if found is None else int(found)

    def events(self, rule: str) -> Iterator[Words]:
        """Yield the events of a rule, as they were appended, (n, 8) each."""
        for (body,) in self._database.execute("SELECT body FROM event WHERE rule = ? ORDER BY id", (rule,)):
            columns = np.frombuffer(zstandard.decompress(body), np.int64).reshape(8, -1)
            yield np.ascontiguousarray(columns.T)

    def seen(self, rule: str) -> tuple[int, bytes] | None:
        """Return (horizon, body) of what a first_seen rule remembers."""
        found = self._database.execute("SELECT horizon_us, body FROM seen WHERE rule = ?", (rule,)).fetchone()
        return None if found is None else (found[0], found[1])

    def block(self, number: int) -> Block | None:
        """Return packed rows."""
        found = self._database.execute("SELECT id, keep_us, places, body FROM block WHERE id = ?", (number,)).fetchone()
        return None if found is None else Block(*found)

    def flow(self, reference: int) -> dict[str, Any] | None:
        """Return a row that was put aside alone."""
        found = self._database.execute("SELECT body FROM flow WHERE reference = ?", (reference,)).fetchone()
        return None if found is None else msgspec.msgpack.decode(zstandard.decompress(found[0]))

    # What is to be remembered: called within a transaction.

    def keep_fact(self, name: str, value: Any) -> None:
        """Keep a small value."""
        self._database.execute("REPLACE INTO fact VALUES(?, ?)", (name, msgspec.msgpack.encode(value)))

    def keep_progress(self, progress: Mapping[str, int]) -> None:
        """Keep up to where each origin was judged."""
        self._database.executemany("REPLACE INTO progress VALUES(?, ?)", list(progress.items()))

    def keep_began(self, began: Mapping[str, int]) -> None:
        """Keep since when flows were seen."""
        self._database.executemany(
            "UPDATE rule SET began_us = ? WHERE id = ?", [(at, one) for one, at in began.items()]
        )

    def keep_findings(self, rows: Iterable[tuple[str, int, int, int, dict[str, Any]]]) -> None:
        """Keep (rule, identity, state, end_us, body)."""
        self._database.executemany(
            "REPLACE INTO finding VALUES(?, ?, ?, ?, ?)",
            [(*head, msgspec.msgpack.encode(body)) for *head, body in rows],
        )

    def keep_events(self, rule: str, events: Words) -> None:
        """Append events of a rule."""
        # Column by column: times, groups and places of rows repeat or grow slowly.
        body = zstandard.compress(np.ascontiguousarray(events.T).tobytes(), 1)
        self._database.execute(
            "INSERT INTO event(rule, last_us, body) VALUES(?, ?, ?)", (rule, int(events[:, 0].max()), body)
        )

    def keep_seen(self, rule: str, horizon_us: int, body: bytes) -> None:
        """Replace what a first_seen rule remembers."""
        self._database.execute("REPLACE INTO seen VALUES(?, ?, ?)", (rule, horizon_us, body))

    def keep_blocks(self, blocks: Sequence[Block]) -> None:
        """Keep packed rows."""
        self._database.executemany("REPLACE INTO block VALUES(?, ?, ?, ?)", [tuple(one) for one in blocks])

    def keep_flow(self, reference: int, keep_us: int, flow: Mapping[str, Any]) -> None:
        """Put one row aside."""
        body = zstandard.compress(msgspec.msgpack.encode(flow), 1)
        self._database.execute(
            "INSERT INTO flow VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET keep_us = max(keep_us, excluded.keep_us)",
            (reference, keep_us, body),
        )

    def drop_events(self, rule: str, before_us: int) -> None:
        """Forget events of a rule that all lie before a time."""
        self._database.execute("DELETE FROM event WHERE rule = ? AND last_us < ?", (rule, before_us))

    def drop_rows(self, before_us: int) -> None:
        """Forget rows that are not needed any more."""
        for table in ("block", "flow"):
            self._database.execute(f"DELETE FROM {table} WHERE keep_us < ?", (before_us,))  # noqa: S608

    def drop_findings(self, state: int, before_us: int) -> int:
        """Forget findings under a state whose window ended before a time. Returns: how many."""
        found = self._database.execute("DELETE FROM finding WHERE state = ? AND end_us < ?", (state, before_us))
        return found.rowcount

"""The append-only store of evidence: one SQLite file that one recorder writes and any number read."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enrich.store.database import Lock, in_words, now_us, open_database, rewritten, transaction
from enrich.store.encoding import KIND, KINDS, VERB, VERBS, Unfit, encoded
from enrich.store.imports import LEFT
from enrich.store.outbox import Outbox, Pack, end_epoch
from enrich.store.write_batch import WriteBatch
from enrich.store.writer_state import RECORDER, Cursor, WriterState
from whowas.observation import Observation

OUTBOX_MOST = 1 << 30


@dataclass(frozen=True)
class Written:
    """What one transaction added: events that said something new, how many objects stand now, refused by reason."""

    events: int
    objects: int
    refused: Mapping[str, int] = field(default_factory=dict)


class EvidenceStore:
    """Evidence of one or more clusters in a file. One writer at a time, readers beside it.

    Raises: StoreError: no such store, no store at all, a newer version, another recorder writes, damaged;
    StoreBusyError: disk full, locked: nothing was written, the same may be tried again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        write: bool = False,
        make: bool = True,
        pack: Pack | None = None,
        outbox_most: int = OUTBOX_MOST,
    ) -> None:
        """Open; with `write` hold the recorder's lock until close(), and make a store where there is none.

        pack: makes messages of what changes; they go into the outbox in the same transactions. outbox_most: bytes.
        """
        self.path = os.fspath(path)
        self._lock = Lock(self.path, make=make) if write else None
        try:
            self.database = open_database(self.path, write=write)
            self._memory = WriterState(self.database)
            self._importing: dict[str, str] = {}
            self.outbox = Outbox(self.path, self.database, pack, outbox_most) if pack else None
            if write:
                self._drop_unfinished()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file and of the recorder's lock."""
        if hasattr(self, "database"):
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

    def write(
        self,
        observations: Sequence[Observation],
        *,
        source: int | None = None,
        beside: Callable[[sqlite3.Connection], object] | None = None,
    ) -> Written:
        """Store observations and move the cursors, in one transaction: durable on return, or nothing happened.

        An event sets its kind's cursor to its resourceVersion, BOOKMARK and RELISTED to theirs. RELISTED also
        marks as vanished every object of the kind that was not LISTED since the RELISTED or START before.
        What cannot be stored is refused and counted, one by one; the rest is written.
        source: the row of an imported file; it moves no cursor, and nothing vanishes by it. beside: what else is
        written in the transaction.
        """
        if source is None and self._importing:
            self._drop_unfinished()
        refused: Counter[str] = Counter()
        taking = WriteBatch(self.database, self._memory, RECORDER if source is None else source)
        try:
            with in_words(self.path, "write"), transaction(self.database):
                for one in observations:
                    try:
                        taking.take(one, encoded(one))
                    except Unfit as why:
                        refused[str(why)] += 1
                taking.flush()
                if beside is not None:
                    beside(self.database)
                if self.outbox is not None:
                    self.outbox.put(taking.effects)
                else:
                    end_epoch(self.database)
        except BaseException:
            self._memory.forget()
            if self.outbox is not None:
                self.outbox.taken_back()
            raise
        taking.remember()
        return Written(taking.events, self._memory.standing(), refused)

    def reread(self) -> None:
        """Drop the cache: the file was changed other than by write()."""
        self._memory.forget()

    def maintain(self, budget_seconds: float = 0.5) -> int:
        """Pack away what has been gone for an hour, for about so long. Returns: how many objects."""
        from enrich.store.packing import pack

        with in_words(self.path, "write"):
            return pack(self.database, budget_seconds=budget_seconds)

    def was_imported(self, digest: str) -> bool:
        """Say whether a file of this content was imported before."""
        with in_words(self.path, "read"):
            return self.database.execute("SELECT 1 FROM source WHERE digest = ?", (digest,)).fetchone() is not None

    def begin_import(self, files: dict[str, str]) -> int:
        """Return a row for files that are imported together. files: digests by name.

        What an import that was cut off has left is removed first.
        """
        with in_words(self.path, "write"):
            self._drop_unfinished()
            name = ", ".join(files)
            made = self.database.execute("INSERT INTO source(name, added_us) VALUES(?, ?)", (name, now_us()))
        self._importing = dict(files)
        return int(made.lastrowid or 0)

    def end_import(self, row: int) -> None:
        """Say that the files were imported to their ends."""
        with in_words(self.path, "write"), transaction(self.database):
            (_, digest), *others = self._importing.items()
            self.database.execute("UPDATE source SET digest = ? WHERE id = ?", (digest, row))
            self.database.executemany(
                "INSERT OR IGNORE INTO source(name, digest, added_us) VALUES(?, ?, ?)",
                [(name, mark, now_us()) for name, mark in others],
            )
            self.database.execute("DELETE FROM slice WHERE source = ?", (row,))
        self._importing = {}
        self._memory.forget()

    def _drop_unfinished(self) -> None:
        """Remove what an import has left that came to no end: nobody else writes, so it never will.

        Before anything else is written: that could rest on what goes here.
        """
        self._importing = {}
        with in_words(self.path, "write"):
            run = self.database.execute
            if not run("SELECT 1 FROM source WHERE digest IS NULL").fetchone():
                return
            with transaction(self.database):
                run("CREATE TEMP TABLE leaving AS SELECT id, object FROM event "
                    "WHERE source IN (SELECT id FROM source WHERE digest IS NULL)")  # fmt: skip
                run("DELETE FROM event WHERE id IN (SELECT id FROM leaving)")
                # What it alone spoke of was never there; what it said to be gone may stand.
                run("CREATE TEMP TABLE alone AS SELECT DISTINCT object FROM leaving WHERE object NOT IN "
                    "(SELECT object FROM event)")  # fmt: skip
                run("DELETE FROM address WHERE object IN (SELECT object FROM alone)")
                run("DELETE FROM object WHERE id IN (SELECT object FROM alone)")
                run(f"UPDATE object SET gone_us = {LEFT} WHERE id IN (SELECT object FROM leaving)")  # noqa: S608
                for table in ("slice", "span"):
                    run(f"DELETE FROM {table} WHERE source IN "  # noqa: S608 - words of ours
                        "(SELECT id FROM source WHERE digest IS NULL)")  # fmt: skip
                run("DELETE FROM source WHERE digest IS NULL")
                run("DELETE FROM cluster WHERE id NOT IN (SELECT cluster FROM object UNION SELECT cluster FROM span "
                    "UNION SELECT cluster FROM cursor UNION SELECT cluster FROM block)")  # fmt: skip
                run("DELETE FROM clock WHERE cluster NOT IN (SELECT id FROM cluster)")
                run("DROP TABLE leaving")
                run("DROP TABLE alone")
                rewritten(self.database)
            self._memory.forget()


__all__ = ["KIND", "KINDS", "VERB", "VERBS", "Cursor", "EvidenceStore", "Written"]

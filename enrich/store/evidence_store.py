"""The append-only store of evidence: one SQLite file that one recorder writes and any number read."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enrich.store.database import HISTORY, Lock, open_database
from enrich.store.encoding import KIND, KINDS, VERB, VERBS, Unfit, encoded
from enrich.store.imports import Imports
from enrich.store.outbox import Outbox, Pack, end_epoch
from enrich.store.write_batch import WriteBatch
from enrich.store.writer_state import RECORDER, Cursor, WriterState
from whowas.observation import Observation
from whowas.sqlite_file import transaction

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
            self._memory = WriterState(self.path, self.database)
            self.imports = Imports(self.path, self.database, self._memory)
            self.outbox = Outbox(self.path, self.database, pack, outbox_most) if pack else None
            if write:
                self.imports.drop_unfinished()
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
        with HISTORY.translate_errors(self.path, "read"):
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
        if source is None and self.imports.running:
            self.imports.drop_unfinished()
        refused: Counter[str] = Counter()
        taking = WriteBatch(self.database, self._memory, RECORDER if source is None else source)
        try:
            with HISTORY.translate_errors(self.path, "write"), transaction(self.database):
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
                self.outbox.rolled_back()
            raise
        taking.remember()
        return Written(taking.events, self._memory.standing(), refused)

    def invalidate(self) -> None:
        """Drop the cache: the file was changed other than by write()."""
        self._memory.forget()

    def maintain(self, budget_seconds: float = 0.5) -> int:
        """Pack away what has been gone for an hour, for about so long. Returns: how many objects."""
        from enrich.store.packing import pack

        with HISTORY.make_sense(self.path, "write"):
            return pack(self.database, budget_seconds=budget_seconds)


__all__ = ["KIND", "KINDS", "VERB", "VERBS", "Cursor", "EvidenceStore", "Written"]

"""A history that is being recorded: loaded once, then followed as it grows."""

from __future__ import annotations

import gc
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from enrich.evidence import KINDS
from enrich.evidence_file import in_words, open_database
from enrich.evidence_read import Reading
from enrich.history import DEFAULT, History, build
from enrich.objects import ClusterTrack
from enrich.sights import address16
from whowas.observation import Observation


class StoredHistory:
    """Who held what, as one store has it. `history` is immutable; `refresh` swaps it for a newer one.

    What was derived stays derived: only new evidence is read. The result equals that of reading all anew.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Load. Raises: StoreError."""
        self.path = os.fspath(path)
        self._database = open_database(self.path, write=False)
        self.counts: Counter[str] = Counter()
        self._load()

    def close(self) -> None:
        """Let go of the file; `history` stays usable."""
        self._database.close()

    def refresh(self) -> bool:
        """Take in what was written since. Returns: whether there was anything new. Raises: StoreError."""
        with in_words(self.path, "read"), _one_look(self._database):
            mark = self._mark()
            if mark == self._seen:
                return False
            if mark[2:4] != self._seen[2:4]:
                self._load_all(mark)
            else:
                self._follow(mark)
        return True

    def _load(self) -> None:
        with in_words(self.path, "read"), _one_look(self._database):
            self._load_all(self._mark())

    def _load_all(self, mark: tuple[int, ...]) -> None:
        with _no_collecting():
            reading = Reading(self._database)
            self._tracks = reading.tracks()
            self.counts = Counter({KINDS[kind]: count for kind, count in reading.events.items()})
            self._packed = {row: reading.batches(row) for row in self._tracks}
            self._arrange(mark)

    def _follow(self, mark: tuple[int, ...]) -> None:
        with _no_collecting():
            reading = Reading(self._database)
            for row in reading.clusters:
                track = self._tracks.setdefault(row, ClusterTrack(reading.clusters[row]))
                for batch in reading.batches(row, self._seen[1]):
                    self._packed.setdefault(row, []).append(batch)
                    for uid in batch.pods["uid"].to_pylist():
                        track.forget(uid)
            reading.spans(self._tracks)
            reading.newer(self._seen[0], self._tracks)
            self._arrange(mark)

    def _arrange(self, mark: tuple[int, ...]) -> None:
        clusters = {track.name: build(track, self._packed.get(row, ())) for row, track in self._tracks.items()}
        self.history = History(clusters or {DEFAULT: build(ClusterTrack(DEFAULT))})
        self._seen = mark

    def _mark(self) -> tuple[int, ...]:
        """What tells whether, and what, is new: events, blocks, taken out of blocks, pruned, spans."""
        row = self._database.execute(
            "SELECT (SELECT coalesce(max(id), 0) FROM event), (SELECT coalesce(max(id), 0) FROM block), "
            "(SELECT count(*) FROM dropped), (SELECT coalesce(min(id), 0) FROM block), "
            "(SELECT coalesce(sum(high_us - low_us + id), 0) FROM span), "
            "(SELECT coalesce(sum(ahead_us + behind_us), 0) FROM clock)"
        ).fetchone()
        return tuple(row)


Tracks = dict[int, ClusterTrack]


def history_of_address(path: str, address: str) -> History:
    """Return what a store knows of one address, without loading the rest. Raises: StoreError."""
    packed = address16(address) or b""
    return _part(path, lambda reading: reading.of_objects(reading.on_addresses([packed]))) or History(
        {DEFAULT: build(ClusterTrack(DEFAULT))}
    )


def history_of_name(path: str, name: str) -> History | None:
    """Return what a store knows of `namespace/pod` (or its beginning); None when no pod is called so."""
    namespace, _, begins = name.partition("/")

    def wanted(reading: Reading) -> Tracks | None:
        rows = reading.named(namespace, begins)
        # Whoever else held these addresses bounds when these pods did.
        return reading.of_objects([*rows, *reading.on_addresses(reading.addresses_of(rows))]) if rows else None

    return _part(path, wanted)


def observations_of(path: str, uids: Iterable[str]) -> list[Observation]:
    """Return every observation of some objects. Raises: StoreError."""
    with opened(path) as database:
        return Reading(database).of_uids(list(uids))


def _part(path: str, wanted: Callable[[Reading], Tracks | None]) -> History | None:
    with opened(path) as database, _no_collecting():
        tracks = wanted(Reading(database))
        return None if tracks is None else History({one.name: build(one, last=True) for one in tracks.values()})


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """One look at a store. Raises: StoreError."""
    database = open_database(path, write=False)
    try:
        with in_words(path, "read"), _one_look(database):
            yield database
    finally:
        database.close()


@contextmanager
def _one_look(database: sqlite3.Connection) -> Iterator[None]:
    """Everything read within is as of one moment, however much is written meanwhile."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.execute("COMMIT")


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Nothing here makes reference cycles, and the collector would walk all objects again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()

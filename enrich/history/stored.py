"""Follows a store as it grows, and keeps a history of it."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from enrich.history.history import DEFAULT, ClusterHistory, History, build
from enrich.holds.cluster_track import ClusterTrack
from enrich.holds.pod_tables import Batch
from enrich.store.database import HISTORY, open_database, opened
from enrich.store.encoding import KINDS
from enrich.store.reader import StoreReader
from whowas.addresses import address16
from whowas.observation import Observation
from whowas.sqlite_file import snapshot


class StoredHistory:
    """Who held what, as one store has it. `history` is immutable; `refresh` swaps it for a newer one.

    What was derived stays derived: only new evidence is read. The result equals that of reading all anew.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Load. Raises: StoreError."""
        self.path = os.fspath(path)
        self._database = open_database(self.path, write=False)
        self.counts: Counter[str] = Counter()
        self._seen: _Mark | None = None
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; `history` stays usable."""
        self._database.close()

    def refresh(self) -> bool:
        """Take in what was written since. Returns: whether there was anything new. Raises: StoreError."""
        with HISTORY.make_sense(self.path, "read"), snapshot(self._database):
            mark = self._mark()
            if mark == self._seen:
                return False
            before, self._seen = self._seen, None
            # What was read half, because the disk did not answer, is read again as a whole the next time.
            if before is not None and mark.rewritten == before.rewritten:
                self._follow(before)
            else:
                self._load_all()
            self._seen = mark
        return True

    def _load_all(self) -> None:
        with _no_collecting():
            reading = StoreReader(self._database)
            self._tracks = reading.tracks()
            self.counts = Counter({KINDS[kind]: count for kind, count in reading.events.items()})
            self._packed = {row: reading.batches(row) for row in self._tracks}
            self._arrange()

    def _follow(self, before: _Mark) -> None:
        with _no_collecting():
            reading = StoreReader(self._database)
            for row in reading.clusters:
                track = self._tracks.setdefault(row, ClusterTrack(reading.clusters[row]))
                for batch in reading.batches(row, before.block):
                    self._packed.setdefault(row, []).append(batch)
                    for uid in batch.pods["uid"].to_pylist():
                        track.forget(uid)
            reading.spans(self._tracks)
            reading.newer(before.event, self._tracks)
            self._arrange()

    def _arrange(self) -> None:
        clusters = {track.name: _built(track, self._packed.get(row, ())) for row, track in self._tracks.items()}
        self.history = History(clusters or _nothing())

    def _mark(self) -> _Mark:
        """What tells whether, and what, is new. Of an unchanging file SQLite says that nothing was written."""
        run = self._database.execute
        last = dict(run("SELECT name, seq FROM sqlite_sequence"))
        written = run("PRAGMA data_version").fetchone()[0]
        return _Mark(
            written, run("SELECT times FROM rewritten").fetchone()[0], last.get("event", 0), last.get("block", 0)
        )


class _Mark(NamedTuple):
    """How far a store was read: commits by others, times it was rewritten, last event, last block."""

    written: int
    rewritten: int
    event: int
    block: int


def _built(track: ClusterTrack, packed: Sequence[Batch] = (), *, last: bool = False) -> ClusterHistory:
    if not track.pods and not packed:
        # Where no pod was seen the clocks of nodes bound nothing.
        track.clocks.clear()
    return build(track, packed, last=last)


def _nothing() -> dict[str, ClusterHistory]:
    return {DEFAULT: build(ClusterTrack(DEFAULT))}


Tracks = dict[int, ClusterTrack]


def history_of_address(path: str, address: str) -> History:
    """Return what a store knows of one address, without loading the rest. Raises: StoreError."""
    return history_of_addresses(path, [address16(address) or b""])


def history_of_addresses(path: str, addresses: Iterable[bytes]) -> History:
    """Return what a store knows of some addresses (16 bytes each); of none: of nodes, and when somebody looked.

    Raises: StoreError.
    """
    return _part(path, lambda reading: reading.of_objects(reading.on_addresses(addresses))) or History(_nothing())


def history_of_name(path: str, name: str) -> History | None:
    """Return what a store knows of `namespace/pod` (or its beginning); None when no pod is called so."""
    # What the command line could not decode is in no name.
    namespace, _, begins = name.encode(errors="replace").decode().partition("/")

    def wanted(reading: StoreReader) -> Tracks | None:
        rows = reading.named(namespace, begins)
        # Whoever else held these addresses bounds when these pods did.
        return reading.of_objects([*rows, *reading.on_addresses(reading.addresses_of(rows))]) if rows else None

    return _part(path, wanted)


def observations_of(path: str, uids: Iterable[str], cluster: str | None = None) -> list[Observation]:
    """Return every observation of some objects, of one cluster or of all. Raises: StoreError."""
    with opened(path) as database:
        return StoreReader(database).of_uids(list(uids), cluster)


def _part(path: str, wanted: Callable[[StoreReader], Tracks | None]) -> History | None:
    with opened(path) as database, _no_collecting():
        tracks = wanted(StoreReader(database))
        if tracks is None:
            return None
        return History({one.name: _built(one, last=True) for one in tracks.values()} or _nothing())


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

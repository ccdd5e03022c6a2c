"""The one thread that owns the store: it takes what came, and makes it durable before it takes more."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from enrich.store.evidence_store import OUTBOX_MOST, Cursor, EvidenceStore, Written
from enrich.store.outbox import Outbox, Pack
from whowas.backoff import Backoff
from whowas.errors import StoreError
from whowas.metrics import Histogram
from whowas.observation import Observation
from whowas.recorder.mailbox import Mailbox, Sort, sort_of
from whowas.recorder.vitals import StoreVitals

# Files that SQLite keeps beside the store while it is written.
BESIDE = ("", "-wal", "-shm")


class Store(Protocol):
    """What the writer needs of a store."""

    def cursors(self, cluster: str) -> Mapping[str, Cursor]:
        """Return up to where each kind of object is known."""

    def write(self, observations: Sequence[Observation]) -> Written:
        """Make durable, all or nothing."""

    def maintain(self, budget_seconds: float) -> int:
        """Pack away what is over, for about so long."""

    @property
    def outbox(self) -> Outbox | None:
        """What is to go to a topic."""

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True)
class Pace:
    """How observations are grouped and how failures are met.

    within_seconds: how long an observation may wait for others; with the transaction it is durable within a second.
    retry_seconds: first wait after a failed write; doubled at each failure up to retry_most_seconds.
    maintain_every_seconds: how often the store may tidy up, for maintain_seconds at a time.
    """

    most: int = 2000
    within_seconds: float = 0.5
    idle_seconds: float = 1.0
    retry_seconds: float = 0.25
    retry_most_seconds: float = 10.0
    maintain_every_seconds: float = 10.0
    maintain_seconds: float = 0.2


@dataclass(frozen=True)
class OutboxOutlet:
    """Where changes go beside the store. tend: looks after the outbox in the writer's thread; says whether to go on."""

    pack: Pack
    tend: Callable[[Outbox], bool]
    most_bytes: int = OUTBOX_MOST


class Writer:
    """Owns the store from opening to closing, in a thread of its own."""

    def __init__(self, path: str, mailbox: Mailbox, pace: Pace = Pace(), outlet: OutboxOutlet | None = None) -> None:
        self.written: Counter[Sort] = Counter()
        self.dropped: Counter[Sort] = Counter()
        self.write_seconds = Histogram()
        self.changed: Callable[[], None] = lambda: None
        self._path = path
        self._mailbox = mailbox
        self._pace = pace
        self._outlet = outlet
        self._state, self._reason, self._since_us = "opening", "", time.time_ns() // 1000
        self._failures = self._events = 0
        self._busy_since: float | None = None
        self._failure: Exception | None = None
        self._opened = threading.Event()
        self._give_up = threading.Event()
        self._cursors: dict[str, dict[str, Cursor]] = {}
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self, clusters: Sequence[str]) -> dict[str, dict[str, Cursor]]:
        """Open the store and return each cluster's cursors. Raises: StoreError."""
        self._cursors = {name: {} for name in clusters}
        self._thread.start()
        self._opened.wait()
        if self._failure is not None:
            raise self._failure
        return self._cursors

    def stop(self, timeout_seconds: float) -> bool:
        """Write what lies in the mailbox, close the store; say whether all of it is durable.

        A store that cannot be written is given up after two thirds of the time.
        """
        self._mailbox.close()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_seconds * 2 / 3)
        self._give_up.set()
        self._thread.join(timeout_seconds / 3)
        return not self._thread.is_alive() and not self.dropped

    @property
    def failure(self) -> Exception | None:
        """Return what ended the writing for good."""
        return self._failure

    def vitals(self) -> StoreVitals:
        """Return how the store is now."""
        busy = self._busy_since
        return StoreVitals(
            self._state,
            self._since_us,
            self._reason,
            self._failures,
            self._events,
            stored_bytes(self._path),
            0.0 if busy is None else time.monotonic() - busy,
            self._thread.is_alive() or self._state == "opening",
        )

    def _say(self, state: str, reason: str = "") -> None:
        if (state, reason) == (self._state, self._reason):
            return
        if state != self._state:
            self._since_us = time.time_ns() // 1000
        self._state, self._reason = state, reason
        self.changed()

    def _run(self) -> None:
        try:
            store = self._open()
            self._cursors = {name: dict(store.cursors(name)) for name in self._cursors}
        except Exception as error:  # noqa: BLE001 - start() raises it in the caller's thread
            self._failure = error
            self._say("closed", str(error))
            self._opened.set()
            return
        self._say("writing")
        self._opened.set()
        try:
            self._serve(store)
            self._say("closed")
        except Exception as error:  # noqa: BLE001 - kept for the main thread, which raises it
            self._failure = error
            self._say("damaged", str(error))
        finally:
            self._drop_rest()
            store.close()

    def _open(self) -> EvidenceStore:
        outlet = self._outlet
        if outlet is None:
            return EvidenceStore(self._path, write=True)
        return EvidenceStore(self._path, write=True, pack=outlet.pack, outbox_most=outlet.most_bytes)

    def _serve(self, store: Store) -> None:
        tidied = time.monotonic()
        more = False
        while True:
            # Asked before taking: what is put between an empty take and the end would be forgotten.
            last = self._mailbox.closed
            batch = self._mailbox.take(
                self._pace.most, self._pace.within_seconds, 0.0 if more else self._pace.idle_seconds
            )
            if batch:
                self._write(store, batch)
            elif last:
                return
            more = not last and self._tend(store)
            if not last and time.monotonic() - tidied > self._pace.maintain_every_seconds:
                self._tidy(store)
                tidied = time.monotonic()

    def _tidy(self, store: Store) -> None:
        """Let the store pack what is over. What keeps it from that for the moment, it may try again another time."""
        with self._passing():
            store.maintain(self._pace.maintain_seconds)

    def _tend(self, store: Store) -> bool:
        """Let the outbox be looked after. Returns: whether there is more to do at once."""
        more = False
        if self._outlet is not None and store.outbox is not None:
            with self._passing():
                more = self._outlet.tend(store.outbox)
        return more

    @contextmanager
    def _passing(self) -> Iterator[None]:
        """Count what may go better another time. Raises: StoreError when it will not."""
        try:
            yield
        except StoreError as error:
            if not error.passing:
                raise
            self._failures += 1

    def _write(self, store: Store, batch: list[Observation]) -> None:
        """Write a batch; what is not durable is kept and tried again, until it is or until we are told to leave."""
        backoff = Backoff(self._pace.retry_seconds, self._pace.retry_most_seconds, steady=1.0)
        durable = False
        try:
            while not durable and not self._give_up.is_set():
                durable = self._try(store, batch)
                if not durable:
                    self._give_up.wait(backoff.pause())
        finally:
            if not durable:
                self.dropped.update(map(sort_of, batch))

    def _try(self, store: Store, batch: list[Observation]) -> bool:
        """Write once; False when it may go better another time. Raises: StoreError when it will not."""
        try:
            self._time(store, batch)
        except StoreError as error:
            if not error.passing:
                raise
            self._failures += 1
            self._say("failing", str(error))
            return False
        self._say("writing")
        return True

    def _time(self, store: Store, batch: list[Observation]) -> None:
        began = self._busy_since = time.monotonic()
        try:
            self._events += store.write(batch).events
        finally:
            self._busy_since = None
        self.write_seconds.add(time.monotonic() - began)
        self.written.update(map(sort_of, batch))

    def _drop_rest(self) -> None:
        """Count what nobody will write, and let the watches go that wait with more."""
        self._mailbox.close()
        while rest := self._mailbox.take(self._pace.most, 0, 0):
            self.dropped.update(map(sort_of, rest))


def stored_bytes(path: str) -> int:
    """Return the size of the store with the files beside it."""
    total = 0
    for end in BESIDE:
        try:
            total += os.stat(path + end).st_size
        except OSError:
            continue
    return total

"""Keeps a store of our own that says what a topic of evidence says; StoredHistory follows it like any other.

Several processes of one machine may share the file: one feeds it, the others wait until that one has gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from enrich.store.replica import Position, ReplicaStore, position
from ingest.kafka.log import Log, open_log
from whowas.backoff import Backoff
from whowas.errors import StoreError, StoreTakenError, WhowasError
from whowas.evidence_topic.apply import Applier, Restart
from whowas.evidence_topic.settings import TopicSettings
from whowas.evidence_topic.vitals import ReplicaVitals

AT_ONCE = 500
READ_SECONDS = 0.5
EDGES_SECONDS = 5.0
MAINTAIN_SECONDS, MAINTAIN_EVERY = 0.2, 10.0
TAKEN_SECONDS = 2.0
QUIET_SECONDS = 5.0
RETRY_SECONDS, RETRY_MOST_SECONDS = 0.25, 10.0


class Replica:
    """Fills a store from a topic, in a thread. A context manager: leaving it stops.

    Args: path: the replica's file, made where there is none; a recorder's store is refused.
    """

    def __init__(self, path: str, settings: TopicSettings) -> None:
        self.path = path
        self._settings = settings
        self.changed: Callable[[], None] = lambda: None
        self._state, self._reason = "connecting", ""
        self._applier = Applier(settings.topic)
        # What the topic held when we came: before that is taken in, nobody should be named by us.
        self._target: int | None = None
        self._end = 0
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Stop reading. What was taken in stays, and is gone on from."""
        self._leave.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def __enter__(self) -> Replica:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until nothing keeps it from being ready, no longer than so. Returns: whether it is."""
        until = time.monotonic() + timeout_seconds
        while self.unready():
            if time.monotonic() > until or self._leave.wait(0.1):
                return False
        return True

    def unready(self) -> list[str]:
        """Return why names should not be taken from it yet, in words; nothing when they can."""
        where = f"replica of topic {self._settings.topic}"
        if self._target is None:
            return [f"{where}: {self._state}: {self._reason or 'no answer of the broker yet'}"]
        try:
            now = position(self.path)
        except StoreError as error:
            return [str(error)]
        if now is None:
            return [f"{where}: nothing is taken in yet"]
        return [f"{where}: {reason}" for reason in _lacks(now, self._target)]

    def vitals(self) -> ReplicaVitals:
        """Return how it is now. May be called from any thread."""
        try:
            now = position(self.path)
        except StoreError:
            now = None
        at = now.next if now else 0
        behind = None if self._target is None else max(self._end - at, 0)
        done = self._applier
        return ReplicaVitals(
            self._settings.topic, self._state, self._reason, at, behind, done.events, done.messages, done.rebuilt,
            done.foreign, dict(done.refused),
        )  # fmt: skip

    def _say(self, state: str, reason: str = "") -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self.changed()

    def _run(self) -> None:
        backoff = Backoff(RETRY_SECONDS, RETRY_MOST_SECONDS, steady=1.0)
        while not self._leave.is_set():
            try:
                self._session()
                backoff.healthy()
                wait = RETRY_SECONDS
            except StoreTakenError as error:
                self._say("shared", str(error))
                wait = TAKEN_SECONDS
            except WhowasError as error:
                self._say("failing", str(error))
                wait = backoff.pause()
            self._leave.wait(wait)
        self._say("stopped")

    def _session(self) -> None:
        """Read until something fails, or until we are told to leave."""
        settings = self._settings
        log = open_log(settings.client, settings.options, settings.topic)
        try:
            self._edges(log)
            store = ReplicaStore(self.path, settings.topic)
            try:
                self._say("reading")
                while not self._leave.is_set():
                    self._seek(log, store)
                    try:
                        self._follow(log, store)
                    except Restart:
                        continue
            finally:
                store.close()
        finally:
            log.close()

    def _edges(self, log: Log) -> int:
        first, self._end = log.edges()
        if self._target is None:
            self._target = self._end
        return first

    def _seek(self, log: Log, store: ReplicaStore) -> None:
        """Go on where the replica is; forget everything when the topic is shorter than what was read of it."""
        first = self._edges(log)
        if store.next > self._end:
            self._applier.rebuild(store, lambda _: 0)
            self._target = self._end
        if store.next > first and not self._still_there(log, store):
            # Another topic of the name, or what we read last was compacted away: what is known comes as repeats.
            store.skip(0, b"")
        log.seek(max(store.next, first))

    def _still_there(self, log: Log, store: ReplicaStore) -> bool:
        """Say whether what was read last lies where it lay."""
        log.seek(store.next - 1)
        until = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < until:
            for record in log.read(READ_SECONDS, 1):
                return (record.offset, record.key) == (store.next - 1, store.key)
        return False

    def _follow(self, log: Log, store: ReplicaStore) -> None:
        """Raises: Restart, when the topic is to be read from another place."""
        looked = tidied = time.monotonic()
        while not self._leave.is_set():
            records = log.read(READ_SECONDS, AT_ONCE)
            if records and records[0].offset < store.next:
                # The client went back by itself: what we had read is not there any more.
                self._applier.rebuild(store, lambda _: 0)
                raise Restart
            if records:
                self._end = max(self._end, self._applier.take(store, records))
            now = time.monotonic()
            if now - looked > EDGES_SECONDS:
                looked = now
                self._edges(log)
                if store.next > self._end:
                    raise Restart
            if now - tidied > MAINTAIN_EVERY:
                tidied = now
                store.maintain(MAINTAIN_SECONDS)


def _lacks(now: Position, target: int) -> list[str]:
    if now.next < target:
        return [f"{target - now.next:,} messages are not taken in yet"]
    if not now.origins:
        return ["there is no evidence in it yet"]
    found = [one.lost for one in now.origins if one.lost]
    return found + [f"store {one.store} has not told all yet" for one in now.origins if not one.live and not one.lost]

"""A recorder without a cluster: the real writer and the real publisher, given what a test has to tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from enrich.store.evidence_store import Cursor
from enrich.store.outbox import OutboxReader
from ingest.cluster.evidence.messages import to_messages
from whowas.evidence_topic import Publisher, PublisherVitals, Replica, TopicSettings
from whowas.observation import Observation
from whowas.recorder.mailbox import Mailbox
from whowas.recorder.writer import OutboxOutlet, Pace, Writer

QUICK = Pace(within_seconds=0.02, idle_seconds=0.05, retry_seconds=0.1, maintain_every_seconds=0.2)


def wait_for(what: Callable[[], object], why: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so; `why` says what was so instead."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, why()
        time.sleep(0.02)


class Teller:
    """Writes into a store and fills a topic. A context manager: leaving it stops, in order."""

    def __init__(self, path: Path, settings: TopicSettings, most: int = 1 << 30, resend: bool = False) -> None:
        self.path = path
        self.cursors: dict[str, dict[str, Cursor]] = {}
        self.mailbox = Mailbox(8000)
        self.publisher = Publisher(str(path), settings, resend=resend)
        self.writer = Writer(str(path), self.mailbox, QUICK, OutboxOutlet(to_messages, self.publisher.tend, most))

    def __enter__(self) -> Teller:
        self.cursors = self.writer.start(["c"])
        self.publisher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.writer.stop(10)
        self.publisher.stop(10)

    def tell(self, observations: Iterable[Observation], at_once: int = 20) -> None:
        """Give to the writer, in groups."""
        every = list(observations)
        for low in range(0, len(every), at_once):
            self.mailbox.put(every[low : low + at_once])

    def now(self) -> PublisherVitals:
        return self.publisher.vitals()

    def settle(self, seconds: float = 30) -> None:
        """Wait until the topic has everything."""
        wait_for(self._settled, lambda: (self.now(), self.writer.vitals()), seconds)

    def _settled(self) -> bool:
        if len(self.mailbox) or self.writer.written.total() < self.mailbox.received.total():
            return False
        reader = OutboxReader(str(self.path))
        found = reader.look(most=1)
        reader.close()
        return found.epoch is not None and found.epoch.whole and not found.rows and not found.ended


def caught_up(path: Path, settings: TopicSettings, seconds: float = 30) -> None:
    """Let a replica take in all that the topic has now."""
    with Replica(str(path), settings) as replica:
        assert replica.wait_ready(seconds), (replica.unready(), replica.vitals())

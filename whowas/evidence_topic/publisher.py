"""Sends what a store's outbox holds to a topic, in order, and lets the writer know what has arrived.

1. The writer puts what changes into the outbox, in the transaction that changes it (enrich/store/outbox.py).
2. This thread reads the outbox, sends, and waits until every replica of the broker in sync has it.
3. The writer removes what has arrived. A crash before that sends it again; replicas know it by its number.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from enrich.store.outbox import LIVE, Outbox, OutboxReader, Waiting
from enrich.store.replica import Message
from ingest.kafka.log import Log, open_log
from sinks.kafka import connect
from sinks.kafka.producer import Message as KafkaMessage
from sinks.kafka.producer import Producer
from whowas import kafka_topics
from whowas.backoff import Backoff
from whowas.errors import ConfigError, WhowasError
from whowas.evidence_topic.settings import TopicSettings, key_of, message_of
from whowas.evidence_topic.vitals import PublisherVitals
from whowas.kafka import BrokerError

AT_ONCE = 32
TOMBSTONES_AT_ONCE = 10_000
FLUSH_SECONDS = 5.0
LOOK_SECONDS = 0.5
STEP_SECONDS = 0.1
RETRY_SECONDS, RETRY_MOST_SECONDS = 0.25, 10.0
# A read that brings nothing for so long has come to the end.
QUIET_SECONDS = 5.0
# Epoch, number, value.
Newest = tuple[int, int, bytes]


class Publisher:
    """Fills a topic from a store. `tend` is called by the store's writer; everything else happens in a thread.

    Args: path: the store. resend: tell everything anew.
    """

    def __init__(self, path: str, settings: TopicSettings, *, resend: bool = False) -> None:
        self._path, self._settings = path, settings
        self.changed: Callable[[], None] = lambda: None
        self._state, self._reason, self._since_us = "connecting", "", time.time_ns() // 1000
        self._warning = ""
        self._sent = self._failures = self._epochs = self._overflows = 0
        self._size = (0, 0)
        self._clear_at = time.monotonic()
        self._acknowledged = (0, 0)
        # An epoch that must be left behind, with all before it; None: the one that is open goes on.
        self._anew: int | None = 0 if resend else None
        self._erased: deque[int] = deque()
        self._connected = False
        self._news, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Send what there is, no longer than so, and end. What is left is sent after the next start."""
        self._leave.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def vitals(self) -> PublisherVitals:
        """Return how it is now. May be called from any thread."""
        behind = time.monotonic() - self._clear_at if self._size[0] else 0.0
        return PublisherVitals(
            self._settings.topic, self._state, self._since_us, self._reason, self._warning, *self._size, behind,
            self._sent, self._failures, self._overflows, self._epochs,
        )  # fmt: skip

    def tend(self, outbox: Outbox) -> bool:
        """Do what only the writer's thread may. Returns: whether there is more to do at once. Raises: StoreError."""
        outbox.acknowledge(*self._acknowledged)
        while self._erased:
            outbox.erased(self._erased[0])
            self._erased.popleft()
        if self._anew is not None or (self._connected and not outbox.is_open()):
            outbox.begin(self._anew or 0)
            self._anew = None
            self._epochs += 1
        more = outbox.step(STEP_SECONDS)
        self._size, self._overflows = outbox.size(), outbox.overflows
        self._news.set()
        return more

    def _say(self, state: str, reason: str = "") -> None:
        if state != self._state:
            self._since_us = time.time_ns() // 1000
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self.changed()

    def _run(self) -> None:
        backoff = Backoff(RETRY_SECONDS, RETRY_MOST_SECONDS, steady=1.0)
        while not self._leave.is_set():
            began = time.monotonic()
            try:
                self._session()
            except WhowasError as error:
                self._failures += 1
                self._say("failing", str(error))
            self._connected = False
            if time.monotonic() - began > RETRY_MOST_SECONDS:
                backoff.healthy()
            self._leave.wait(backoff.pause())
        self._say("stopped")

    def _session(self) -> None:
        """Send until something fails, or until we are told to leave and all is sent."""
        told = self._settings
        self._look_at_topic()
        reader, producer = OutboxReader(self._path), connect.connect(told.client, told.options)
        try:
            self._compare(reader)
            self._connected = True
            self._say("publishing")
            while self._send(reader, producer) or not self._leave.is_set():
                pass
        finally:
            reader.close()
            producer.close()

    def _look_at_topic(self) -> None:
        told = self._settings
        found = kafka_topics.keep_for_ever(told.client, told.options, told.topic)
        if found.partitions != 1:
            raise ConfigError(
                f"cannot keep evidence in topic '{told.topic}': it has {found.partitions} partitions, between which "
                "there is no order; make one with a single partition"
            )
        loses = found.policy is not None and found.policy != "compact"
        self._warning = (
            f"topic {told.topic} has cleanup.policy={found.policy}: it will lose history; set it to compact"
            if loses
            else ""
        )

    def _compare(self, reader: OutboxReader) -> None:
        """See whether the topic has what it acknowledged, and nothing that this store does not know of.

        Otherwise it was made anew, or this store is an older copy of itself: all is told anew.
        """
        found = reader.look(most=1)
        now = found.epoch
        if now is None or self._anew is not None:
            return
        acknowledged = now.number(found.rows[0][0]) - 1 if found.rows else now.last
        if acknowledged == 0:
            return
        newest = self._newest(found.store)
        if newest is None:
            self._anew = 0
            return
        epoch, number, value = newest
        # What came after the last that was acknowledged is in the outbox still, to the byte.
        ours = number == acknowledged or (number > acknowledged and reader.value(now, number) == value)
        if epoch != now.epoch or not ours:
            self._anew = epoch

    def _newest(self, store: str) -> Newest | None:
        """Return the newest message that the topic has of a store."""
        told = self._settings
        log = open_log(told.client, told.options, told.topic)
        try:
            first, end = log.edges()
            back = 256
            while True:
                low = max(first, end - back)
                log.seek(low)
                found = _newest_of(log, end, store) if end > low else None
                if found is not None or low == first:
                    return found
                back *= 8
        finally:
            log.close()

    def _send(self, reader: OutboxReader, producer: Producer) -> bool:
        """Send some of what waits. Returns: whether there was anything."""
        self._news.clear()
        found = reader.look(self._acknowledged, AT_ONCE) if self._anew is None else None
        if found is None or found.epoch is None:
            self._news.wait(LOOK_SECONDS)
            return False
        now = found.epoch
        if found.rows:
            places = [Message(found.store, now.epoch, now.number(row), row > LIVE) for row, _ in found.rows]
            messages = [(key_of(place), value) for place, (_, value) in zip(places, found.rows, strict=True)]
            self._deliver(producer, messages)
            self._acknowledged = (now.epoch, found.rows[-1][0])
            self._sent += len(messages)
            return True
        self._clear_at = time.monotonic()
        if now.whole and found.ended and not self._leave.is_set():
            self._erase(producer, found)
        self._news.wait(LOOK_SECONDS)
        return False

    def _deliver(self, producer: Producer, messages: Sequence[KafkaMessage]) -> None:
        """Send, and wait for as long as it takes. Raises: BrokerError."""
        # While it is not known whether anything arrives no epoch is begun.
        self._connected = False
        producer.send(self._settings.topic, messages)
        while not producer.flush(FLUSH_SECONDS):
            self._say("failing", f"the broker has not answered for {FLUSH_SECONDS:.0f} s; it is tried on")
            if self._leave.is_set():
                raise BrokerError("cannot send the rest of the outbox: the broker does not answer; it is sent later")
        self._connected = True
        self._say("publishing")

    def _erase(self, producer: Producer, found: Waiting) -> None:
        """Let the topic forget the epochs before: all that they said is in the newest."""
        for epoch, snapshot, live in found.ended:
            if epoch in self._erased:
                continue
            places = (
                Message(found.store, epoch, number, number > snapshot) for number in range(1, snapshot + live + 1)
            )
            while several := list(islice(places, TOMBSTONES_AT_ONCE)):
                self._deliver(producer, [(key_of(one), None) for one in several])
            self._erased.append(epoch)


def _newest_of(log: Log, end: int, store: str) -> Newest | None:
    """Read up to an offset. Returns: the newest message of a store among what was read."""
    found: Newest | None = None
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        for record in log.read(0.5, 500):
            until = time.monotonic() + QUIET_SECONDS
            place = message_of(record.key) if record.value else None
            if place is not None and place.store == store:
                found = max(found or (0, 0, b""), (place.epoch, place.number, record.value))
            if record.offset >= end - 1:
                return found
    return found

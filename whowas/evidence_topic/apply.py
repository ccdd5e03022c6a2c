"""Applies messages of a topic to a replica: each once, in the order of its store, no hole unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from enrich.store.replica import Message, Origin, ReplicaStore
from ingest.cluster.evidence.messages import from_message
from ingest.kafka.log import Record
from whowas.errors import InputError
from whowas.evidence_topic.settings import message_of
from whowas.observation import Observation

OBSERVATIONS_AT_ONCE = 5000


class Restart(Exception):
    """The topic is read from another place from here on: from where the store is now."""


class Applier:
    """The rule by which messages are taken in, and counts of what came; ReplicaVitals says what they are."""

    def __init__(self, topic: str) -> None:
        self.events = self.messages = self.rebuilt = self.foreign = 0
        self.refused: Counter[str] = Counter()
        self._topic = topic
        # Stores and epochs for which the topic was read again already, because messages were missing.
        self._reread: set[tuple[str, int]] = set()

    def rebuild(self, store: ReplicaStore, keep: Callable[[Origin], int]) -> None:
        """Forget everything. keep: the epoch of which each origin may tell from now on."""
        self.rebuilt += 1
        self._reread.clear()
        store.forget(keep)

    def take(self, store: ReplicaStore, records: Sequence[Record]) -> int:
        """Take in what was read, as much as one store told in one transaction.

        Returns: the offset behind it. Raises: Restart, when the topic is to be read from another place; StoreError.
        """
        pending = _Pending(store)
        for record in records:
            place = message_of(record.key)
            self.messages += 1
            if place is None:
                self.foreign += 1
            elif record.value:
                self._take_message(store, pending, place, record)
            pending.offset, pending.key = record.offset + 1, record.key
            if len(pending.observations) >= OBSERVATIONS_AT_ONCE:
                self.events += pending.write()
        self.events += pending.write()
        return pending.offset

    def _take_message(self, store: ReplicaStore, pending: _Pending, place: Message, record: Record) -> None:
        origin = store.origin(place.store)
        if place.epoch < origin.epoch or (place.epoch == origin.epoch and place.number <= origin.number):
            return
        if place.epoch > origin.epoch:
            self.events += pending.write()
            self._begin(store, origin, place)
        if origin.lost:
            return
        if place.number > origin.number + 1:
            self.events += pending.write()
            self._missing(store, origin, place)
            return
        try:
            found = from_message(record.value, f"message {record.offset} of topic {self._topic}", self.refused)
        except InputError as error:
            origin.lost = str(error)
            return
        if pending.origin is not origin:
            self.events += pending.write()
            pending.origin = origin
        origin.number, origin.live = place.number, place.live
        pending.observations += found

    def _begin(self, store: ReplicaStore, origin: Origin, place: Message) -> None:
        """A store tells all anew: what it had told before goes. Raises: Restart, when that was anything."""
        if origin.number == 0:
            origin.epoch, origin.live, origin.lost = place.epoch, False, ""
            return
        # What others told goes with it, and is read again: in the tables it is one.
        self.rebuild(store, lambda one: place.epoch if one is origin else one.epoch)
        raise Restart

    def _missing(self, store: ReplicaStore, origin: Origin, place: Message) -> None:
        """Messages are missing: look for them from the beginning, once. Raises: Restart, when that is worth it."""
        if (origin.store, origin.epoch) not in self._reread:
            self._reread.add((origin.store, origin.epoch))
            store.skip(0, b"")
            raise Restart
        origin.lost = (
            f"messages {origin.number + 1:,} to {place.number - 1:,} of store {origin.store} are not in the topic any "
            "more; set its cleanup.policy to compact, and start that recorder with --resend"
        )


class _Pending:
    """What was read and is not written. All of it was told by one store."""

    def __init__(self, store: ReplicaStore) -> None:
        self._store = store
        self.origin: Origin | None = None
        self.observations: list[Observation] = []
        self.offset: int = store.next
        self.key: bytes = store.key

    def write(self) -> int:
        """Make it durable. Returns: events that said something new."""
        events = 0
        if self.origin is not None and self.observations:
            events = self._store.take(self.origin, self.observations, self.offset, self.key)
        elif self.offset != self._store.next:
            self._store.skip(self.offset, self.key)
        self.origin, self.observations = None, []
        return events

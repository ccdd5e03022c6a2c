"""Records from Kafka through confluent-kafka: librdkafka, which fetches in threads of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ingest.kafka.consumer import (
    ASK_SECONDS,
    FETCH_BYTES,
    FETCH_WAIT_MS,
    Offsets,
    Owning,
    Subscription,
    no_tombstones,
    times_us,
    trouble,
)
from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import BrokerError, Partition, Piece, Value
from whowas.kafka_errors import lasts_in_confluent


@dataclass
class _Committing:
    """Offsets on their way to the broker, and what it said."""

    offsets: Offsets
    answered: bool = False
    error: Any = None


class ConfluentConsumer:
    """confluent-kafka: librdkafka, which fetches in threads of its own."""

    def __init__(self, options: Mapping[str, Value], wanted: Subscription, owning: Owning) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise MissingExtra("confluent_kafka", "confluent") from error
        self._confluent = confluent_kafka
        self._trouble: Any = None
        self._admin: Any = None
        self._committing: _Committing | None = None
        self._known: Offsets = {}
        self._begun: Offsets = {}
        self._options = options
        chosen = {
            "queued.max.messages.kbytes": FETCH_BYTES >> 10,
            "fetch.max.bytes": FETCH_BYTES,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "reconnect.backoff.max.ms": 2000,
        }
        own = {
            "group.id": wanted.group,
            "auto.offset.reset": wanted.start,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "log_level": 0,
            "error_cb": self._noted,
            "on_commit": self._committed,
        }
        with self._translate_errors("reach the broker"):
            try:
                self._consumer = confluent_kafka.Consumer({**chosen, **options, **own})
            except confluent_kafka.KafkaException as error:
                raise ConfigError(f"cannot configure confluent-kafka: {_reason(error)}; see [kafka.options]") from error
            if wanted.topics:
                self._subscribe(wanted, owning)

    def _subscribe(self, wanted: Subscription, owning: Owning) -> None:
        def lost(_: Any, found: Any) -> None:
            gone = [_partition(one) for one in found]
            self._begun = {one: offset for one, offset in self._begun.items() if one not in gone}
            self._known = {one: offset for one, offset in self._known.items() if one not in gone}
            owning.lost(gone)

        def gained(_: Any, found: Any) -> None:
            if wanted.start == "latest":
                self._begin(found)
            owning.gained([_partition(one) for one in found])

        self._consumer.subscribe(list(wanted.topics), on_assign=gained, on_revoke=lost, on_lost=lost)

    def _begin(self, found: Any) -> None:
        """Say where partitions begin of which nothing was committed: at what is their end now, which we then know.

        To go there later is no way: librdkafka, told so while it looks for the end itself, may never fetch again.
        """
        with suppress(BrokerError):
            known = self.committed([_partition(one) for one in found])
            new = [one for one in found if _partition(one) not in known]
            with self._translate_errors("ask Kafka what it keeps"):
                ends = self._offsets([_partition(one) for one in new], "latest") if new else {}
            for one in new:
                one.offset = ends[_partition(one)]
            cooperative = "cooperative" in str(self._options.get("partition.assignment.strategy", ""))
            (self._consumer.incremental_assign if cooperative else self._consumer.assign)(found)
            self._begun |= ends

    def _noted(self, error: Any) -> None:
        """Of outages librdkafka tells without end and knows no end: whoever asks for bounds hears of them."""
        if not self._error("", error).passing:
            self._trouble = error

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except self._confluent.KafkaException as error:
            if self._admin is not None:
                self._admin.poll(0)  # which may tell why
            self._raise_trouble()
            raise self._error(verb, error.args[0]) from error
        except TimeoutError as error:
            raise BrokerError(trouble(verb, "no answer")) from error

    def _error(self, verb: str, error: Any) -> BrokerError:
        return BrokerError(trouble(verb, error.str()), not lasts_in_confluent(error))

    def poll(self, seconds: float, most: int) -> list[Piece]:
        with self._translate_errors("read from Kafka"):
            messages: list[Any] = self._consumer.consume(most, seconds)
        if not messages:
            self._raise_trouble()
        kind = self._confluent.Message
        if wrong := [error for error in map(kind.error, messages) if error is not None]:
            for error in wrong:
                self._pass_over(error)
            messages = [one for one in messages if one.error() is None]
        return _pieces(messages, kind)

    def _pass_over(self, error: Any) -> None:
        """Keep what a partition's messages say is wrong; it is raised when nothing else came."""
        if error.code() != self._confluent.KafkaError._PARTITION_EOF:
            self._trouble = error

    def _raise_trouble(self) -> None:
        error, self._trouble = self._trouble, None
        if error is not None:
            raise self._error("read from Kafka", error)

    def _theirs(self, partitions: Iterable[Partition]) -> list[Any]:
        held = {_partition(one) for one in self._consumer.assignment()}
        return [self._confluent.TopicPartition(*one) for one in partitions if one in held]

    def pause(self, partitions: Iterable[Partition]) -> None:
        with self._translate_errors("pause reading"):
            self._consumer.pause(self._theirs(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        with self._translate_errors("go on reading"):
            self._consumer.resume(self._theirs(partitions))

    def commit(self, offsets: Offsets) -> bool:
        """Sent now, answered in `poll`: librdkafka's other way waits for a broker that is down, and we with it."""
        before = self._committing
        if before is not None and before.answered:
            self._committing = None
            if before.error is not None:
                raise self._error("commit to Kafka", before.error)
            self._known |= before.offsets
        # Two may ask in turn, for partitions of their own; each must hear of its own.
        if offsets.items() <= self._known.items():
            return True
        if self._committing is None:
            told = [self._confluent.TopicPartition(*one, offset) for one, offset in offsets.items()]
            with self._translate_errors("commit to Kafka"):
                self._consumer.commit(offsets=told, asynchronous=True)
            self._committing = _Committing(offsets)
        return False

    def _committed(self, error: Any, partitions: Any) -> None:
        if self._committing is not None:
            self._committing.error = error or next((one.error for one in partitions if one.error is not None), None)
            self._committing.answered = True

    def begin_at(self, offsets: Offsets) -> Offsets:
        starts = {one: self._begun.get(one, offset) for one, offset in offsets.items()}
        with self._translate_errors("begin reading"):
            for one in self._theirs(starts.keys() - self._begun.keys()):
                one.offset = starts[_partition(one)]
                self._consumer.seek(one)
        return starts

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        asked = [self._confluent.TopicPartition(*one) for one in partitions]
        with self._translate_errors("ask Kafka what was committed"):
            return {_partition(one): one.offset for one in self._consumer.committed(asked, 10) if one.offset >= 0}

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        if not partitions:
            return {}
        with self._translate_errors("ask Kafka what it keeps"):
            first, end = (self._offsets(partitions, word) for word in ("earliest", "latest"))
        return {one: (first[one], end[one]) for one in partitions}

    def _offsets(self, partitions: Sequence[Partition], word: str) -> Offsets:
        from confluent_kafka import admin

        spec: Any = vars(admin)["OffsetSpec"]
        asked = {self._confluent.TopicPartition(*one): getattr(spec, word)() for one in partitions}
        answers = self._asking().list_offsets(asked, request_timeout=ASK_SECONDS)
        try:
            return {_partition(one): answer.result(ASK_SECONDS + 1).offset for one, answer in answers.items()}
        except self._confluent.KafkaException as error:
            if error.args[0].code() > 0:
                # The broker's own word: this client would ask the same leader in the same epoch for minutes.
                self._admin = None
            raise

    def partitions(self, topic: str) -> list[Partition]:
        with self._translate_errors("ask Kafka for its topics"):
            found = self._asking().list_topics(topic, ASK_SECONDS).topics[topic]
        if found.error is not None and found.error.code() != self._confluent.KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise self._error("ask Kafka for its topics", found.error)
        return [Partition(topic, number) for number in sorted(found.partitions)]

    def _asking(self) -> Any:
        """A client for questions, on a connection of its own: a consumer's wait behind its fetches."""
        from confluent_kafka.admin import AdminClient

        if self._admin is None:
            quiet: dict[str, Any] = {"log_level": 0, "error_cb": self._noted}
            self._admin = AdminClient({**self._options, **quiet})
        return self._admin

    def membership(self) -> Any:
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        with self._translate_errors("leave Kafka"):
            self._consumer.close()


def _pieces(messages: list[Any], kind: Any) -> list[Piece]:
    """confluent-kafka's messages by partition. A method mapped over all takes a third of what calls in a loop take."""
    runs: dict[Partition, list[Any]] = {}
    at = 0
    for where, run in itertools.groupby(zip(map(kind.topic, messages), map(kind.partition, messages), strict=True)):
        end = at + len(list(run))
        runs.setdefault(Partition(*where), []).extend(messages[at:end])
        at = end
    return [
        Piece(
            where,
            no_tombstones(list(map(kind.value, run))),
            list(map(kind.offset, run)),
            times_us([time_ms for _, time_ms in map(kind.timestamp, run)]),
        )
        for where, run in runs.items()
    ]


def _partition(one: Any) -> Partition:
    return Partition(one.topic, one.partition)


def _reason(error: Any) -> str:
    return str(error.args[0].str()) if hasattr(error.args[0], "str") else str(error)

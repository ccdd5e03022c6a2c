"""Records from Kafka, through either client: poll, commit, and who owns which partition. No other module reads Kafka.

Nothing is committed but by `commit`: what was polled and not committed is polled again by whoever owns it next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from whowas.brokers import IN, BrokerError, Partition, Piece, Value, for_kafka_python, refuse_ours
from whowas.errors import ConfigError, MissingExtra

Offsets = dict[Partition, int]
# What one answer of the broker may hold, so that lag costs no memory.
FETCH_BYTES = 16 << 20


@dataclass(frozen=True)
class Subscription:
    """What is read; without topics no group is joined. start: earliest or latest, where the group has no offsets.

    group None: nobody's; partitions are assigned by hand.
    """

    topics: Sequence[str]
    group: str | None
    start: str = "earliest"


class Owning(NamedTuple):
    """Called from within `poll` when partitions come and go; must not call the consumer."""

    gained: Callable[[list[Partition]], None]
    lost: Callable[[list[Partition]], None]


class Consumer(Protocol):
    """A member of a consumer group. Every method raises BrokerError; `passing` says whether to try again."""

    def poll(self, seconds: float, most: int) -> list[Piece]:
        """Return what has come; wait for it no longer than so."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Let partitions wait in Kafka."""

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undo pause."""

    def commit(self, offsets: Offsets) -> None:
        """Say which record of each partition is wanted next; on return the broker knows."""

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        """Return what was committed, where anything was."""

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first offset that is kept and the one behind the last."""

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic; none where there is no such topic."""

    def membership(self) -> Any:
        """Return what a transaction needs to commit for this member."""

    def close(self) -> None:
        """Leave the group."""


def connect(client: str, options: Mapping[str, Value], wanted: Subscription, owning: Owning) -> Consumer:
    """Join a group through one of whowas.brokers.CLIENTS. Raises: ConfigError, MissingExtra, BrokerError."""
    refuse_ours(options)
    made: Callable[..., Consumer] = _Confluent if client == "confluent" else _KafkaPython
    return made(options, wanted, owning)


class _KafkaPython:
    """kafka-python 3."""

    def __init__(self, options: Mapping[str, Value], wanted: Subscription, owning: Owning) -> None:
        try:
            import crc32c  # noqa: F401 - without it kafka-python computes checksums eight times slower
            import kafka
        except ImportError as error:
            raise MissingExtra(str(error.name), "kafka") from error
        # What it logs, poll raises or the state shows; at a broker that is down it logs without end.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self._kafka = kafka
        own = {
            "group_id": wanted.group,
            "auto_offset_reset": wanted.start,
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
        }
        chosen = {"fetch_max_bytes": FETCH_BYTES, "bootstrap_timeout_ms": 5000, "reconnect_backoff_max_ms": 2000}
        with self._in_words("reach the broker"):
            self._consumer = kafka.KafkaConsumer(**chosen | for_kafka_python(options, IN) | own)
            if wanted.topics:
                self._consumer.subscribe(list(wanted.topics), listener=self._listener(owning))

    def _listener(self, owning: Owning) -> Any:
        class Listener(self._kafka.ConsumerRebalanceListener):  # type: ignore[misc,name-defined]
            def on_partitions_assigned(self, assigned: Any) -> None:
                owning.gained([Partition(*one) for one in assigned])

            def on_partitions_revoked(self, revoked: Any) -> None:
                owning.lost([Partition(*one) for one in revoked])

            def on_partitions_lost(self, lost: Any) -> None:
                owning.lost([Partition(*one) for one in lost])

        return Listener()

    @contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        errors = self._kafka.errors
        try:
            yield
        except (errors.KafkaError, OSError) as error:
            raise BrokerError(_words(verb, error), not isinstance(error, self._lasting())) from error
        except (AssertionError, TypeError, ValueError) as error:
            raise ConfigError(f"cannot configure kafka-python: {error}; see [kafka.options]") from error

    def _lasting(self) -> tuple[type[Exception], ...]:
        errors = self._kafka.errors
        return (
            errors.AuthorizationError,
            errors.SaslAuthenticationFailedError,
            errors.UnsupportedSaslMechanismError,
            errors.IllegalSaslStateError,
            errors.KafkaConfigurationError,
            errors.InvalidTopicError,
            errors.InvalidGroupIdError,
            errors.FencedInstanceIdError,
        )

    def poll(self, seconds: float, most: int) -> list[Piece]:
        with self._in_words("read from Kafka"):
            found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=most)
        return [
            Piece(
                Partition(*one),
                [record.value or b"" for record in records],
                [record.offset for record in records],
                [record.timestamp * 1000 for record in records],
            )
            for one, records in found.items()
        ]

    def _theirs(self, partitions: Iterable[Partition]) -> list[Any]:
        held = self._consumer.assignment()
        return [one for one in (self._kafka.TopicPartition(*each) for each in partitions) if one in held]

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._consumer.pause(*self._theirs(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        self._consumer.resume(*self._theirs(partitions))

    def commit(self, offsets: Offsets) -> None:
        told = {self._kafka.TopicPartition(*one): self._offset(offset) for one, offset in offsets.items()}
        with self._in_words("commit to Kafka"):
            self._consumer.commit(told, timeout_ms=10_000)

    def _offset(self, offset: int) -> Any:
        return self._kafka.OffsetAndMetadata(offset, "", -1)

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        with self._in_words("ask Kafka what was committed"):
            found = {one: self._consumer.committed(self._kafka.TopicPartition(*one), timeout_ms=10_000)
                     for one in partitions}  # fmt: skip
        return {one: offset for one, offset in found.items() if offset is not None}

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        asked = [self._kafka.TopicPartition(*one) for one in partitions]
        with self._in_words("ask Kafka what it keeps"):
            first = self._consumer.beginning_offsets(asked, timeout_ms=5000)
            end = self._consumer.end_offsets(asked, timeout_ms=5000)
        return {Partition(*one): (first[one], end[one]) for one in asked}

    def partitions(self, topic: str) -> list[Partition]:
        with self._in_words("ask Kafka for its topics"):
            return [Partition(topic, number) for number in sorted(self._consumer.partitions_for_topic(topic) or ())]

    def membership(self) -> Any:
        return self._consumer.group_metadata()

    def close(self) -> None:
        with self._in_words("leave Kafka"):
            self._consumer.close(autocommit=False, timeout_ms=2000)


class _Confluent:
    """confluent-kafka: librdkafka, which fetches in threads of its own."""

    def __init__(self, options: Mapping[str, Value], wanted: Subscription, owning: Owning) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise MissingExtra("confluent_kafka", "confluent") from error
        self._confluent = confluent_kafka
        self._trouble: Any = None
        chosen = {"queued.max.messages.kbytes": FETCH_BYTES >> 10, "fetch.max.bytes": FETCH_BYTES}
        own = {
            "group.id": wanted.group,
            "auto.offset.reset": wanted.start,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "log_level": 0,
            "error_cb": self._noted,
        }
        with self._in_words("reach the broker"):
            try:
                self._consumer = confluent_kafka.Consumer({**chosen, **options, **own})
            except confluent_kafka.KafkaException as error:
                raise ConfigError(f"cannot configure confluent-kafka: {_reason(error)}; see [kafka.options]") from error
            if wanted.topics:
                self._subscribe(wanted, owning)

    def _subscribe(self, wanted: Subscription, owning: Owning) -> None:
        def lost(_: Any, found: Any) -> None:
            owning.lost([_partition(one) for one in found])

        def gained(_: Any, found: Any) -> None:
            owning.gained([_partition(one) for one in found])

        self._consumer.subscribe(list(wanted.topics), on_assign=gained, on_revoke=lost, on_lost=lost)

    def _noted(self, error: Any) -> None:
        """Of outages librdkafka tells without end and knows no end: whoever asks for bounds hears of them."""
        if not self._error("", error).passing:
            self._trouble = error

    @contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        try:
            yield
        except self._confluent.KafkaException as error:
            raise self._error(verb, error.args[0]) from error

    def _error(self, verb: str, error: Any) -> BrokerError:
        code = self._confluent.KafkaError
        lasting = (
            code._AUTHENTICATION, code.SASL_AUTHENTICATION_FAILED, code.TOPIC_AUTHORIZATION_FAILED,
            code.GROUP_AUTHORIZATION_FAILED, code.CLUSTER_AUTHORIZATION_FAILED, code.TOPIC_EXCEPTION,
            code.INVALID_GROUP_ID, code.FENCED_INSTANCE_ID,
        )  # fmt: skip
        return BrokerError(_words(verb, error.str()), error.code() not in lasting and not error.fatal())

    def poll(self, seconds: float, most: int) -> list[Piece]:
        with self._in_words("read from Kafka"):
            messages: list[Any] = self._consumer.consume(most, seconds)
        found: dict[tuple[str, int], tuple[list[bytes], list[int], list[int]]] = {}
        for one in messages:
            if one.error() is not None:
                self._pass_over(one.error())
                continue
            values, offsets, received_us = found.setdefault((one.topic(), one.partition()), ([], [], []))
            values.append(one.value() or b"")
            offsets.append(one.offset())
            received_us.append(one.timestamp()[1] * 1000)
        if not messages:
            self._raise_trouble()
        return [Piece(Partition(*where), *told) for where, told in found.items()]

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
        with self._in_words("pause reading"):
            self._consumer.pause(self._theirs(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        with self._in_words("go on reading"):
            self._consumer.resume(self._theirs(partitions))

    def commit(self, offsets: Offsets) -> None:
        told = [self._confluent.TopicPartition(*one, offset) for one, offset in offsets.items()]
        with self._in_words("commit to Kafka"):
            for one in self._consumer.commit(offsets=told, asynchronous=False):
                if one.error is not None:
                    raise self._error("commit to Kafka", one.error)

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        asked = [self._confluent.TopicPartition(*one) for one in partitions]
        with self._in_words("ask Kafka what was committed"):
            return {_partition(one): one.offset for one in self._consumer.committed(asked, 10) if one.offset >= 0}

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        with self._in_words("ask Kafka what it keeps"):
            return {one: self._bounds(one) for one in partitions}

    def _bounds(self, one: Partition) -> tuple[int, int]:
        first, end = self._consumer.get_watermark_offsets(self._confluent.TopicPartition(*one), 5)
        return first, end

    def partitions(self, topic: str) -> list[Partition]:
        with self._in_words("ask Kafka for its topics"):
            found = self._consumer.list_topics(topic, 5).topics[topic]
        if found.error is not None and found.error.code() != self._confluent.KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise self._error("ask Kafka for its topics", found.error)
        return [Partition(topic, number) for number in sorted(found.partitions)]

    def membership(self) -> Any:
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        with self._in_words("leave Kafka"):
            self._consumer.close()


def _partition(one: Any) -> Partition:
    return Partition(one.topic, one.partition)


def _reason(error: Any) -> str:
    return str(error.args[0].str()) if hasattr(error.args[0], "str") else str(error)


def _words(verb: str, error: object) -> str:
    return f"cannot {verb}: {error}; check bootstrap.servers, the broker, and the rights of this user"

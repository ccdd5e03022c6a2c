"""One partition of a topic read as a log, from any offset on, by nobody's group; through either client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ingest.kafka.confluent import ConfluentConsumer
from ingest.kafka.consumer import Owning, Subscription
from ingest.kafka.kafka_python import KafkaPythonConsumer
from whowas.errors import ConfigError
from whowas.kafka import BrokerError, Partition, Value, refuse_ours

NOBODY = Owning(lambda _: None, lambda _: None)


class Record(NamedTuple):
    """A record with its place. value b"": it was deleted."""

    offset: int
    key: bytes
    value: bytes


class Log(Protocol):
    """A topic of one partition. Every method raises BrokerError; `passing` says whether to try again."""

    def edges(self) -> tuple[int, int]:
        """Return the first offset that is kept and the one behind the last."""

    def seek(self, offset: int) -> None:
        """Read from there next."""

    def read(self, seconds: float, most: int) -> list[Record]:
        """Return what comes next; wait for it no longer than so."""

    def close(self) -> None:
        """Let go of the broker."""


def open_log(client: str, options: Mapping[str, Value], topic: str) -> Log:
    """Open through one of whowas.kafka.CLIENTS.

    Raises: ConfigError (also when it has several partitions), MissingExtra, BrokerError.
    """
    refuse_ours(options)
    made: Callable[..., Log] = ConfluentConsumerLog if client == "confluent" else KafkaPythonConsumerLog
    return made(options, topic)


def _only(found: list[Partition], topic: str) -> Partition:
    if not found:
        raise BrokerError(f"cannot read topic '{topic}': there is none; start 'whowas watch --to-kafka {topic}' first")
    if len(found) > 1:
        raise ConfigError(
            f"cannot keep evidence in topic '{topic}': it has {len(found)} partitions, between which there is no "
            "order; make one with a single partition"
        )
    return found[0]


class KafkaPythonConsumerLog(KafkaPythonConsumer):
    """kafka-python 3."""

    def __init__(self, options: Mapping[str, Value], topic: str) -> None:
        super().__init__(options, Subscription((), None), NOBODY)
        try:
            self._one = _only(self.partitions(topic), topic)
            self._theirs_one = self._kafka.TopicPartition(*self._one)
            self._consumer.assign([self._theirs_one])
        except BaseException:
            self.close()
            raise

    def edges(self) -> tuple[int, int]:
        return self.bounds([self._one])[self._one]

    def seek(self, offset: int) -> None:
        with self._translate_errors("read from Kafka"):
            self._consumer.seek(self._theirs_one, offset)

    def read(self, seconds: float, most: int) -> list[Record]:
        with self._translate_errors("read from Kafka"):
            found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=most)
        return [Record(one.offset, one.key or b"", one.value or b"") for several in found.values() for one in several]


class ConfluentConsumerLog(ConfluentConsumer):
    """confluent-kafka."""

    def __init__(self, options: Mapping[str, Value], topic: str) -> None:
        # librdkafka wants a name of a group; nothing is ever committed under it.
        super().__init__(options, Subscription((), "whowas-log"), NOBODY)
        try:
            self._one = _only(self.partitions(topic), topic)
        except BaseException:
            self.close()
            raise

    def edges(self) -> tuple[int, int]:
        return self.bounds([self._one])[self._one]

    def seek(self, offset: int) -> None:
        with self._translate_errors("read from Kafka"):
            self._consumer.assign([self._confluent.TopicPartition(*self._one, offset)])

    def read(self, seconds: float, most: int) -> list[Record]:
        with self._translate_errors("read from Kafka"):
            messages: list[Any] = self._consumer.consume(most, seconds)
        found = []
        for one in messages:
            if one.error() is not None:
                self._pass_over(one.error())
            else:
                found.append(Record(one.offset(), one.key() or b"", one.value() or b""))
        if not messages:
            self._raise_trouble()
        return found

"""Records from Kafka through kafka-python 3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ingest.kafka.consumer import (
    ASK_SECONDS,
    FETCH_BYTES,
    FETCH_WAIT_MS,
    PARTITION_BYTES,
    Offsets,
    Owning,
    Subscription,
    no_tombstones,
    times_us,
    trouble,
)
from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import IN, BrokerError, Heard, Partition, Piece, Value, for_kafka_python
from whowas.kafka_errors import lasts_in_kafka_python


class KafkaPythonConsumer:
    """kafka-python 3."""

    def __init__(self, options: Mapping[str, Value], wanted: Subscription, owning: Owning) -> None:
        try:
            import crc32c  # noqa: F401 - without it kafka-python computes checksums eight times slower
            import kafka
        except ImportError as error:
            raise MissingExtra(str(error.name), "kafka") from error
        self._kafka = kafka
        self._heard = Heard("kafka")
        self._start = wanted.start
        self._anew: set[Any] = set()
        own = {
            "group_id": wanted.group,
            "auto_offset_reset": wanted.start,
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
        }
        chosen = {
            "fetch_max_bytes": FETCH_BYTES,
            "max_partition_fetch_bytes": PARTITION_BYTES,
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            "bootstrap_timeout_ms": ASK_SECONDS * 1000,
            "reconnect_backoff_max_ms": 2000,
        }
        with self._translate_errors("reach the broker"):
            self._consumer = kafka.KafkaConsumer(**chosen | for_kafka_python(options, IN) | own)
            if wanted.topics:
                self._consumer.subscribe(list(wanted.topics), listener=self._listener(owning))

    def _listener(self, owning: Owning) -> Any:
        anew = self._anew

        class Listener(self._kafka.ConsumerRebalanceListener):  # type: ignore[misc,name-defined]
            def on_partitions_assigned(self, assigned: Any) -> None:
                anew.update(assigned)
                owning.gained([Partition(*one) for one in assigned])

            def on_partitions_revoked(self, revoked: Any) -> None:
                owning.lost([Partition(*one) for one in revoked])

            def on_partitions_lost(self, lost: Any) -> None:
                owning.lost([Partition(*one) for one in lost])

        return Listener()

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        errors = self._kafka.errors
        try:
            yield
        except (errors.KafkaError, OSError) as error:
            why = f"{error}: {self._heard.reason}" if self._heard.reason else error
            lasting = lasts_in_kafka_python(errors, error) or self._heard.lasting()
            self._heard.reason = ""
            raise BrokerError(trouble(verb, why), not lasting) from error
        except (AssertionError, TypeError, ValueError) as error:
            raise ConfigError(f"cannot configure kafka-python: {error}; see [kafka.options]") from error

    def poll(self, seconds: float, most: int) -> list[Piece]:
        with self._translate_errors("read from Kafka"):
            self._unpark()
            found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=most)
            if self._anew:
                self._begin(found)
            self._fill(found, most)
        return [
            Piece(
                Partition(*one),
                no_tombstones([record.value for record in records]),
                [record.offset for record in records],
                times_us([record.timestamp for record in records]),
            )
            for one, records in found.items()
        ]

    def _unpark(self) -> None:
        """Make room for what was fetched of a partition before it was paused.

        kafka-python (3.0.12) takes that up again only where no other partition was read since, and fetches no more of
        it before: a partition that was paused alone would stand still for ever.
        """
        fetcher: Any = getattr(self._consumer, "_fetcher", None)
        current = getattr(fetcher, "_next_partition_records", None)
        if current is not None and not current:
            fetcher._next_partition_records = None

    def _fill(self, found: dict[Any, Any], most: int) -> None:
        """Add what else lies here already: a poll brings one answer of the broker, and a small batch has its price.

        What is wrong is raised by the next poll: what was found before it would not be polled again.
        """
        left = most - sum(map(len, found.values()))
        with suppress(self._kafka.errors.KafkaError, OSError):
            while found and left > 0 and (more := self._consumer.poll(timeout_ms=0, max_records=left)):
                for one, records in more.items():
                    found.setdefault(one, []).extend(records)
                left -= sum(map(len, more.values()))
        # A partition may have gone and come back meanwhile, even if that poll brought nothing or failed: what was found
        # of it before is not what comes first now.
        if self._anew:
            self._begin(found)

    def _begin(self, found: dict[Any, Any]) -> None:
        """Go to what was committed of partitions that came: one that came back is read on where it was when it went.

        What was held of it then is forgotten, so that it would never be read. found: what was polled with them.
        """
        ours = self._anew & self._consumer.assignment()
        others = {one: found.pop(one) for one in list(found) if one not in ours}
        found.clear()
        found |= others
        try:
            self._seek(ours)
        except self._kafka.errors.KafkaError:
            # What came of others must not be dropped for that; these are sought again in the next poll.
            if not found:
                raise
            return
        self._anew.clear()

    def _seek(self, ours: Iterable[Any]) -> None:
        for one in ours:
            committed = self._consumer.committed(one, timeout_ms=ASK_SECONDS * 1000)
            if committed is not None:
                self._consumer.seek(one, committed)
            elif self._start == "earliest":
                self._consumer.seek_to_beginning(one)
            else:
                self._consumer.seek_to_end(one)

    def _theirs(self, partitions: Iterable[Partition]) -> list[Any]:
        held = self._consumer.assignment()
        return [one for one in (self._kafka.TopicPartition(*each) for each in partitions) if one in held]

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._consumer.pause(*self._theirs(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        self._consumer.resume(*self._theirs(partitions))

    def commit(self, offsets: Offsets) -> bool:
        kafka = self._kafka
        told = {kafka.TopicPartition(*one): kafka.OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()}
        with self._translate_errors("commit to Kafka"):
            self._consumer.commit(told, timeout_ms=3000)
        return True

    def begin_at(self, offsets: Offsets) -> Offsets:
        for one, offset in offsets.items():
            for theirs in self._theirs([one]):
                self._consumer.seek(theirs, offset)
        return offsets

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        with self._translate_errors("ask Kafka what was committed"):
            found = {one: self._consumer.committed(self._kafka.TopicPartition(*one), timeout_ms=10_000)
                     for one in partitions}  # fmt: skip
        return {one: offset for one, offset in found.items() if offset is not None}

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        asked = [self._kafka.TopicPartition(*one) for one in partitions]
        if not asked:
            return {}
        with self._translate_errors("ask Kafka what it keeps"):
            first = self._consumer.beginning_offsets(asked, timeout_ms=ASK_SECONDS * 1000)
            end = self._consumer.end_offsets(asked, timeout_ms=ASK_SECONDS * 1000)
        return {Partition(*one): (first[one], end[one]) for one in asked}

    def partitions(self, topic: str) -> list[Partition]:
        with self._translate_errors("ask Kafka for its topics"):
            return [Partition(topic, number) for number in sorted(self._consumer.partitions_for_topic(topic) or ())]

    def membership(self) -> Any:
        return self._consumer.group_metadata()

    def close(self) -> None:
        with self._translate_errors("leave Kafka"):
            self._consumer.close(autocommit=False, timeout_ms=2000)

"""Records from Kafka, through either client: poll, commit, and who owns which partition. No other module reads Kafka.

Nothing is committed but by `commit`: what was polled and not committed is polled again by whoever owns it next.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from whowas.brokers import IN, BrokerError, Heard, Partition, Piece, Value, for_kafka_python, refuse_ours
from whowas.errors import ConfigError, MissingExtra

Offsets = dict[Partition, int]
# What one answer of the broker may hold, so that lag costs no memory.
FETCH_BYTES = 16 << 20
# How long the broker may keep an answer back: what else is asked on that connection waits behind it.
FETCH_WAIT_MS = 100
# What one partition may send of that.
PARTITION_BYTES = FETCH_BYTES >> 2
ASK_SECONDS = 5


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

    def commit(self, offsets: Offsets) -> bool:
        """Say which record of each partition is wanted next. Returns: whether the broker knows; else ask again."""

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        """Return what was committed, where anything was."""

    def begin_at(self, offsets: Offsets) -> None:
        """Read on from there, in partitions that are ours."""

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
        with self._in_words("reach the broker"):
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
    def _in_words(self, verb: str) -> Iterator[None]:
        errors = self._kafka.errors
        try:
            yield
        except (errors.KafkaError, OSError) as error:
            why = f"{error}: {self._heard.reason}" if self._heard.reason else error
            lasting = isinstance(error, self._lasting()) or self._heard.lasting()
            self._heard.reason = ""
            raise BrokerError(_words(verb, why), not lasting) from error
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
            self._unpark()
            found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=most)
            if self._anew:
                self._begin(found)
            self._fill(found, most)
        return [
            Piece(
                Partition(*one),
                _no_tombstones([record.value for record in records]),
                [record.offset for record in records],
                _us([record.timestamp for record in records]),
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
        with self._in_words("commit to Kafka"):
            self._consumer.commit(told, timeout_ms=3000)
        return True

    def begin_at(self, offsets: Offsets) -> None:
        for one, offset in offsets.items():
            for theirs in self._theirs([one]):
                self._consumer.seek(theirs, offset)

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        with self._in_words("ask Kafka what was committed"):
            found = {one: self._consumer.committed(self._kafka.TopicPartition(*one), timeout_ms=10_000)
                     for one in partitions}  # fmt: skip
        return {one: offset for one, offset in found.items() if offset is not None}

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        asked = [self._kafka.TopicPartition(*one) for one in partitions]
        if not asked:
            return {}
        with self._in_words("ask Kafka what it keeps"):
            first = self._consumer.beginning_offsets(asked, timeout_ms=ASK_SECONDS * 1000)
            end = self._consumer.end_offsets(asked, timeout_ms=ASK_SECONDS * 1000)
        return {Partition(*one): (first[one], end[one]) for one in asked}

    def partitions(self, topic: str) -> list[Partition]:
        with self._in_words("ask Kafka for its topics"):
            return [Partition(topic, number) for number in sorted(self._consumer.partitions_for_topic(topic) or ())]

    def membership(self) -> Any:
        return self._consumer.group_metadata()

    def close(self) -> None:
        with self._in_words("leave Kafka"):
            self._consumer.close(autocommit=False, timeout_ms=2000)


@dataclass
class _Committing:
    """Offsets on their way to the broker, and what it said."""

    offsets: Offsets
    answered: bool = False
    error: Any = None


class _Confluent:
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
        with self._in_words("reach the broker"):
            try:
                self._consumer = confluent_kafka.Consumer({**chosen, **options, **own})
            except confluent_kafka.KafkaException as error:
                raise ConfigError(f"cannot configure confluent-kafka: {_reason(error)}; see [kafka.options]") from error
            if wanted.topics:
                self._subscribe(wanted, owning)

    def _subscribe(self, wanted: Subscription, owning: Owning) -> None:
        def lost(_: Any, found: Any) -> None:
            gone = [_partition(one) for one in found]
            self._known = {one: offset for one, offset in self._known.items() if one not in gone}
            owning.lost(gone)

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
            if self._admin is not None:
                self._admin.poll(0)  # which may tell why
            self._raise_trouble()
            raise self._error(verb, error.args[0]) from error
        except TimeoutError as error:
            raise BrokerError(_words(verb, "no answer")) from error

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
        with self._in_words("pause reading"):
            self._consumer.pause(self._theirs(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        with self._in_words("go on reading"):
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
            with self._in_words("commit to Kafka"):
                self._consumer.commit(offsets=told, asynchronous=True)
            self._committing = _Committing(offsets)
        return False

    def _committed(self, error: Any, partitions: Any) -> None:
        if self._committing is not None:
            self._committing.error = error or next((one.error for one in partitions if one.error is not None), None)
            self._committing.answered = True

    def begin_at(self, offsets: Offsets) -> None:
        with self._in_words("begin reading"):
            for one in self._theirs(offsets):
                one.offset = offsets[_partition(one)]
                self._consumer.seek(one)

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        asked = [self._confluent.TopicPartition(*one) for one in partitions]
        with self._in_words("ask Kafka what was committed"):
            return {_partition(one): one.offset for one in self._consumer.committed(asked, 10) if one.offset >= 0}

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        if not partitions:
            return {}
        with self._in_words("ask Kafka what it keeps"):
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
        with self._in_words("ask Kafka for its topics"):
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
        with self._in_words("leave Kafka"):
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
            _no_tombstones(list(map(kind.value, run))),
            list(map(kind.offset, run)),
            _us([time_ms for _, time_ms in map(kind.timestamp, run)]),
        )
        for where, run in runs.items()
    ]


def _no_tombstones(values: list[bytes | None]) -> list[bytes]:
    """A record without a value has none of its bytes."""
    return [value or b"" for value in values] if None in values else values  # type: ignore[return-value]


def _us(times_ms: list[int]) -> list[int]:
    """Milliseconds as microseconds. Records of an old format have no time: then it is now."""
    now = time.time_ns() // 1000
    return [time_ms * 1000 if time_ms > 0 else now for time_ms in times_ms]


def _partition(one: Any) -> Partition:
    return Partition(one.topic, one.partition)


def _reason(error: Any) -> str:
    return str(error.args[0].str()) if hasattr(error.args[0], "str") else str(error)


def _words(verb: str, error: object) -> str:
    return f"cannot {verb}: {error}; check bootstrap.servers, the broker, and the rights of this user"

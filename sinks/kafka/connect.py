"""Messages to Kafka, through either client: idempotent, or in transactions with the offsets they were made from.

No other module writes to Kafka. A client tries again by itself for as long as it takes: nothing is given up because a
broker is down.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import OUT, BrokerError, Heard, MessageRefused, Partition, Value, for_kafka_python, refuse_ours

# (key, value); without a value it deletes what had the key.
Message = tuple[bytes | None, bytes | None]
# So many messages wait for their acknowledgement; then sending waits.
UNANSWERED = 50_000
# Longer than any outage; the largest that both clients take.
FOR_EVER_MS = 2_147_483_647
# So long the broker may take for each step of a transaction; then it is made again.
ANSWER_SECONDS = 20.0


class Producer(Protocol):
    """Sends messages. Every method raises BrokerError; `passing` says whether to try again."""

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        """Take (key, value) messages; waits while too many are unanswered."""

    def flush(self, seconds: float) -> bool:
        """Return whether everything sent is acknowledged. Raises: BrokerError when a message was refused.

        It never passes then: who goes on after it would lose the message, who begins anew sends it again.
        """

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self, offsets: dict[Partition, int], membership: Any) -> None:
        """Commit what was sent since `begin`, and the offsets it was made from, or neither."""

    def abort(self) -> None:
        """Take back what was sent since `begin`."""

    def close(self) -> None:
        """Let go; what is not acknowledged may or may not arrive."""


def connect(client: str, options: Mapping[str, Value], transactional_id: str | None = None) -> Producer:
    """Make a producer through one of whowas.kafka.CLIENTS. Raises: ConfigError, MissingExtra, BrokerError."""
    refuse_ours(options)
    made: Callable[..., Producer] = _Confluent if client == "confluent" else _KafkaPython
    return made(options, transactional_id)


class _Patience:
    """What a transaction asks of the broker, each thing waited for no longer than ANSWER_SECONDS.

    Both clients may wait for ever for a broker that went: kafka-python takes no limit, and librdkafka forgets it while
    it looks for the group's coordinator (its issue 5456). After that nobody knows what became of the question, and no
    other can be asked: the producer is given up. Should its own come through later, the next of its name has fenced it
    by then, or finds out when it begins.
    """

    def __init__(self) -> None:
        self._given_up = False

    def wait(self, ask: Callable[[], Any]) -> None:
        """Ask. Raises: TimeoutError, and whatever the client raises."""
        if self._given_up:
            raise TimeoutError("the question before had no answer")
        answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

        def run() -> None:
            try:
                ask()
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked
                answers.put(error)
            else:
                answers.put(None)

        threading.Thread(target=run, name="transaction", daemon=True).start()
        try:
            error = answers.get(timeout=ANSWER_SECONDS + 1)
        except queue.Empty:
            self._given_up = True
            raise TimeoutError(f"no answer within {ANSWER_SECONDS:.0f} s") from None
        if error is not None:
            raise error


class _KafkaPython:
    """kafka-python 3."""

    def __init__(self, options: Mapping[str, Value], transactional_id: str | None) -> None:
        try:
            import crc32c  # noqa: F401 - without it kafka-python computes checksums eight times slower
            import kafka
        except ImportError as error:
            raise MissingExtra(str(error.name), "kafka") from error
        self._kafka = kafka
        self._heard = Heard("kafka")
        self._waiting: list[Any] = []
        self._patience = _Patience()
        chosen = {"linger_ms": 20, "batch_size": 1 << 18, "max_request_size": 1 << 20, "bootstrap_timeout_ms": 5000,
                  "max_block_ms": 5000}  # fmt: skip
        own = {"enable_idempotence": True, "acks": "all", "transactional_id": transactional_id,
               "delivery_timeout_ms": FOR_EVER_MS, "allow_auto_create_topics": False}  # fmt: skip
        with self._in_words("reach the broker"):
            self._producer = kafka.KafkaProducer(**chosen | for_kafka_python(options, OUT) | own)
            if transactional_id is not None:
                self._producer.init_transactions()

    @contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        errors = self._kafka.errors
        lasting = (
            errors.AuthorizationError, errors.SaslAuthenticationFailedError, errors.ProducerFencedError,
            errors.InvalidTopicError, errors.KafkaConfigurationError,
        )  # fmt: skip
        try:
            yield
        except (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.InvalidRecordError) as error:
            raise MessageRefused(_words(verb, error)) from error
        except (errors.KafkaError, OSError) as error:
            why = f"{error}: {self._heard.reason}" if self._heard.reason else error
            passing = not isinstance(error, lasting) and not self._heard.lasting()
            self._heard.reason = ""
            raise BrokerError(_words(verb, why), passing) from error
        except (AssertionError, TypeError, ValueError) as error:
            raise ConfigError(f"cannot configure kafka-python: {error}; see [kafka.options]") from error

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        with self._in_words("write to Kafka"):
            for key, value in messages:
                self._waiting.append(self._producer.send(topic, value=value, key=key))
        if len(self._waiting) > UNANSWERED:
            self.flush(30)

    def flush(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._flushed(max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        waiting, self._waiting = self._waiting, []
        failed = [one.exception for one in waiting if one.failed()]
        if not failed:
            return True
        errors = self._kafka.errors
        theirs = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.InvalidRecordError)
        words = _words("write to Kafka", failed[0])
        raise MessageRefused(words) if isinstance(failed[0], theirs) else BrokerError(words, passing=False)

    def _flushed(self, seconds: float) -> bool:
        errors = self._kafka.errors
        with self._in_words("write to Kafka"):
            try:
                self._producer.flush(timeout=seconds)
            except errors.KafkaTimeoutError:
                return False
            except errors.UnknownError as error:
                # So it says of a batch that the broker finds too large while it is being split: nothing has failed yet.
                if "Future not done" not in str(error):
                    raise
                return False
        return True

    def begin(self) -> None:
        with self._in_words("begin a transaction"):
            self._producer.begin_transaction()

    def commit(self, offsets: dict[Partition, int], membership: Any) -> None:
        kafka = self._kafka
        told = {kafka.TopicPartition(*one): kafka.OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()}
        with self._in_words("commit a transaction"):
            self._patience.wait(lambda: self._producer.send_offsets_to_transaction(told, membership))
            self._patience.wait(self._producer.commit_transaction)
        self._waiting.clear()

    def abort(self) -> None:
        self._waiting.clear()
        with self._in_words("abort a transaction"):
            self._patience.wait(self._producer.abort_transaction)

    def close(self) -> None:
        with self._in_words("leave Kafka"):
            try:
                self._producer.close(timeout=2)
            except self._kafka.errors.KafkaTimeoutError:
                # Messages without an answer keep it open, and its thread would try for ever.
                sender = getattr(self._producer, "_sender", None)
                if sender is not None:
                    sender.force_close()


class _Confluent:
    """confluent-kafka."""

    def __init__(self, options: Mapping[str, Value], transactional_id: str | None) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise MissingExtra("confluent_kafka", "confluent") from error
        self._confluent = confluent_kafka
        self._refused: Any = None
        self._patience = _Patience()
        chosen: dict[str, Value] = {"linger.ms": 20}
        own = {"enable.idempotence": True, "acks": "all", "log_level": 0, "allow.auto.create.topics": False}
        if transactional_id is None:
            own["message.timeout.ms"] = 0
        else:
            own["transactional.id"] = transactional_id
            # A question that is under way is waited for to its own end, whatever limit is given.
            chosen["socket.timeout.ms"] = int(ANSWER_SECONDS * 1000)
        try:
            self._producer = confluent_kafka.Producer({**chosen, **options, **own})
        except confluent_kafka.KafkaException as error:
            raise ConfigError(
                f"cannot configure confluent-kafka: {error.args[0].str()}; see [kafka.options]"
            ) from error
        if transactional_id is not None:
            with self._in_words("reach the broker"):
                self._producer.init_transactions(ANSWER_SECONDS)

    @contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        try:
            yield
        except self._confluent.KafkaException as error:
            raise self._error(verb, error.args[0]) from error
        except TimeoutError as error:
            raise BrokerError(_words(verb, error)) from error

    def _error(self, verb: str, error: Any) -> BrokerError:
        code = self._confluent.KafkaError
        if error.code() in (code.MSG_SIZE_TOO_LARGE, code.RECORD_LIST_TOO_LARGE, code.INVALID_RECORD):
            return MessageRefused(_words(verb, error.str()))
        lasting = (
            code._AUTHENTICATION, code.SASL_AUTHENTICATION_FAILED, code.TOPIC_AUTHORIZATION_FAILED,
            code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, code._FENCED, code.TOPIC_EXCEPTION,
        )  # fmt: skip
        return BrokerError(_words(verb, error.str()), error.code() not in lasting and not error.fatal())

    def _answered(self, error: Any, _message: Any) -> None:
        if error is not None and self._refused is None:
            self._refused = error

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        with self._in_words("write to Kafka"):
            for key, value in messages:
                while True:
                    try:
                        self._producer.produce(topic, value, key, on_delivery=self._answered)
                        break
                    except BufferError:
                        self._producer.poll(0.1)
            self._producer.poll(0)
        if len(self._producer) > UNANSWERED:
            self.flush(30)

    def flush(self, seconds: float) -> bool:
        with self._in_words("write to Kafka"):
            left = self._producer.flush(seconds)
        error, self._refused = self._refused, None
        if error is not None:
            told = self._error("write to Kafka", error)
            told.passing = False
            raise told
        return bool(left == 0)

    def begin(self) -> None:
        with self._in_words("begin a transaction"):
            self._producer.begin_transaction()

    def commit(self, offsets: dict[Partition, int], membership: Any) -> None:
        told = [self._confluent.TopicPartition(*one, offset) for one, offset in offsets.items()]
        with self._in_words("commit a transaction"):
            self._patience.wait(lambda: self._producer.send_offsets_to_transaction(told, membership, ANSWER_SECONDS))
            self._patience.wait(lambda: self._producer.commit_transaction(ANSWER_SECONDS))

    def abort(self) -> None:
        self._refused = None
        with self._in_words("abort a transaction"):
            self._patience.wait(lambda: self._producer.abort_transaction(ANSWER_SECONDS))

    def close(self) -> None:
        self._producer.flush(2)


def _words(verb: str, error: object) -> str:
    return f"cannot {verb}: {error}; check bootstrap.servers, the broker, the topic, and the rights of this user"

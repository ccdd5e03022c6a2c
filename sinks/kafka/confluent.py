"""Produces through confluent-kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sinks.kafka.producer import ANSWER_SECONDS, UNANSWERED, Message, Patience, broker_message
from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import BrokerError, MessageRefused, Partition, Value
from whowas.kafka_errors import lasts_in_confluent


class ConfluentProducer:
    """confluent-kafka."""

    def __init__(self, options: Mapping[str, Value], transactional_id: str | None) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise MissingExtra("confluent_kafka", "confluent") from error
        self._confluent = confluent_kafka
        self._refused: Any = None
        self._patience = Patience()
        # As Java's clients and kafka-python do: a key keeps its partition, whoever writes.
        chosen: dict[str, Value] = {"linger.ms": 20, "partitioner": "murmur2_random"}
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
            with self._translate_errors("reach the broker"):
                self._producer.init_transactions(ANSWER_SECONDS)

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except self._confluent.KafkaException as error:
            raise self._error(verb, error.args[0]) from error
        except TimeoutError as error:
            raise BrokerError(broker_message(verb, error)) from error

    def _error(self, verb: str, error: Any) -> BrokerError:
        code = self._confluent.KafkaError
        if error.code() in (code.MSG_SIZE_TOO_LARGE, code.RECORD_LIST_TOO_LARGE, code.INVALID_RECORD):
            return MessageRefused(broker_message(verb, error.str()))
        return BrokerError(broker_message(verb, error.str()), not lasts_in_confluent(error))

    def _answered(self, error: Any, _message: Any) -> None:
        if error is not None and self._refused is None:
            self._refused = error

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        with self._translate_errors("write to Kafka"):
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
        with self._translate_errors("write to Kafka"):
            left = self._producer.flush(seconds)
        error, self._refused = self._refused, None
        if error is not None:
            told = self._error("write to Kafka", error)
            told.passing = False
            raise told
        return bool(left == 0)

    def begin(self) -> None:
        with self._translate_errors("begin a transaction"):
            self._producer.begin_transaction()

    def commit(self, offsets: dict[Partition, int], membership: Any) -> None:
        told = [self._confluent.TopicPartition(*one, offset) for one, offset in offsets.items()]
        with self._translate_errors("commit a transaction"):
            self._patience.wait(lambda: self._producer.send_offsets_to_transaction(told, membership, ANSWER_SECONDS))
            self._patience.wait(lambda: self._producer.commit_transaction(ANSWER_SECONDS))

    def abort(self) -> None:
        self._refused = None
        with self._translate_errors("abort a transaction"):
            self._patience.wait(lambda: self._producer.abort_transaction(ANSWER_SECONDS))

    def close(self) -> None:
        self._producer.flush(2)

"""Produces through kafka-python."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sinks.kafka.partitioning import partitions_of
from sinks.kafka.producer import FOR_EVER_MS, UNANSWERED, Message, Patience, broker_message
from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import OUT, BrokerError, Heard, MessageRefused, Partition, Value, for_kafka_python
from whowas.kafka_errors import lasts_in_kafka_python

# So many keys are hashed together.
AT_ONCE = 1000


class KafkaPythonProducer:
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
        self._patience = Patience()
        chosen = {"linger_ms": 20, "batch_size": 1 << 18, "max_request_size": 1 << 20, "bootstrap_timeout_ms": 5000,
                  "max_block_ms": 5000}  # fmt: skip
        own = {"enable_idempotence": True, "acks": "all", "transactional_id": transactional_id,
               "delivery_timeout_ms": FOR_EVER_MS, "allow_auto_create_topics": False}  # fmt: skip
        with self._translate_errors("reach the broker"):
            self._producer = kafka.KafkaProducer(**chosen | for_kafka_python(options, OUT) | own)
            if transactional_id is not None:
                self._producer.init_transactions()

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        errors = self._kafka.errors
        try:
            yield
        except (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.InvalidRecordError) as error:
            raise MessageRefused(broker_message(verb, error)) from error
        except (errors.KafkaError, OSError) as error:
            why = f"{error}: {self._heard.reason}" if self._heard.reason else error
            passing = not lasts_in_kafka_python(errors, error) and not self._heard.lasting()
            self._heard.reason = ""
            raise BrokerError(broker_message(verb, why), passing) from error
        except (AssertionError, TypeError, ValueError) as error:
            raise ConfigError(f"cannot configure kafka-python: {error}; see [kafka.options]") from error

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        with self._translate_errors("write to Kafka"):
            left = iter(messages)
            while some := list(islice(left, AT_ONCE)):
                places = self._partitions(topic, [key for key, _ in some])
                for (key, value), place in zip(some, places, strict=True):
                    self._waiting.append(self._producer.send(topic, value=value, key=key, partition=place))
        if len(self._waiting) > UNANSWERED:
            self.flush(30)

    def _partitions(self, topic: str, keys: list[bytes | None]) -> list[Any]:
        """Return the partition of each key; None where the client is to say."""
        if len(keys) == 1:
            return [None]
        numbers = sorted(self._producer.partitions_for(topic))
        return [one if one is None else numbers[one] for one in partitions_of(keys, len(numbers))]

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
        words = broker_message("write to Kafka", failed[0])
        raise MessageRefused(words) if isinstance(failed[0], theirs) else BrokerError(words, passing=False)

    def _flushed(self, seconds: float) -> bool:
        errors = self._kafka.errors
        with self._translate_errors("write to Kafka"):
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
        with self._translate_errors("begin a transaction"):
            self._producer.begin_transaction()

    def commit(self, offsets: dict[Partition, int], membership: Any) -> None:
        kafka = self._kafka
        told = {kafka.TopicPartition(*one): kafka.OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()}
        with self._translate_errors("commit a transaction"):
            self._patience.wait(lambda: self._producer.send_offsets_to_transaction(told, membership))
            self._patience.wait(self._producer.commit_transaction)
        self._waiting.clear()

    def abort(self) -> None:
        self._waiting.clear()
        with self._translate_errors("abort a transaction"):
            self._patience.wait(self._producer.abort_transaction)

    def close(self) -> None:
        with self._translate_errors("leave Kafka"):
            try:
                self._producer.close(timeout=2)
            except self._kafka.errors.KafkaTimeoutError:
                # Messages without an answer keep it open, and its thread would try for ever.
                sender = getattr(self._producer, "_sender", None)
                if sender is not None:
                    sender.force_close()

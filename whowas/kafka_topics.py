"""Topics as they are and as they should be, through either client: what keeps evidence must never expire."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import OUT, BrokerError, Value, for_kafka_python, refuse_ours
from whowas.kafka_errors import lasts_in_confluent, lasts_in_kafka_python

ASK_SECONDS = 10
POLICY = "cleanup.policy"

TO_KEEP = f", or make the topic yourself: one partition, {POLICY}=compact"


class Topic(NamedTuple):
    """A topic as it is. policy: None where this user may not ask. made: it was made just now."""

    partitions: int
    policy: str | None
    made: bool = False


class Described(NamedTuple):
    """A topic as the broker tells of it. id: one that is made anew has another; "" where the broker has none.

    rights: what this user may do with it, READ, WRITE and so on; None where the broker does not tell.
    """

    id: str
    rights: frozenset[str] | None


def keep_for_ever(client: str, options: Mapping[str, Value], topic: str) -> Topic:
    """Return a topic as it is; one that is not there is made: compacted, one partition, the broker's replication.

    Raises: ConfigError, MissingExtra, BrokerError (also when this user may not make it).
    """
    refuse_ours(options)
    return (_confluent if client == "confluent" else _kafka_python)(options, topic)


def missing(client: str, options: Mapping[str, Value], topics: Sequence[str]) -> list[str]:
    """Return the topics that are not there; none is made. Raises: ConfigError, MissingExtra, BrokerError."""
    refuse_ours(options)
    asking = _confluent_admin if client == "confluent" else _kafka_python_admin
    with asking(options, f"topics {', '.join(topics)}") as (admin, _):
        if client == "confluent":
            return [one for one in topics if not _partitions(admin, one)]
        return [
            one for one, found in zip(topics, admin.describe_topics(topics), strict=True) if not found["partitions"]
        ]


def describe(client: str, options: Mapping[str, Value], topic: str) -> Described:
    """Return what the broker tells of a topic. Nothing is written for that, which readers would see.

    Source: KIP-430 for rights, KIP-516 for ids. Raises: as `keep_for_ever` does.
    """
    refuse_ours(options)
    if client == "confluent":
        with _confluent_admin(options, f"topic '{topic}'") as (admin, confluent):
            asked = admin.describe_topics(
                confluent.TopicCollection([topic]), include_authorized_operations=True, request_timeout=ASK_SECONDS
            )
            found = asked[topic].result()
            allowed = [one.name for one in found.authorized_operations or ()]
            high, low = found.topic_id.get_most_significant_bits(), found.topic_id.get_least_significant_bits()
            number = (high % (1 << 64)) << 64 | low % (1 << 64)
    else:
        with _kafka_python_admin(options, f"topic '{topic}'") as (admin, _):
            told = admin.describe_topics([topic])[0]
            allowed = told.get("authorized_operations") or []
            number = UUID(str(told["topic_id"])).int if told.get("topic_id") else 0
    # A topic we can see implies DESCRIBE; an empty set means the broker did not say.
    return Described(f"{number:032x}" if number else "", frozenset(map(str, allowed)) or None)


@contextmanager
def _kafka_python_admin(options: Mapping[str, Value], what: str, hint: str = "") -> Iterator[tuple[Any, Any]]:
    """A client for questions and the package it comes from; what it raises in our words."""
    try:
        import crc32c  # noqa: F401 - without it kafka-python computes checksums eight times slower
        import kafka
        from kafka.admin import KafkaAdminClient
    except ImportError as error:
        raise MissingExtra(str(error.name), "kafka") from error
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    known = {name: value for name, value in for_kafka_python(options, OUT).items()
             if name in KafkaAdminClient.DEFAULT_CONFIG}  # fmt: skip
    admin: Any = None
    errors = kafka.errors
    try:
        admin = KafkaAdminClient(**{"bootstrap_timeout_ms": 5000, **known})
        yield admin, kafka
    except (errors.KafkaError, OSError) as error:
        raise BrokerError(_words(what, error, hint), not lasts_in_kafka_python(errors, error)) from error
    except (AssertionError, TypeError, ValueError) as error:
        raise ConfigError(f"cannot configure kafka-python: {error}; see [kafka.options]") from error
    finally:
        if admin is not None:
            admin.close()


def _kafka_python(options: Mapping[str, Value], topic: str) -> Topic:
    with _kafka_python_admin(options, f"topic '{topic}'", TO_KEEP) as (admin, kafka):
        made, found = False, admin.describe_topics([topic])[0]
        if not found["partitions"]:
            admin.create_topics({topic: {"num_partitions": 1, "configs": {POLICY: "compact"}}}, wait_for_metadata=True)
            made, found = True, admin.describe_topics([topic])[0]
        policy = _policy_there(admin, kafka.admin.ConfigResource("topic", topic), kafka.errors)
        return Topic(len(found["partitions"]), policy, made)


def _policy_there(admin: Any, resource: Any, errors: Any) -> str | None:
    try:
        told = admin.describe_configs([resource], config_filter="all")
    except errors.AuthorizationError:
        return None
    entries = next(iter(told["topic"].values()))
    return str(entries[POLICY]["value"]) if POLICY in entries else None


@contextmanager
def _confluent_admin(options: Mapping[str, Value], what: str, hint: str = "") -> Iterator[tuple[Any, Any]]:
    """As `_kafka_python_admin`."""
    try:
        import confluent_kafka
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
    except ImportError as error:
        raise MissingExtra("confluent_kafka", "confluent") from error
    try:
        admin = AdminClient({**options, "log_level": 0})
    except KafkaException as error:
        raise ConfigError(f"cannot configure confluent-kafka: {error}; see [kafka.options]") from error
    try:
        yield admin, confluent_kafka
    except KafkaException as error:
        raise BrokerError(_words(what, error.args[0].str(), hint), not lasts_in_confluent(error.args[0])) from error


def _confluent(options: Mapping[str, Value], topic: str) -> Topic:
    with _confluent_admin(options, f"topic '{topic}'", TO_KEEP) as (admin, confluent):
        partitions, made = _partitions(admin, topic), False
        if not partitions:
            wanted = confluent.admin.NewTopic(topic, 1, config={POLICY: "compact"})
            admin.create_topics([wanted], request_timeout=ASK_SECONDS)[topic].result()
            partitions, made = _partitions(admin, topic) or 1, True
        asked = admin.describe_configs([confluent.admin.ConfigResource("topic", topic)], request_timeout=ASK_SECONDS)
        policy = _policy(next(iter(asked.values())), confluent.KafkaException, confluent.KafkaError)
        return Topic(partitions, policy, made)


def _partitions(admin: Any, topic: str) -> int:
    return len(admin.list_topics(topic, timeout=ASK_SECONDS).topics[topic].partitions)


def _policy(answer: Any, failed: Any, codes: Any) -> str | None:
    try:
        entry = answer.result().get(POLICY)
    except failed as error:
        if error.args[0].code() == codes.TOPIC_AUTHORIZATION_FAILED:
            return None
        raise
    return None if entry is None else str(entry.value)


def _words(what: str, error: object, hint: str) -> str:
    return f"cannot look at {what}: {error}; check bootstrap.servers and the rights of this user{hint}"

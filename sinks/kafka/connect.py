"""Messages to Kafka, through either client: idempotent, or in transactions with the offsets they were made from.

No other module writes to Kafka. A client tries again by itself for as long as it takes: nothing is given up because a
broker is down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sinks.kafka.confluent import ConfluentProducer
from sinks.kafka.kafka_python import KafkaPythonProducer
from sinks.kafka.producer import Producer
from whowas.kafka import Value, refuse_ours


def connect(client: str, options: Mapping[str, Value], transactional_id: str | None = None) -> Producer:
    """Make a producer through one of whowas.kafka.CLIENTS. Raises: ConfigError, MissingExtra, BrokerError."""
    refuse_ours(options)
    made: Callable[..., Producer] = ConfluentProducer if client == "confluent" else KafkaPythonProducer
    return made(options, transactional_id)

"""Makes a consumer through one of the two clients."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.kafka.consumer import Consumer, Owning, Subscription
from whowas.kafka import Value, refuse_ours


def connect(client: str, options: Mapping[str, Value], wanted: Subscription, owning: Owning) -> Consumer:
    """Join a group through one of whowas.kafka.CLIENTS. Raises: ConfigError, MissingExtra, BrokerError."""
    refuse_ours(options)
    if client == "confluent":
        from ingest.kafka.confluent import ConfluentConsumer

        return ConfluentConsumer(options, wanted, owning)
    from ingest.kafka.kafka_python import KafkaPythonConsumer

    return KafkaPythonConsumer(options, wanted, owning)

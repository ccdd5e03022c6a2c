"""Errors of Kafka that last: trying again will not help. One list a client."""

from __future__ import annotations

from typing import Any

_KAFKA_PYTHON = (
    "AuthorizationError",
    "SaslAuthenticationFailedError",
    "UnsupportedSaslMechanismError",
    "IllegalSaslStateError",
    "KafkaConfigurationError",
    "InvalidTopicError",
    "InvalidGroupIdError",
    "FencedInstanceIdError",
    "ProducerFencedError",
)
_CONFLUENT = (
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    "TOPIC_EXCEPTION",
    "INVALID_GROUP_ID",
    "FENCED_INSTANCE_ID",
    "_FENCED",
)


def lasts_in_kafka_python(errors: Any, error: BaseException) -> bool:
    """Say whether an error of kafka-python lasts. Args: errors: the module kafka.errors."""
    return isinstance(error, tuple(getattr(errors, name) for name in _KAFKA_PYTHON))


def lasts_in_confluent(error: Any) -> bool:
    """Say whether an error of confluent-kafka lasts. Args: error: a KafkaError."""
    return bool(error.fatal()) or error.code() in {getattr(error, name) for name in _CONFLUENT}

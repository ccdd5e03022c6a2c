"""Which errors of Kafka last: both clients mean the same by it, as far as they know the same errors."""

from __future__ import annotations

from typing import Any

import pytest

from whowas.kafka_errors import lasts_in_confluent, lasts_in_kafka_python

BOTH = [
    ("TopicAuthorizationFailedError", "TOPIC_AUTHORIZATION_FAILED", True),
    ("GroupAuthorizationFailedError", "GROUP_AUTHORIZATION_FAILED", True),
    ("ClusterAuthorizationFailedError", "CLUSTER_AUTHORIZATION_FAILED", True),
    ("TransactionalIdAuthorizationFailedError", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", True),
    ("SaslAuthenticationFailedError", "SASL_AUTHENTICATION_FAILED", True),
    ("InvalidTopicError", "TOPIC_EXCEPTION", True),
    ("InvalidGroupIdError", "INVALID_GROUP_ID", True),
    ("FencedInstanceIdError", "FENCED_INSTANCE_ID", True),
    ("ProducerFencedError", "_FENCED", True),
    ("KafkaTimeoutError", "_TIMED_OUT", False),
    ("KafkaConnectionError", "_TRANSPORT", False),
    ("CoordinatorNotAvailableError", "COORDINATOR_NOT_AVAILABLE", False),
    ("NotEnoughReplicasError", "NOT_ENOUGH_REPLICAS", False),
]


@pytest.mark.parametrize(("name", "_", "lasts"), BOTH)
def test_kafka_python(name: str, _: str, lasts: bool) -> None:
    errors: Any = pytest.importorskip("kafka.errors")
    assert lasts_in_kafka_python(errors, getattr(errors, name)()) is lasts


@pytest.mark.parametrize(("_", "name", "lasts"), BOTH)
def test_confluent(_: str, name: str, lasts: bool) -> None:
    code: Any = pytest.importorskip("confluent_kafka").KafkaError
    assert lasts_in_confluent(code(getattr(code, name))) is lasts
    assert lasts_in_confluent(code(code._TRANSPORT, "x", True))

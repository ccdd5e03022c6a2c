"""A real broker, and a topic of each test's own."""

from __future__ import annotations

import uuid

import pytest
from support.servers.broker import Broker

from whowas.evidence_topic import TopicSettings


@pytest.fixture(params=["kafka-python", pytest.param("confluent", marks=pytest.mark.long)])
def client(request: pytest.FixtureRequest, kafka_fetched: None) -> str:
    """Both clients carry evidence: at every `make test` the default one."""
    return str(request.param)


@pytest.fixture
def settings(broker: Broker, client: str) -> TopicSettings:
    """A topic that is not there yet."""
    return TopicSettings(f"evidence-{uuid.uuid4().hex[:8]}", client, broker.options())

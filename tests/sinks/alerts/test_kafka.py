"""Alerts in Kafka topics, on a real broker and through both clients."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.messages import messages
from support.servers.broker import Broker

from detect.model import LEVELS
from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.kafka import AlertTopics
from whowas.errors import ConfigError
from whowas.kafka import BrokerError
from whowas.stages import Alert


@pytest.fixture(params=["kafka-python", "confluent"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def name() -> str:
    """A name that no other test's topics have."""
    return f"alerts-{uuid.uuid4().hex[:8]}"


def topics(broker: Broker, client: str, topic: str, tmp_path: Path, **said: Any) -> AlertTopics:
    options = broker.options() | said.pop("options", {})
    return AlertTopics(client, options, topic, RefusedAlerts(tmp_path / "refused.jsonl"), **said)


def letters(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]


def test_each_level_has_its_topic_and_a_rule_may_have_its_own(
    broker: Broker, client: str, name: str, tmp_path: Path
) -> None:
    for end in (*LEVELS, "own"):
        broker.create(f"{name}-{end}")
    sink = topics(broker, client, name + "-{level}", tmp_path, levels=LEVELS, named=[f"{name}-own"])
    sink.check()
    sink.send([Alert(level, level, None, {"uid": level}) for level in LEVELS])
    sink.send([Alert("mine", "high", f"{name}-own", {"uid": "mine"})])
    assert sink.flush(30)
    sink.close()
    for level in LEVELS:
        assert messages(broker, f"{name}-{level}") == [(level, {"uid": level})]
    assert messages(broker, f"{name}-own") == [("mine", {"uid": "mine"})]


def test_a_topic_that_is_not_there_is_refused_at_the_start(
    broker: Broker, client: str, name: str, tmp_path: Path
) -> None:
    broker.create(f"{name}-high")
    sink = topics(broker, client, name + "-{level}", tmp_path, levels=("high", "low"), named=[f"{name}-own"])
    with pytest.raises(BrokerError, match=f"'{name}-low', '{name}-own': the broker has no such topic; create it"):
        sink.check()
    with pytest.raises(ConfigError, match="Kafka takes letters"):
        topics(broker, client, "no topic", tmp_path).check()


@pytest.mark.parametrize("where", ["client", "broker"])
def test_an_alert_that_is_too_large_is_kept_and_the_others_arrive(
    broker: Broker, client: str, name: str, tmp_path: Path, where: str
) -> None:
    limit = {} if where == "client" else {"max.message.bytes": "20000"}
    broker.create(name, **limit)
    sink = topics(broker, client, name, tmp_path)
    sink.check()
    size = 3_000_000 if where == "client" else 100_000
    # What cannot be compressed, or it would fit.
    large = {"uid": "large", "pad": "".join(uuid.uuid4().hex for _ in range(size // 32))}
    sink.send([Alert("a", "high", None, {"uid": "a"}), Alert("large", "high", None, large)])
    sink.send([Alert("b", "high", None, {"uid": "b"})])
    assert sink.flush(60)
    assert sink.refused == 1
    sink.send([Alert("c", "high", None, {"uid": "c"})])
    assert sink.flush(30)
    sink.close()
    assert {key for key, _ in messages(broker, name)} == {"a", "b", "c"}
    (letter,) = letters(tmp_path)
    assert (letter["key"], letter["alert"]) == ("large", large)
    assert letter["reason"].startswith("cannot write to Kafka: ")


def test_nobody_there_is_said_and_passes(client: str, tmp_path: Path, kafka_fetched: None) -> None:
    options = {"bootstrap.servers": "127.0.0.1:1"}
    if client == "confluent":
        options["socket.timeout.ms"] = "1000"
    sink = AlertTopics(client, options, "alerts", RefusedAlerts(tmp_path / "refused.jsonl"))
    with pytest.raises(BrokerError) as caught:
        sink.check()
    assert caught.value.passing
    assert "cannot look at topics alerts" in str(caught.value)


def test_alerts_that_fit_one_by_one_but_not_together_all_arrive(
    broker: Broker, client: str, name: str, tmp_path: Path
) -> None:
    broker.create(name, **{"max.message.bytes": "20000"})
    sink = topics(broker, client, name, tmp_path)
    pad = "".join(uuid.uuid4().hex for _ in range(450))
    sink.send([Alert(str(n), "high", None, {"uid": n, "pad": pad}) for n in range(10)])
    assert sink.flush(60)
    sink.close()
    assert {key for key, _ in messages(broker, name)} == {str(n) for n in range(10)}
    assert sink.refused == 0

"""What every alert sink keeps: check, send, flush, close; nothing is lost when the other side fails for a while."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.findings import finding
from support.http_receiver import Receiver, until
from support.messages import messages
from support.servers.alertmanager import Alertmanager as RealAlertmanager
from support.servers.broker import Broker

from detect.views import alertmanager
from sinks.alerts import http_delivery
from sinks.alerts.alertmanager import Alertmanager
from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Secret, Target
from sinks.alerts.jsonl import FindingsJsonl
from sinks.alerts.kafka import AlertTopics
from sinks.alerts.webhook import Webhook
from whowas.errors import WhowasError
from whowas.stages import Alert, AlertSink


class Rig:
    """A sink and its other side. keys: what arrived there, with repeats."""

    sink: AlertSink
    keys: Callable[[], list[str]]
    fail: Callable[[], None]
    mend: Callable[[], None]

    def body(self, key: str) -> dict[str, Any]:
        """What is sent under a key."""
        return {"uid": key, "note": "tabs\tquotes\"' é漢 \u2028 \udc80"}


def _jsonl(tmp_path: Path, _: Any) -> Iterator[Rig]:
    rig, folder = Rig(), tmp_path / "out"
    path, away = folder / "findings.jsonl", tmp_path / "away"
    rig.sink = FindingsJsonl(path)
    rig.keys = lambda: [json.loads(line)["uid"] for line in path.read_text().split("\n") if line]

    def fail() -> None:
        folder.rename(away)
        folder.write_text("in the way")

    def mend() -> None:
        folder.unlink()
        away.rename(folder)

    rig.fail, rig.mend = fail, mend
    yield rig


def _webhook(tmp_path: Path, _: Any, together: int = 1) -> Iterator[Rig]:
    rig = Rig()
    servers = [Receiver().__enter__()]
    port = servers[0].port
    place = Target(Secret(servers[0].url), seconds=5)
    rig.sink = Webhook(place, RefusedAlerts(tmp_path / "refused.jsonl"), together)
    rig.keys = lambda: [one["uid"] for server in servers for one in server.objects()]
    rig.fail = lambda: servers[-1].stop()  # noqa: PLW0108 - the last one then
    rig.mend = lambda: servers.append(Receiver(port=port).__enter__())
    yield rig
    servers[-1].stop()


def _webhook_arrays(tmp_path: Path, _: Any) -> Iterator[Rig]:
    yield from _webhook(tmp_path, _, together=50)


def _topic(client: str) -> Callable[[Path, Any], Iterator[Rig]]:
    def make(tmp_path: Path, request: Any) -> Iterator[Rig]:
        rig, broker = Rig(), request.getfixturevalue("broker")
        assert isinstance(broker, Broker)
        topic = broker.create(f"alerts-{uuid.uuid4().hex[:8]}")
        rig.sink = AlertTopics(client, broker.options(), topic, RefusedAlerts(tmp_path / "refused.jsonl"))
        rig.keys = lambda: [key for key, _ in messages(broker, topic)]
        rig.fail = broker.server.kill
        rig.mend = lambda: broker.server.start(60)
        yield rig
        if broker.server.pid is None:
            broker.server.start(60)

    return make


def _alertmanager(tmp_path: Path, request: Any) -> Iterator[Rig]:
    class Paging(Rig):
        def body(self, key: str) -> dict[str, Any]:
            return alertmanager.view(finding(uid=key, group=(("src_workload", key),)))

    rig, real = Paging(), request.getfixturevalue("real_alertmanager")
    assert isinstance(real, RealAlertmanager)
    rig.sink = Alertmanager(Target(Secret(real.url)), RefusedAlerts(tmp_path / "refused.jsonl"))
    # It forgets what it had when it is killed. It is shared: what other tests told it is theirs.
    before: list[str] = []

    def held() -> list[str]:
        return [one["annotations"].get("finding", "") for one in real.alerts()]

    others = set(held())
    rig.keys = lambda: before + [key for key in held() if key not in others]

    def fail() -> None:
        before.extend(rig.keys())
        real.server.kill()

    rig.fail, rig.mend = fail, real.server.start
    yield rig
    if real.server.pid is None:
        real.server.start()


RIGS = {
    "jsonl": _jsonl, "webhook": _webhook, "webhook-arrays": _webhook_arrays, "alertmanager": _alertmanager,
    "topic-kafka-python": _topic("kafka-python"), "topic-confluent": _topic("confluent"),
}  # fmt: skip


@pytest.fixture(params=list(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Each sink with a real other side."""
    monkeypatch.setattr(http_delivery, "LONGEST_PAUSE", 0.2)
    yield from RIGS[request.param](tmp_path, request)


def alerts(rig: Rig, keys: list[str]) -> list[Alert]:
    return [Alert(key, "high", None, rig.body(key)) for key in keys]


def deliver(rig: Rig, batch: list[Alert]) -> None:
    """As whowas.streaming.alert_delivery does: after an error, all of it again."""
    sent = False

    def arrived() -> bool:
        nonlocal sent
        try:
            if not sent:
                rig.sink.send(batch)
                sent = True
            return rig.sink.flush(1.0)
        except WhowasError:
            sent = False
            return False

    until(arrived, 90)


def test_every_sink_delivers_and_loses_nothing_when_the_other_side_fails(rig: Rig) -> None:
    rig.sink.check()
    keys = [f"{n:032x}" for n in range(60)]
    deliver(rig, alerts(rig, keys[:20]))
    assert sorted(set(rig.keys())) == keys[:20]
    rig.fail()
    told = ""
    try:
        rig.sink.send(alerts(rig, keys[20:40]))
        assert rig.sink.flush(1.0) is False, "what nobody took has not arrived"
    except WhowasError as error:
        told = str(error)
    assert (told or rig.sink.trouble).startswith("cannot "), "it says why"
    rig.mend()
    deliver(rig, alerts(rig, keys[20:40]))
    assert set(rig.keys()) == set(keys[:40])
    deliver(rig, alerts(rig, keys[40:]))
    assert set(rig.keys()) == set(keys)
    assert rig.sink.refused == 0
    assert rig.sink.trouble == ""
    rig.sink.close()


def test_flush_with_nothing_to_send_is_true_at_once(rig: Rig) -> None:
    rig.sink.check()
    assert rig.sink.flush(0.0) is True
    rig.sink.close()

"""Findings through real sinks at once: a file, and a webhook that is down for a while."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.findings import finding, flow
from support.http_receiver import Act, Receiver, until

from detect.views import ecs, ocsf
from sinks.alerts import http_delivery
from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Secret, Target
from sinks.alerts.jsonl import FindingsJsonl
from sinks.alerts.webhook import Webhook
from whowas.errors import ConfigError
from whowas.streaming import alert_delivery
from whowas.streaming.alert_delivery import Alerts, Outlet


def test_a_webhook_that_is_down_holds_up_no_file_and_gets_the_newest_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(alert_delivery, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_delivery, "LONGEST_PAUSE", 0.1)
    path = tmp_path / "findings.jsonl"
    with Receiver() as server:
        server.rest = Act(503)
        hook = Webhook(Target(Secret(server.url)), RefusedAlerts(tmp_path / "refused.jsonl"), together=20)
        outlets = [Outlet("file", FindingsJsonl(path), ocsf.view), Outlet("hook", hook, ecs.view, least="high")]
        alerts = Alerts(outlets)
        alerts.check()
        offers = [finding(uid=f"{n:032x}", flows=(flow(src_pod=f"web-{n}"),)) for n in range(100)]
        begin = time.monotonic()
        assert alerts.send(offers) == []
        assert time.monotonic() - begin < 1, "who offers does not wait for a sink"
        until(lambda: len(path.read_text().splitlines()) == 100)
        until(lambda: "HTTP 503" in alerts.troubles().get("hook", ""))
        alerts.send([finding(uid=offers[0].uid, revision=2, count=9)])
        server.rest = Act(200)
        told = alerts.flush(30)
        assert {one.uid for one in told} == {one.uid for one in offers}
        assert {one.revision for one in told if one.uid == offers[0].uid} >= {2}
        assert alerts.open == 0
        assert alerts.troubles() == {}
        alerts.close()
        newest = {one["whowas"]["finding"]["uid"]: one["event"]["sequence"] for one in server.objects()}
        assert newest == {one.uid: 2 if one is offers[0] else 1 for one in offers}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {one["finding_info"]["uid"] for one in lines} == {one.uid for one in offers}


def test_a_level_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot send from level 'hi' on: say one of informational, low"):
        Outlet("file", FindingsJsonl(tmp_path / "f"), ocsf.view, least="hi")

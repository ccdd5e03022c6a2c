"""Webhooks: what is tried again, what is kept aside, and that no secret gets out."""

from __future__ import annotations

import json
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from support.findings import finding
from support.http_receiver import Act, Receiver
from support.servers.alertmanager import Alertmanager as RealAlertmanager
from support.servers.certificates import Authority

from detect.views import alertmanager
from sinks.alerts import http_delivery
from sinks.alerts.alertmanager import Alertmanager
from sinks.alerts.dead_letters import RefusedAlerts
from sinks.alerts.http_client import Secret, Target
from sinks.alerts.webhook import Webhook
from whowas.errors import ConfigError, OutputError
from whowas.stages import Alert


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_delivery, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(http_delivery, "LONGEST_PAUSE", 0.05)


def hook(tmp_path: Path, url: str, together: int = 1, **said: Any) -> Webhook:
    made = Webhook(Target(Secret(url), **{"seconds": 2.0, **said}), RefusedAlerts(tmp_path / "refused.jsonl"), together)
    made.check()
    return made


def alert(key: str, **body: Any) -> Alert:
    return Alert(key, "high", None, {"uid": key, **body})


def letters(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425, 429, 401, 403, 404, 302, 0])
def test_what_may_pass_is_tried_again(tmp_path: Path, status: int) -> None:
    with Receiver() as server:
        server.acts.extend([Act(status)] * 3)
        sink = hook(tmp_path, server.url)
        sink.send([alert("a")])
        assert sink.flush(20)
        assert server.objects() == [{"uid": "a"}]
        assert sink.refused == 0
        assert sink.trouble == ""


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
@pytest.mark.parametrize("together", [1, 10])
def test_a_refused_alert_is_kept_with_the_reason_and_holds_up_no_other(
    tmp_path: Path, status: int, together: int
) -> None:
    with Receiver() as server:
        sink = hook(tmp_path, server.url, together)
        server.acts.extend([Act(status, body=b"no \x1b such field")] * (1 if together == 1 else 2))
        sink.send([alert("a"), alert("b"), alert("c")])
        assert sink.flush(20)
        assert [one["uid"] for one in server.objects()] == ["b", "c"]
    (letter,) = letters(tmp_path)
    assert letter["key"] == "a"
    assert letter["alert"] == {"uid": "a"}
    assert letter["reason"].startswith(f"HTTP {status} no")
    assert sink.refused == 1


def test_of_many_in_one_request_only_the_refused_one_is_kept(tmp_path: Path) -> None:
    with Receiver() as server:
        server.poison = "key-07"
        sink = hook(tmp_path, server.url, together=8)
        sink.send([alert(f"key-{n:02}") for n in range(20)])
        assert sink.flush(20)
        assert sorted(one["uid"] for one in server.objects()) == [f"key-{n:02}" for n in range(20) if n != 7]
    assert [one["key"] for one in letters(tmp_path)] == ["key-07"]


def test_what_a_place_stumbles_over_again_and_again_is_kept_at_last(tmp_path: Path) -> None:
    with Receiver() as server:
        server.rest = Act(500, body=b"division by zero")
        sink = hook(tmp_path, server.url)
        sink.send([alert("a")])
        assert sink.flush(30)
        assert len(server.seen) == http_delivery.ATTEMPTS
    assert letters(tmp_path)[0]["reason"] == "HTTP 500 division by zero"


def test_one_that_is_stumbled_over_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with Receiver() as server:
        server.acts.append(Act(500))
        sink = hook(tmp_path, server.url)
        sink.send([alert("a"), alert("b"), alert("c")])
        assert sink.flush(20)
        assert [one["uid"] for one in server.objects()] == ["b", "c", "a"]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_it_waits_as_long_as_it_is_told(tmp_path: Path, form: str) -> None:
    with Receiver() as server:
        after = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
        server.acts.append(Act(429, (("Retry-After", after),)))
        sink = hook(tmp_path, server.url)
        sink.send([alert("a")])
        assert sink.flush(0.3) is False
        assert len(server.seen) == 1, "nothing was posted before the time"
        assert "HTTP 429" in sink.trouble
        assert sink.flush(20)
        assert server.objects() == [{"uid": "a"}]


@pytest.mark.parametrize("header", ["-5", "99999999999999", "nonsense", "Wed, 99 Nov 2026", "²"])
def test_a_senseless_retry_after_is_no_trap(tmp_path: Path, header: str) -> None:
    with Receiver() as server:
        server.acts.append(Act(503, (("Retry-After", header.encode().decode("latin-1")),)))
        sink = hook(tmp_path, server.url)
        sink.send([alert("a")])
        assert sink.flush(20)


@pytest.mark.parametrize("act", [Act(stall=60), Act(200, body=b"slowly" * 50, drip=0.2)])
def test_a_place_that_stalls_is_given_up_in_time(tmp_path: Path, act: Act) -> None:
    with Receiver() as server:
        server.acts.append(act)
        sink = hook(tmp_path, server.url, seconds=0.5)
        sink.send([alert("a")])
        begin = time.monotonic()
        assert sink.flush(20)
        assert time.monotonic() - begin < 10
        assert {"uid": "a"} in server.objects()


def test_flush_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with Receiver() as server:
        server.rest = Act(503, (("Retry-After", "60"),))
        sink = hook(tmp_path, server.url)
        sink.send([alert("a")])
        begin = time.monotonic()
        assert sink.flush(0.5) is False
        assert time.monotonic() - begin < 5


def test_a_newer_revision_takes_the_place_of_one_that_waits(tmp_path: Path) -> None:
    with Receiver() as server:
        sink = hook(tmp_path, server.url)
        sink.send([alert("a", revision=1), alert("b")])
        sink.send([alert("a", revision=2)])
        assert sink.flush(20)
        assert server.objects() == [{"uid": "a", "revision": 2}, {"uid": "b"}]


def test_it_holds_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_delivery, "MOST_WAITING", 10)
    sink = hook(tmp_path, "http://127.0.0.1:1")
    sink.send([alert(str(n)) for n in range(10)])
    with pytest.raises(OutputError, match="10 alerts wait"):
        sink.send([alert("more")])


def test_secrets_are_read_anew_and_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer old-hunter2\n")
    with Receiver() as server:
        monkeypatch.setenv("WHOWAS_TEST_URL", server.url + "/services/hunter2")
        server.acts.extend([Act(401), Act(0)])
        place = Target(
            Secret(env="WHOWAS_TEST_URL"), {"Authorization": Secret(file=str(token)), "X": Secret("hunter2")}
        )
        sink = Webhook(place, RefusedAlerts(tmp_path / "refused.jsonl"))
        sink.send([alert("a")])
        assert sink.flush(0.001) is False
        told = sink.trouble
        assert "HTTP 401; see its address and its secrets" in told
        token.write_text("Bearer new-hunter2\n")
        assert sink.flush(20)
        used = [headers["Authorization"] for _, headers, _ in server.seen]
        assert (used[0], used[-1]) == ("Bearer old-hunter2", "Bearer new-hunter2")
        assert server.url in told
        assert "hunter2" not in told + repr(place)


@pytest.mark.parametrize(
    ("url", "headers", "words"),
    [
        ("ftp://x/", {}, "the address is none"),
        ("http://", {}, "the address is none"),
        ("http://x:99999/", {}, "the address is none"),
        ("http://x/\r\nHost: y", {}, "the address is none"),
        ("http://user:hunter2@x/", {}, "the address holds a user"),
        ("http://x/", {"Authorization": Secret("hunter2\r\nX: y")}, "holds what no header may"),
        ("http://x/", {"Authorization": Secret("hunter2\N{SNOWMAN}")}, "holds what no header may"),
        ("http://x/", {"Bad Name": Secret("hunter2")}, "holds what no header may"),
        ("http://x/", {"Authorization": Secret(env="WHOWAS_NOT_THERE")}, "the environment has no WHOWAS_NOT_THERE"),
        ("http://x/", {"Authorization": Secret(file="/nonexistent/token")}, "cannot read '/nonexistent/token'"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_first_flow(
    tmp_path: Path, url: str, headers: dict[str, Secret], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        hook(tmp_path, url, headers=headers)
    assert "hunter2" not in str(caught.value)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with Receiver() as other, Receiver() as server:
        server.rest = Act(307, (("Location", other.url),))
        sink = hook(tmp_path, server.url, headers={"Authorization": Secret("x")})
        sink.send([alert("a")])
        assert sink.flush(0.5) is False
        assert "HTTP 307" in sink.trouble
        assert other.seen == []


def test_a_certificate_must_be_trusted_and_fit(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("hook", alternative="IP:127.0.0.1"))
    with Receiver(context) as server:
        strange = hook(tmp_path, server.url)
        strange.send([alert("a")])
        assert strange.flush(0.5) is False
        assert "its certificate is not trusted" in strange.trouble
        assert server.seen == []
        other = hook(tmp_path, server.url.replace("127.0.0.1", "localhost"), authority=str(authority.certificate))
        other.send([alert("a")])
        assert other.flush(0.5) is False
        assert "certificate" in other.trouble
        assert server.seen == []
        good = hook(tmp_path, server.url, authority=str(authority.certificate))
        good.send([alert("a")])
        assert good.flush(20)
    with pytest.raises(ConfigError, match=r"cannot use the certificates '/nonexistent\.pem'"):
        hook(tmp_path, "https://127.0.0.1/", authority="/nonexistent.pem")


def test_a_connection_is_kept_for_many_alerts(tmp_path: Path) -> None:
    with Receiver() as server:
        sink = hook(tmp_path, server.url)
        sink.send([alert(str(n)) for n in range(50)])
        assert sink.flush(20)
        assert len(server.objects()) == 50


def test_a_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        sink = hook(tmp_path, "http://hook.invalid/path")
        sink.send([alert("a")])
        assert sink.flush(20)
        assert proxy.seen[0][1]["Host"] == "hook.invalid"


def test_alertmanager_keeps_one_alert_a_group_and_moves_its_end(
    tmp_path: Path, real_alertmanager: RealAlertmanager
) -> None:
    sink = Alertmanager(Target(Secret(real_alertmanager.url + "/")), RefusedAlerts(tmp_path / "r.jsonl"), 600.0)
    sink.check()
    group = (("src_namespace", "shop"), ("src_workload", tmp_path.name), ("src_ip", "10.0.0.1"))
    ends = []
    for uid in ("1", "2"):
        one = finding(uid=uid * 32, group=group)
        sink.send([Alert(one.uid, "high", None, alertmanager.view(one))])
        assert sink.flush(20)
        (found,) = (had for had in real_alertmanager.alerts() if had["labels"].get("src_workload") == tmp_path.name)
        assert found["annotations"]["finding"] == one.uid
        assert "src_ip" not in found["labels"]
        assert found["status"]["state"] == "active"
        ends.append(found["endsAt"])
    assert ends[0] < ends[1]
    assert sink.refused == 0


def test_alertmanager_says_which_it_does_not_take(tmp_path: Path, real_alertmanager: RealAlertmanager) -> None:
    sink = Alertmanager(Target(Secret(real_alertmanager.url)), RefusedAlerts(tmp_path / "refused.jsonl"))
    good, bad = (
        alertmanager.view(finding(uid=uid, group=(("src_workload", f"{tmp_path.name}-{uid}"),))) for uid in "gb"
    )
    bad["labels"] = {"not a name": "x"}
    sink.send([Alert("g", "high", None, good), Alert("b", "high", None, bad)])
    assert sink.flush(20)
    assert [one["key"] for one in letters(tmp_path)] == ["b"]
    assert "HTTP 400" in letters(tmp_path)[0]["reason"]
    assert any(one["annotations"].get("finding") == "g" for one in real_alertmanager.alerts())

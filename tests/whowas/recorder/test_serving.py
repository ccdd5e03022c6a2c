"""The pages that probes and Prometheus read, over real HTTP, and the words in them."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from whowas.errors import ConfigError
from whowas.evidence_topic import PublisherVitals
from whowas.metrics import METRICS, PAGE_TYPE, Histogram, exposition
from whowas.recorder.vitals import StoreVitals, Vitals, WatchVitals
from whowas.serving import Page, Probe, Server, answer, parse_address

NOW = 1_800_000_000_000_000
SORT = ("prod", "Pod", "MODIFIED")


def stream(kind: str = "Pod", **more: object) -> WatchVitals:
    well = WatchVitals("prod", kind, "watching", NOW - 10**6, NOW - 400_000, objects=12)
    return replace(well, **more)  # type: ignore[arg-type]


def vitals(*streams: WatchVitals, store: StoreVitals | None = None) -> Vitals:
    return Vitals(
        NOW,
        streams or (stream(),),
        store or StoreVitals("writing", NOW, events=5, bytes=4096),
        Counter({SORT: 7}),
        Counter({SORT: 5}),
        Counter({SORT: 1}),
        1,
        8000,
        Histogram(),
    )


def test_a_topic_that_is_not_filled_is_said() -> None:
    failing = PublisherVitals("evidence", "failing", NOW, "no broker", "", 2, 900, 9.5, 7, 1, 0, 1)
    assert replace(vitals(), topic=failing).unready() == ["topic evidence: failing: no broker"]
    assert replace(vitals(), topic=failing).unhealthy() == [], "a restart would not help"
    assert replace(vitals(), topic=replace(failing, state="publishing")).unready() == []


@pytest.mark.parametrize(
    ("streams", "word"),
    [
        ([stream(last_received_us=NOW - 151_000_000)], "prod Pod: silent for 151 s"),
        ([stream(last_received_us=None, objects=None, state="starting")], "the first list is not complete"),
        ([stream(objects=None, state="listing")], "the first list is not complete"),
        ([stream(durable=False)], "the first list is not complete"),
        ([stream(), stream("Job", state="forbidden", last_error="may not list jobs.batch")], "may not list jobs.batch"),
        ([stream(state="stopped", last_error="KeyError: 'x'")], "KeyError"),
    ],
)
def test_what_is_not_well_is_said_in_words(streams: list[WatchVitals], word: str) -> None:
    assert word in "\n".join(vitals(*streams).unready())


def test_what_is_well_or_optional_is_no_reason() -> None:
    optional = stream("Lease", state="forbidden", optional=True, objects=None, last_received_us=None)
    assert vitals(stream(last_received_us=NOW - 149_000_000), optional).unready() == []
    assert vitals(stream(state="waiting", last_error="connection refused")).unready() == [], "not silent too long yet"


def test_a_store_that_fails_is_unready_but_alive_and_one_that_ended_is_dead() -> None:
    failing = vitals(store=StoreVitals("failing", NOW, "disk full", failures=3))
    assert "disk full" in failing.unready()[0]
    assert failing.unhealthy() == []
    ended = vitals(store=StoreVitals("damaged", NOW, "file is not a database", alive=False))
    assert "file is not a database" in ended.unhealthy()[0]
    assert "301 s" in vitals(store=StoreVitals("writing", NOW, busy_seconds=301)).unhealthy()[0]
    assert vitals(stream(state="stopped")).unhealthy() == ["prod Pod: the watch has ended"]


def get(port: int, path: str, accept: str = "*/*") -> tuple[int, str, str]:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(asked, timeout=5) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_probes_turn_red_and_green_as_text_and_as_json() -> None:
    reasons: list[str] = []
    page = Probe(lambda: reasons, lambda: {"objects": 3})
    with Server("127.0.0.1:0", {"/readyz": lambda as_json: answer(page, as_json)}) as server:
        assert get(server.port, "/readyz") == (200, "text/plain; charset=utf-8", "ok\n")
        reasons.append("prod Pod: silent for 151 s")
        assert get(server.port, "/readyz")[::2] == (503, "prod Pod: silent for 151 s\n")
        status, kind, body = get(server.port, "/readyz", "application/json")
        assert (status, kind) == (503, "application/json")
        assert json.loads(body) == {"ok": False, "reasons": reasons, "details": {"objects": 3}}
        assert get(server.port, "/readyz?json")[1] == "application/json"
        reasons.clear()
        assert get(server.port, "/readyz")[0] == 200
        assert get(server.port, "/secret")[0] == 404


def test_every_declared_metric_is_served_and_none_that_is_not() -> None:
    filled = PublisherVitals("evidence", "publishing", NOW, "", "", 2, 900, 0.5, 7, 1, 0, 1)
    now = replace(vitals(stream(odd={"odd_field": 2}), stream("Node", objects=None)), topic=filled)
    now.write_seconds.add(0.02)
    now.write_seconds.add(99)
    metrics = exposition(now.samples)
    with Server("127.0.0.1:0", {"/metrics": lambda _json: Page(200, PAGE_TYPE, metrics())}) as server:
        _, content_type, text = get(server.port, "/metrics")
    assert content_type == PAGE_TYPE
    families = {one.name: one for one in text_string_to_metric_families(text)}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.form, metric.name
        assert family.samples, f"{metric.name} has no value"
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    ours = {name for name in families if name.startswith("whowas_")}
    assert ours == {one.name.removesuffix("_total") for one in METRICS}
    assert "process_resident_memory_bytes" in families
    written = {one.name: one.value for one in families["whowas_store_write_seconds"].samples if not one.labels}
    assert written["whowas_store_write_seconds_count"] == 2
    assert written["whowas_store_write_seconds_sum"] == pytest.approx(99.02)


def test_received_is_written_dropped_and_queued() -> None:
    told = vitals().to_json()
    assert told["received"] == told["written"] + told["dropped"] + told["queued"]


@pytest.mark.parametrize("text", ["9464", "localhost", "127.0.0.1:http", "127.0.0.1:99999", ""])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write it like 127.0.0.1:9464"):
        parse_address(text)


def test_an_address_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"cannot listen on .*choose another --listen"):
            Server(address, {})


def test_six_is_spoken() -> None:
    assert parse_address("[::1]:9464") == ("::1", 9464)
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with Server("[::1]:0", {}) as server, socket.create_connection(("::1", server.port), timeout=5):
        pass

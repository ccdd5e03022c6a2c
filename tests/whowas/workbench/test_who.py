"""Who held an address: lanes with bounds as the history has them, what changed, and when nobody was looking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.workbench import Served, served

import whowas
from whowas.cli import group
from whowas.timestamps import moment_us

HISTORY = "samples/overlay/history.jsonl.gz"
REUSED = "10.244.1.20"


@pytest.fixture(scope="module")
def page(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The sample's flows and history."""
    folder = tmp_path_factory.mktemp("who")
    capture = str(root / "samples/overlay/node1-bridge.pcap")
    words = ["replay", capture, "--history", str(root / HISTORY), "--out", str(folder / "named"), "--json"]
    assert CliRunner().invoke(group, words).exit_code == 0
    with served(folder / "named", folder / "cache", history=[str(root / HISTORY)]) as running:
        yield running


def test_an_address_has_a_lane_for_each_holder(page: Served, root: Path) -> None:
    told = page.ask("/api/who", {"what": REUSED}).json
    views = whowas.who(REUSED, history=str(root / HISTORY))
    assert [one["uid"] for one in told["lanes"]] == [one.uid for one in views]
    assert len({one["workload"] for one in told["lanes"]}) == 2
    for lane in told["lanes"]:
        assert lane["start_min"] <= lane["start_max"]
        assert lane["end_max"] is None or lane["end_min"] <= lane["end_max"]
    assert sum(told["flows_count"]) > 0
    assert set(told["flows_confidence"]) <= set(page.ask("/api/status").json["confidences"])


def test_a_moment_is_judged_as_the_command_judges_it(page: Served, root: Path) -> None:
    for lane in page.ask("/api/who", {"what": REUSED}).json["lanes"]:
        at = (lane["start_max"] + lane["end_min"]) // 2
        told = page.ask("/api/who", {"what": REUSED, "at": at}).json["judged"]
        answer = whowas.who(REUSED, at, history=str(root / HISTORY))
        assert (told["confidence"], told["reason"]) == (answer.confidence, answer.reason)
        assert told["holder"]["uid"] == lane["uid"]
        edge = page.ask("/api/who", {"what": REUSED, "at": lane["start_min"]}).json["judged"]
        assert edge["confidence"] == whowas.who(REUSED, lane["start_min"], history=str(root / HISTORY)).confidence


@pytest.mark.parametrize("what", ["shop/web", "deployment/shop/web", "label=app=web", "app=web"])
def test_names_and_labels_are_found(page: Served, what: str) -> None:
    told = page.ask("/api/who", {"what": what}).json
    assert {one["workload"] for one in told["lanes"]} == {"web"}
    assert REUSED in {one["address"] for one in told["lanes"]}


def test_a_node_and_a_limit(page: Served) -> None:
    told = page.ask("/api/who", {"what": "node/worker-1", "limit": 1}).json
    assert [one["kind"] for one in told["lanes"]] == ["node"]
    assert told["left_out"] > 0


def test_a_range_leaves_out_who_cannot_have_held_it_then(page: Served) -> None:
    first, *_, last = page.ask("/api/who", {"what": REUSED}).json["lanes"]
    span = {"since": last["start_max"] + 1, "until": last["start_max"] + 1000}
    lanes = page.ask("/api/who", {"what": REUSED, "range": span}).json["lanes"]
    assert [one["uid"] for one in lanes] == [last["uid"]]
    assert first["uid"] != last["uid"]


@pytest.mark.parametrize(
    "what", ["shop/nothing", "a/b/c/d", "label=app=none", "'; DROP", "<script>", "\x00", "node/none"]
)
def test_what_is_not_there_is_said(page: Served, what: str) -> None:
    answer = page.ask("/api/who", {"what": what})
    assert answer.status == 400
    assert "cannot find" in answer.json["error"]
    assert page.ask("/api/who", {"what": "192.0.2.77"}).json["lanes"] == []
    assert page.ask("/api/who", {"what": REUSED, "cluster": "none"}).status == 400


def test_what_nobody_watched_is_a_gap(page: Served) -> None:
    told = page.ask("/api/gaps", {"range": {"since": 0, "until": moment_us("2030-01-01T00:00:00Z")}}).json
    before, after = told["gaps"][0], told["gaps"][-1]
    assert (before["since"], "before" in before["why"]) == (0, True)
    assert (after["until"], "after" in after["why"]) == (moment_us("2030-01-01T00:00:00Z"), True)
    assert before["until"] < after["since"]
    (known,) = told["known_until"].values()
    within = {"since": before["until"] + 1, "until": after["since"] - 1}
    assert before["until"] < known
    assert page.ask("/api/gaps", {"range": within}).json["gaps"] == [
        one for one in told["gaps"] if before["until"] < one["since"] < after["since"]
    ]


def test_events_tell_begin_and_end_as_surely_as_the_lanes(page: Served) -> None:
    told = page.ask("/api/who", {"what": REUSED}).json
    for number, lane in enumerate(told["lanes"]):
        mine = {one["what"]: one for one in told["events"] if one["lane"] == number}
        assert (mine["started"]["time"], mine["started"]["until"]) == (lane["start_min"], lane["start_max"])
        if lane["end_max"] is None:
            assert "ended" not in mine
        else:
            assert (mine["ended"]["time"], mine["ended"]["until"]) == (lane["end_min"], lane["end_max"])


def test_a_short_range_shows_the_second_in_which_an_address_spoke(page: Served, root: Path) -> None:
    lanes = page.ask("/api/who", {"what": REUSED}).json["lanes"]
    span = {"since": lanes[0]["start_min"], "until": lanes[0]["start_min"] + 60_000_000}
    told = page.ask("/api/who", {"what": REUSED, "range": span}).json
    assert told["bucket"] == 1_000_000
    flows = page.ask("/api/flows", {"filter": f"ip={REUSED}", "range": span, "columns": ["start_time", "src_ip"]}).json
    assert sum(told["flows_count"]) == len(flows["flow_id"]) > 0
    assert set(told["flows_time"]) == {one // 1_000_000 * 1_000_000 for one in flows["values"][0]}
    some = page.ask("/api/who", {"what": REUSED, "range": span, "filter": "port=53"}).json
    assert 0 < sum(some["flows_count"]) < sum(told["flows_count"])
    pods = page.ask("/api/who", {"what": "shop/web", "range": span}).json
    assert sum(pods["flows_count"]) > 0


def test_evidence_is_what_the_command_explains(page: Served, root: Path) -> None:
    import json

    told = page.ask("/api/evidence", {"what": REUSED}).json
    words = ["who", REUSED, "--history", str(root / HISTORY), "--explain", "--json"]
    said = json.loads(CliRunner().invoke(group, words).output)["evidence"]
    assert [(one["verb"], one["says"], one["source"]) for one in told["lines"]] == [
        (one["verb"], one["says"], one["source"]) for one in said
    ]
    assert page.ask("/api/evidence", {"what": "shop/none"}).status == 400
    few = page.ask("/api/evidence", {"what": REUSED, "limit": 1}).json
    assert {one["uid"] for one in few["lines"]} == {told["lines"][0]["uid"]}
    assert few["unsaid"] == 2


def test_a_container_that_started_again_is_an_event(tmp_path: Path, folder: Path) -> None:
    history = tmp_path / "watch.jsonl"
    history.write_text("".join(map(_sight, range(3))))
    with served(folder, tmp_path / "cache", history=[str(history)]) as running:
        told = running.ask("/api/evidence", {"what": "10.1.0.1"}).json
    assert [(one["time"], one["after"]) for one in told["restarts"]] == [
        (moment_us("2025-11-21T00:01:00Z"), "restart 1"),
        (moment_us("2025-11-21T00:02:00Z"), "restart 2"),
    ]


def _sight(number: int) -> str:
    """A pod whose container has started so often again, as a watch tells it."""
    import json

    status: dict[str, object] = {
        "phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}],
        "startTime": "2025-11-21T00:00:00Z",
        "containerStatuses": [
            {"restartCount": number, "state": {"running": {"startedAt": f"2025-11-21T00:0{number}:00Z"}}}
        ],
    }  # fmt: skip
    meta = {"name": "web-1", "namespace": "shop", "uid": "u-1", "resourceVersion": str(number + 1)}
    meta["creationTimestamp"] = "2025-11-21T00:00:00Z"
    thing = {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"nodeName": "n"}, "status": status}
    return json.dumps({"type": "MODIFIED" if number else "ADDED", "object": thing}) + "\n"


def test_an_address_that_several_held_is_found_without_knowing_it(page: Served) -> None:
    told = page.ask("/api/shared", {}).json
    found = {one["address"]: one for one in told["addresses"]}
    assert found[REUSED]["holders"] == 3
    assert {tuple(one) for one in found[REUSED]["names"]} >= {("exact", "shop/web"), ("exact", "batch/report")}
    assert told["addresses"][0]["holders"] == max(one["holders"] for one in told["addresses"])
    assert page.ask("/api/shared", {"limit": 1}).json["left_out"] == len(found) - 1
    assert page.ask("/api/shared", {"range": {"since": 0, "until": 1}}).json["addresses"] == []

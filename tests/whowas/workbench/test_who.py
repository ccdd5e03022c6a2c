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

"""The test kubelet: what it publishes is what it did, late and cut off to seconds as a kubelet's word is."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from support.servers.addresses import Range
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import dumb_watcher, settled
from support.servers.kubelet import Churn, kubelet
from support.servers.lives import SHAPES, draw

pytestmark = pytest.mark.long

SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("policy", "next_ones"),
    [("lowest", ["10.0.0.1", "10.0.0.3"]), ("last", ["10.0.0.1", "10.0.0.3"]), ("round", ["10.0.0.3", "10.0.0.0"])],
)
def test_addresses_are_given_out_again(policy: str, next_ones: list[str]) -> None:
    addresses = Range("10.0.0.0", 4, policy, Random(1))
    if policy == "last":
        addresses = Range("10.0.0.1", 3, policy, Random(1))
        addresses.take("10.0.0.2")
        addresses.take("10.0.0.3")
        addresses.take("10.0.0.1")
        addresses.give_back("10.0.0.3")
        addresses.give_back("10.0.0.1")
    else:
        assert [addresses.take() for _ in range(3)] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
        addresses.give_back("10.0.0.1")
        if policy == "round":
            addresses.give_back("10.0.0.0")
    assert [addresses.take() for _ in range(2)] == next_ones


def test_none_is_left_and_a_wanted_one_is_kept() -> None:
    addresses = Range("10.0.0.0", 2, "random", Random(1))
    assert addresses.take("10.0.0.1") == "10.0.0.1"
    assert [addresses.take(), addresses.take()] == ["10.0.0.0", None]


def test_the_same_seed_draws_the_same_lives() -> None:
    def lives(seed: int) -> list[Any]:
        return [draw(seed, number, 20, 10, 4.0) for number in range(500)]

    assert lives(7) == lives(7)
    assert lives(7) != lives(8)
    assert {life.shape for life in lives(7)} == set(SHAPES)


@pytest.fixture(scope="module")
def played(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[Any]]:
    """The truth of some seconds of churn, and the events that a watcher saw of it."""
    folder = tmp_path_factory.mktemp("churn")
    churn = Churn(seed=3, seconds=10, rate=14, mean_seconds=2.5, nodes=8, addresses=12, settle_seconds=4, policy="last")
    with (
        dumb_watcher(control_plane.kubeconfig(), folder / "dumb.jsonl") as out,
        kubelet(control_plane.kubeconfig(), folder / "truth.jsonl", churn) as player,
    ):
        wait_until(lambda: player.pid is None, 90)
        assert json.loads(player.tail(1))["created"] > 80
        settled(control_plane.api(), out)
    leases = control_plane.api().list("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")[0]
    assert {one["metadata"]["name"] for one in leases} == {f"churn-{number}" for number in range(churn.nodes)}
    truth, events = (
        [json.loads(line) for line in path.read_text().splitlines()] for path in (folder / "truth.jsonl", out)
    )
    mine = [one for one in events if one["object"]["metadata"].get("namespace") == churn.namespace]
    return truth, mine


def seen_us(event: Any) -> int:
    return time_us(event["received"])


def time_us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * SECOND_US)


def condition(event: Any, kind: str) -> Any:
    found = [one for one in event["object"]["status"].get("conditions") or () if one["type"] == kind]
    return found[0] if found else None


def by_uid(events: list[Any]) -> dict[str, list[Any]]:
    grouped = defaultdict(list)
    for one in events:
        grouped[one["object"]["metadata"]["uid"]].append(one)
    return grouped


def test_nobody_shares_an_address_and_most_are_used_again(played: tuple[list[Any], list[Any]]) -> None:
    truth, _ = played
    holds = defaultdict(list)
    for one in truth:
        holds[one["ip"]].append((one["start_us"], one["end_us"] or 1 << 62))
    for spans in holds.values():
        spans.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert sum(len(spans) > 1 for spans in holds.values()) > 10


def test_what_is_published_was_so(played: tuple[list[Any], list[Any]]) -> None:
    truth, events = played
    holds = defaultdict(list)
    for one in truth:
        for uid in one.get("uids") or [one["uid"]]:
            holds[uid].append(one)
    told = 0
    for uid, seen in by_uid(events).items():
        for event in seen:
            address = event["object"]["status"].get("podIP")
            if not address or event["object"]["spec"].get("hostNetwork"):
                continue
            held = [one for one in holds[uid] if one["ip"] == address]
            assert held, f"{uid} never held {address}"
            assert seen_us(event) >= held[0]["start_us"]
            told += 1
            run = event["object"]["status"]["containerStatuses"][0]["state"].get("running")
            if run and condition(event, "PodReadyToStartContainers")["status"] == "True":
                started = time_us(run["startedAt"])
                assert any(one["start_us"] - SECOND_US < started < (one["end_us"] or 1 << 62) for one in held)
    assert told > 200


def test_an_end_is_told_only_after_it(played: tuple[list[Any], list[Any]]) -> None:
    truth, events = played
    grouped = by_uid(events)
    ends = 0
    for one in truth:
        if one["end_us"] is None:
            continue
        for event in grouped[one["uid"]]:
            status = event["object"]["status"]
            if status["phase"] in ("Succeeded", "Failed"):
                ends += 1
                assert seen_us(event) >= one["end_us"]
                finished = status["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
                if finished is not None and one["shape"] not in ("moved", "renewed"):
                    assert time_us(finished) <= one["end_us"]
    assert ends > 40


def test_each_shape_does_what_it_is_for(played: tuple[list[Any], list[Any]]) -> None:
    truth, events = played
    grouped = by_uid(events)
    shapes = defaultdict(list)
    for one in truth:
        shapes[one["shape"]].append(one)
    assert set(SHAPES) | {"static"} == set(shapes)
    assert any(
        len({one["ip"] for one in shapes["moved"] if one["uid"] == uid}) > 1
        for uid in {one["uid"] for one in shapes["moved"]}
    )
    assert max(Counter(one["uid"] for one in shapes["renewed"]).values()) > 1
    kept = [e for one in shapes["job"] for e in grouped[one["uid"]] if e["object"]["status"]["phase"] == "Succeeded"]
    assert any(event["object"]["status"].get("podIP") for event in kept)
    late = [one for one in shapes["forced"] for event in grouped[one["uid"]]
            if event["type"] == "DELETED" and one["end_us"] and seen_us(event) < one["end_us"]]  # fmt: skip
    assert late, "no forced pod outlived its object"
    assert any(one["end_us"] is None and len(one["uids"]) > 1 for one in shapes["static"])
    on_host = [event for event in events if event["object"]["spec"].get("hostNetwork")]
    assert {one["object"]["status"].get("podIP") for one in on_host if one["object"]["status"].get("podIP")} <= {
        one["object"]["status"].get("hostIP") for one in on_host
    }
    restarts = [event["object"]["status"]["containerStatuses"][0]["restartCount"] for one in shapes["crashing"]
                for event in grouped[one["uid"]] if event["object"]["status"].get("containerStatuses")]  # fmt: skip
    assert max(restarts) > 0

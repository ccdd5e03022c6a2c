"""What policies did and said: changes beside the lanes, the walk of a flow, pairs by verdict in map and report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.policy_story import DENY_ALL, TO_DB, evidence, line, log, thing
from support.workbench import HOSTILE, Served, served

import whowas
from whowas.cli import group
from whowas.timestamps import moment_us

SAID = {"policy_created", "policy_changed", "policy_deleted"}
ONLY = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}


def told_more(path: Path) -> None:
    """Policies of shop, behind what the story tells: one comes, changes and goes; one has a stranger's name."""
    late = {"creationTimestamp": "2026-11-20T10:40:00Z"}
    with path.open("a") as file:
        file.write(line("ADDED", "10:40:00.3", thing("NetworkPolicy", "only", "shop", ONLY, meta=late)))
        wider = ONLY | {"egress": [{}]}
        file.write(line("MODIFIED", "10:50:00", thing("NetworkPolicy", "only", "shop", wider, meta=late)))
        file.write(line("DELETED", "10:55:00", thing("NetworkPolicy", "only", "shop", wider, meta=late)))
        file.write(line("ADDED", "10:58:00", thing("NetworkPolicy", HOSTILE[0], "batch", DENY_ALL, meta=late)))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the story's history, a store of it, and its flows as a replay names them."""
    from whowas.history.import_export import import_files

    folder = tmp_path_factory.mktemp("policies")
    history = evidence(folder)
    told_more(history)
    whowas.replay(log(folder), history, out=folder / "named", cluster="prod")
    import_files(str(folder / "store.db"), [str(history)])
    return folder


@pytest.fixture(scope="module", params=["history.jsonl", "store.db"])
def page(story: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(story / "named", story / f"cache-{request.param}", history=[str(story / request.param)]) as running:
        yield running


def changes(page: Served, what: str, **more: Any) -> list[dict[str, Any]]:
    told = page.ask("/api/who", {"what": what, **more}).json
    assert told["about"]["partial"] == ""
    return [one for one in told["events"] if one["what"] in SAID]


def at(text: str) -> int:
    return moment_us(f"2026-11-20T{text}Z")


def test_a_pod_has_the_policies_that_chose_it(page: Served) -> None:
    came, changed, went = changes(page, "shop/web-1")
    assert [one["what"] for one in (came, changed, went)] == ["policy_created", "policy_changed", "policy_deleted"]
    # It was made within the second that the apiserver wrote down, and was told of in it.
    assert at("10:40:00") <= came["time"] <= came["until"] <= at("10:40:01")
    assert [one["until"] for one in (changed, went)] == [at("10:50:00"), at("10:55:00")]
    assert came["before"] == ""
    assert came["after"].startswith("shop/only ")
    assert "podSelector" in came["after"]
    assert "podSelector" not in changed["after"]
    assert changed["after"] == 'shop/only {"egress":[{}]}'
    assert went["after"] == ""
    assert went["before"].startswith("shop/only ")


def test_what_chose_others_is_not_told(page: Served) -> None:
    assert [one["after"].split(" ")[0] for one in changes(page, "data/cache-0")] == ["data/deny-all"]
    assert [one["after"].split(" ")[0] for one in changes(page, "data/db-0")] == ["data/to-db", "data/deny-all"]
    assert changes(page, "data/cache-0", range={"since": at("10:00:00"), "until": at("10:59:00")}) == []


def test_a_workload_has_them_on_each_of_its_lanes(page: Served) -> None:
    assert {one["lane"] for one in changes(page, "shop/web")} == {0, 1}
    assert len(changes(page, "shop/web")) == 6


def test_a_strangers_name_comes_as_it_was_told(page: Served) -> None:
    told = changes(page, "batch/job-1")
    assert [one["what"] for one in told] == ["policy_created"]
    assert told[0]["after"].startswith(f"batch/{HOSTILE[0]} ")


def test_without_policies_nothing_changes(story: Path, tmp_path: Path) -> None:
    history = evidence(tmp_path, policies=False)
    with served(story / "named", tmp_path / "cache", history=[str(history)]) as running:
        told = running.ask("/api/who", {"what": "data/db-0"}).json
        assert [one["what"] for one in told["events"]] == ["started"]
        assert told["about"]["partial"] == ""
        assert running.bench.history.policies() == {}


def test_of_thousands_the_first_are_told_and_it_is_said(story: Path, tmp_path: Path) -> None:
    history = evidence(tmp_path)
    with history.open("a") as file:
        for number in range(1200):
            late = {"creationTimestamp": "2026-11-20T10:40:00Z"}
            file.write(line("ADDED", "10:40:00.3", thing("NetworkPolicy", f"p{number}", "data", TO_DB, meta=late)))
    with served(story / "named", tmp_path / "cache", history=[str(history)]) as running:
        told = running.ask("/api/who", {"what": "data/db-0"}).json
    assert sum(one["what"] in SAID for one in told["events"]) == 1000
    assert "more NetworkPolicies changed" in told["about"]["partial"]


def flow(page: Served, words: str) -> Any:
    """One flow whole."""
    found = page.ask("/api/flows", {"filter": words, "oldest_first": True, "limit": 1}).json
    return page.ask("/api/flow", {"hour": found["hour"][0], "flow_id": found["flow_id"][0]}).json


@pytest.mark.parametrize(
    "words", ["src=batch/job port=5432", "src=shop/web port=5432", "src=shop/web port=6379", "src=shop/web port=443"]
)
def test_the_walk_of_a_flow_says_what_its_row_says(page: Served, words: str) -> None:
    told = flow(page, words)
    assert len(told["walk"]) == 1
    assert " --from " in told["walk"][0]
    name, *rest = shlex.split(told["walk"][0])
    assert name == "whowas"
    done = CliRunner().invoke(group, [*rest, "--json"])
    assert done.exit_code == 0, done.output
    (walked,) = json.loads(done.stdout)
    for key in ("policy_verdict", "policy_reason"):
        assert walked[key] == told["row"][key]
    for side in ("ingress", "egress"):
        assert ", ".join(walked[side]["decided"]) == (told["row"][f"policy_{side}"] or "")


def test_who_opened_is_not_known_where_nothing_tells(page: Served) -> None:
    from whowas.workbench.commands import Places, of_walk

    row = flow(page, "src=batch/job port=5432")["row"]
    places = Places("named", ("a", "b"))
    assert of_walk(row | {"policy_verdict": None}, places) == []
    assert of_walk(row, Places("named")) == []
    assert of_walk(row | {"protocol": "icmp"}, places) == []
    both = of_walk(row | {"initiator_basis": None}, places)
    assert [one.split(" --at")[0].removeprefix("whowas policy explain ") for one in both] == [
        "--from batch/job-1 --to data/db-0:5432", "--from data/db-0 --to batch/job-1:40000",
    ]  # fmt: skip
    unsure = row | {"src_confidence": "ambiguous", "dst_kind": "external", "dst_ip": "2001:db8::1", "protocol": "udp"}
    (one,) = of_walk(unsure, places)
    assert one.startswith("whowas policy explain --from 10.244.1.6 --to '[2001:db8::1]:5432/udp' --at ")
    assert one.endswith("--cluster prod --history a --history b")
    hostile = row | {"src_pod": "a\x1b[2J", "cluster": "$(x)"}
    assert of_walk(hostile, places)[0].startswith("# no command")
    assert "'$(x)'" in of_walk(row | {"cluster": "$(x)"}, places)[0]


def test_the_map_shows_what_was_denied_before_all_else(page: Served) -> None:
    told = page.ask("/api/map", {"by": "workload", "paint": "policy_verdict", "limit": 2}).json
    assert [dict(one["painted"]).get("denied", 0) > 0 for one in told["edges"]] == [True, True]
    names = {told["nodes"][one["src"]]["name"]["name"] for one in told["edges"]}
    # The job to the database; and from eleven on all to the cache.
    assert "job" in names
    plain = page.ask("/api/map", {"by": "workload", "limit": 2}).json
    assert [one["flows"] for one in plain["edges"]] == [6, 6]


def test_a_verdict_narrows(page: Served) -> None:
    told = page.ask("/api/flows", {"filter": "where=policy_verdict=denied", "columns": ["policy_verdict"]}).json
    assert set(told["values"][0]) == {"denied"}
    rest = page.ask("/api/flows", {"filter": "not where=policy_verdict=*", "columns": ["policy_verdict"]}).json
    assert rest["values"] == [[]]


def test_a_report_tells_pairs_by_verdict_denied_first(story: Path, tmp_path: Path) -> None:
    from whowas.workbench.report import Sources, Wish, report

    sources = Sources(str(story / "named"), tmp_path / "cache", [str(story / "history.jsonl")])
    text, made = report(sources, Wish())
    assert made.verdicts is not None
    assert made.verdicts.flows["denied"] == 6
    assert sum(made.verdicts.flows.values()) == 27
    part = text[text.index("What policies say") :]
    part = part[: part.index("<h2>Top edges")]
    places = [part.index(f"<h3>{one}") for one in ("Seen though denied", "Allowed", "Open")]
    assert places == sorted(places)
    assert "why they were denied" in part
    assert "no rule" in part
    _, narrowed = report(sources, Wish("port=5432 src=shop/web"))
    assert narrowed.verdicts is not None
    assert narrowed.verdicts.denied is None
    assert {one.column for one in made.reasons} == {"src_reason", "dst_reason"}


def test_a_report_says_nothing_of_policies_where_nobody_judged(story: Path, tmp_path: Path) -> None:
    from whowas.workbench.report import Sources, Wish, report

    history = evidence(tmp_path, policies=False)
    whowas.replay(log(tmp_path), history, out=tmp_path / "named", cluster="prod")
    text, made = report(Sources(str(tmp_path / "named"), tmp_path / "cache", [str(history)]), Wish())
    assert made.verdicts is None
    assert "What policies say" not in text


def test_each_lane_has_some_of_thousands(story: Path, tmp_path: Path) -> None:
    history = evidence(tmp_path)
    with history.open("a") as file:
        for number in range(1200):
            late = {"creationTimestamp": "2026-11-20T10:40:00Z"}
            file.write(line("ADDED", "10:40:00.3", thing("NetworkPolicy", f"p{number}", "shop", DENY_ALL, meta=late)))
    with served(story / "named", tmp_path / "cache", history=[str(history)]) as running:
        told = running.ask("/api/who", {"what": "shop/web"}).json
    counts = [sum(one["what"] in SAID and one["lane"] == lane for one in told["events"]) for lane in (0, 1)]
    assert counts == [500, 500]

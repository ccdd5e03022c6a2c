"""`whowas policy quarantine`: what the label of a finding's advice would cut, and what other policies let pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.policy_story import evidence, log

import whowas
from whowas.cli import group

AT = "2026-11-20T10:30:00Z"


@pytest.fixture(scope="module", name="folder")
def folder_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from whowas.history.import_export import import_files

    folder = tmp_path_factory.mktemp("quarantine")
    whowas.replay(log(folder), evidence(folder), out=folder / "named", cluster="prod")
    import_files(str(folder / "store.db"), [str(folder / "history.jsonl")])
    (folder / "none").mkdir()
    evidence(folder / "none", policies=False)
    return folder


def run(folder: Path, pod: str, *more: str, history: str = "history.jsonl") -> Result:
    words = ["policy", "quarantine", pod, "-f", str(folder / "named"), "-H", str(folder / history), "--at", AT, *more]
    return CliRunner().invoke(group, words)


def lines(found: Any, what: str) -> dict[tuple[str, str, int], int]:
    return {(one["source"], one["target"], one["port"]): one["flows"] for one in found[what]}


@pytest.mark.parametrize("history", ["history.jsonl", "store.db"])
def test_what_another_policy_allows_stays_until_the_labels_go(folder: Path, history: str) -> None:
    done = run(folder, "data/db-0", "--json", history=history)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["pod"]) == (1, "data/db-0")
    assert lines(told["labelled"], "stays") == {("shop/web", "data/db", 5432): 6}
    assert told["labelled"]["stays"][0]["reason"] == "ingress: data/to-db rule 1 allows it"
    assert lines(told["labelled"], "cut") == {("batch/job", "data/db", 5432): 3}
    cut = {("shop/web", "data/db", 5432): 6, ("batch/job", "data/db", 5432): 3}
    assert (lines(told["unlabelled"], "cut"), told["unlabelled"]["stays"]) == (cut, [])


def test_both_directions_and_nobody_elses_flows(folder: Path) -> None:
    done = run(folder, "shop/web-1", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["labelled"]["flows"], told["labelled"]["stays"]) == (0, 9, [])
    wanted = {("shop/web", "data/db", 5432): 3, ("shop/web", "data/cache", 6379): 3, ("shop/web", "192.0.2.7", 443): 3}
    assert lines(told["labelled"], "cut") == wanted


def test_for_people_and_without_policies(folder: Path) -> None:
    shown = run(folder, "data/db-0").stdout
    assert "by the label alone: 3 cut, 6 still pass, 0 not sure" in shown
    assert "without its own labels too: 9 cut, 0 still pass, 0 not sure" in shown
    assert "    ingress: data/to-db rule 1 allows it" in shown
    assert "by the label alone: 9 cut" in run(folder, "data/db-0", history="none").stdout


def test_a_pod_must_be_one(folder: Path) -> None:
    for pod, says in (("shop/web", "name one pod"), ("192.0.2.7", "name one pod"), ("shop/nobody", "no pod or")):
        assert says in str(run(folder, pod).exception), pod

"""Names under churn, against a simulated cluster that knows the truth: none may be wrong and called certain."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from churn.scoring import score
from churn.simulated_cluster import Cluster
from churn.views import one_list, with_gap, without_times

from enrich.history import ClusterHistory, derive
from ingest.cluster.read import EvidenceReport, read_observations

# `make soak` asks for many more.
SEEDS = range(int(os.environ.get("WHOWAS_CHURN_SEEDS", "8")))
SECONDS = 120
# Plenty of free addresses, few (each is taken again at once), fewer than wanted (pods wait for one).
SIZES = (20, 8, 4)


def history_of(lines: Iterable[str], tmp_path: Path) -> ClusterHistory:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    report = EvidenceReport()
    history = derive(read_observations([str(path)], None, report)).cluster(None)
    assert report.whole()
    assert not report.refused
    return history


HARDER: dict[str, dict[str, Any]] = {
    "statuses held back for up to 20 s": {"latest": 20.0},
    "nodes that start anew": {"reboots": 0.05},
    "a clock 30 s ahead, one 2 s behind": {"clocks": (30.0, -2.0)},
    "clocks 5 s and 1.5 s behind": {"clocks": (-5.0, -1.5)},
}


def story(seed: int, addresses: int, **harder: Any) -> Cluster:
    cluster = Cluster(seed, addresses=addresses, **harder)
    cluster.run(SECONDS)
    assert len(cluster.truth) > 60
    return cluster


@pytest.mark.parametrize("addresses", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_certain_name_is_wrong(seed: int, addresses: int, tmp_path: Path) -> None:
    cluster = story(seed, addresses)
    found = score(history_of(cluster.lines(), tmp_path), cluster)
    assert not found.wrong
    assert not found.missed
    assert found.answers["exact"] > 1000
    # Far from both ends everything can be known; a few lie in sandboxes that were never published.
    assert found.inside_exact >= 0.98 * found.inside > 0


@pytest.mark.parametrize("view", [with_gap, without_times, one_list])
@pytest.mark.parametrize("addresses", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_nor_for_who_saw_less(
    seed: int, addresses: int, view: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    cluster = story(seed, addresses)
    found = score(history_of(view(cluster.lines()), tmp_path), cluster)
    assert not found.wrong
    if view is with_gap:
        assert found.answers["exact"] > 0
        assert found.answers["unknown"] > 0 or addresses < max(SIZES)


@pytest.mark.parametrize("harder", HARDER.values(), ids=HARDER.keys())
@pytest.mark.parametrize("addresses", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_nor_under_harder_conditions(seed: int, addresses: int, harder: dict[str, Any], tmp_path: Path) -> None:
    cluster = story(seed, addresses, **harder)
    found = score(history_of(cluster.lines(), tmp_path), cluster)
    assert not found.wrong
    assert found.answers["exact"] > 300


def test_the_published_measure_finds_no_certain_name_wrong(root: Path) -> None:
    words = [sys.executable, "bench/accuracy.py", "--clusters", "2", "--seconds", "90"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line[:36].strip(): line[36:].split() for line in done.stdout.splitlines()[3:]}
    assert float(rows["whowas"][1]) == 0
    assert float(rows["whowas"][0]) > 50
    assert float(rows["present-state cache"][1]) > 0

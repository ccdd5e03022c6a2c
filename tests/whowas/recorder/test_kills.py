"""`whowas watch` killed with -9 at random while pods come and go: nothing lost, nothing doubled.

WHOWAS_KILLS says how often; `make soak` kills a hundred times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.recorder.running import kill, live_a_while, pods_version, stop
from support.recorder.witness import PODS, Witness, churn, cursor, differences, gaps, standing, stored, wait_for_version
from support.servers import pods
from support.servers.control_plane import ControlPlane

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("WHOWAS_KILLS", "8"))


Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "h.db"


@pytest.fixture
def start(path: Path, kubeconfig: Path) -> Iterator[Start]:
    """Starts `whowas watch`; none outlives its test."""
    words = ["watch", "--history", str(path), "--kubeconfig", str(kubeconfig), "--listen", "none"]
    started: list[subprocess.Popen[bytes]] = []

    def run() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-m", "whowas", *words], stderr=subprocess.DEVNULL))
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.wait()


def test_kills_lose_nothing_and_double_nothing(cluster: ControlPlane, path: Path, start: Start) -> None:
    api, rng = cluster.api(), random.Random(1)
    first = start()
    wait_for_version(path, 1)
    progress = set()
    with Witness(api) as witness:
        with churn(api, 60, seed=2):
            running = first
            for _ in range(KILLS):
                live_a_while(path, rng)
                progress.add(cursor(path))
                kill(running)
                running = start()
        seen = witness.all(api)
        assert not witness.torn
        wait_for_version(path, seen[-1][2])
        stop(running)
    assert len(progress) > KILLS / 3, "the runs that were killed had got somewhere"
    assert len(seen) > 20 * KILLS
    assert gaps(path) == []
    assert not any(differences(seen, [one for one in stored(path) if one[0] != "LISTED"]).values())
    assert standing(path) == {one["metadata"]["uid"] for one in api.list(PODS)[0]}


def test_kills_during_the_first_list(cluster: ControlPlane, path: Path, start: Start) -> None:
    """A list that was cut off is begun anew; what went meanwhile is not believed to stand for ever."""
    api, rng = cluster.api(), random.Random(2)
    pods.fill(api, 1500)
    caught = 0
    with churn(api, 30, seed=3):
        for number in range(6):
            running = start()
            time.sleep(rng.uniform(0.4, 0.9))
            kill(running)
            caught += cursor(path) == 0
            api.delete(f"/api/v1/namespaces/default/pods/filler-00000-0000{number}", grace_seconds=0)
    running = start()
    last = int(pods_version(api))
    wait_for_version(path, last)
    stop(running)
    assert caught, "no list was cut off: the test tests nothing"
    assert standing(path) == {one["metadata"]["uid"] for one in api.list(PODS)[0]}

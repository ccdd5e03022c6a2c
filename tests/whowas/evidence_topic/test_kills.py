"""The one who tells, the one who is told and the broker are killed at any moment: nothing is lost, nothing doubled."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.evidence_topic.processes import KILLS, TOTAL
from support.evidence_topic.teller import caught_up
from support.evidence_topic.telling import events
from support.servers.broker import Broker
from support.store.streams import fresh_view
from support.store.written import numbered

from enrich.store.evidence_store import EvidenceStore
from enrich.store.replica import position
from whowas.errors import StoreError
from whowas.evidence_topic import TopicSettings

pytestmark = pytest.mark.long


class Process(NamedTuple):
    """A process that can be killed and started again, with what it says."""

    words: list[str]
    log: Path

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": f"tests:{os.getcwd()}"}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "support.evidence_topic.processes", *self.words]
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


@pytest.fixture
def own_broker(servers_built: None) -> Iterator[Broker]:
    with Broker() as started:
        yield started


def test_kills_lose_nothing_and_double_nothing(own_broker: Broker, client: str, root: Path, tmp_path: Path) -> None:
    settings = TopicSettings("evidence", client, own_broker.options())
    told = json.dumps({"topic": settings.topic, "client": client, "options": dict(settings.options)})
    store, copy = tmp_path / "store", tmp_path / "copy"
    both = [Process(["tell", str(store), told], tmp_path / "tell.log"),
            Process(["keep", str(copy), told], tmp_path / "keep.log")]  # fmt: skip
    dice, running = random.Random(client), [one.start() for one in both]
    progress = (lambda: written(store)), (lambda: taken_in(copy))
    steps = set()
    try:
        for number in range(KILLS):
            which = dice.randrange(2)
            live_a_while(progress[which], dice)
            assert running[which].poll() is None, both[which].log.read_text()[-2000:]
            running[which].kill()
            running[which].wait()
            if number == KILLS // 2:
                own_broker.server.kill()
                own_broker.server.start(60)
            steps.add((taken_in(copy), written(store)))
            running[which] = both[which].start()
        until = time.monotonic() + 120
        while "told" not in both[0].log.read_text():
            assert time.monotonic() < until, both[0].log.read_text()[-2000:]
            time.sleep(0.1)
    finally:
        for one in running:
            one.kill()
            one.wait()
    caught_up(copy, settings)
    assert len(steps) > KILLS / 3, "the runs that were killed had got somewhere"
    with EvidenceStore(tmp_path / "single", write=True) as single:
        single.write(numbered(TOTAL))
    assert events(copy) == events(store) == events(tmp_path / "single")
    assert fresh_view(copy) == fresh_view(store) == fresh_view(tmp_path / "single")


def live_a_while(progress: Callable[[], int], dice: random.Random) -> None:
    """Until it has got further and some time more, so that work is hit; or any time, so that starts are."""
    began, until = progress(), time.monotonic() + 8
    if dice.random() < 0.7:
        while progress() == began and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.6))
    else:
        time.sleep(dice.uniform(0, 3))


def written(path: Path) -> int:
    """How many observations are in the store of the one who tells."""
    # In its first moments a store is an empty file.
    with contextlib.suppress(StoreError), EvidenceStore(path) as store:
        found = store.cursors("c").get("Pod")
        return int(found.version) if found else 0
    return 0


def taken_in(path: Path) -> int:
    """How many messages a replica has taken in."""
    with contextlib.suppress(StoreError):
        now = position(str(path))
        return now.next if now else 0
    return 0

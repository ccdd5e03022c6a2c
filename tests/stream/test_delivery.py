"""Records through a real broker to Parquet: each once, whatever is killed when. On both clients.

WHOWAS_KILLS and WHOWAS_FLOWS say how often and how many; `make soak` kills a hundred times during a million.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from servers.broker import Broker
from stream.conftest import Start
from stream.flow_records import count, produce, record, serials
from stream.workers import wait_until

KILLS = int(os.environ.get("WHOWAS_KILLS", "20"))
FLOWS = int(os.environ.get("WHOWAS_FLOWS", "50000"))


def test_every_record_comes_out_once(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    produce(broker, topic, map(record, range(5000)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") >= 5000, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(5000), 1)
    last = worker.lines()[-1]
    assert (last["received"], last["delivered"], last["held_records"]) == (5000, 5000, 0)
    assert sum(broker.committed(f"group-{topic}", topic, 3)) == 5000


def test_kills_lose_nothing_and_double_nothing(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    rng, named, progress = random.Random(1), tmp_path / "named", set()
    worker = start()
    for number in range(KILLS):
        before = count(named)
        produce(broker, topic, map(record, range(number * FLOWS // KILLS, (number + 1) * FLOWS // KILLS)))
        if rng.random() < 0.7:
            # Into the middle of writing; else at any time, so that starts are hit too.
            until = time.monotonic() + 10
            while count(named) == before and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
        else:
            time.sleep(rng.uniform(0, 2))
        progress.add(count(named))
        worker.kill()
        worker = start()
    wait_until(lambda: count(named) >= FLOWS and worker.lines(), worker, 60)
    assert worker.stop() == 0, worker.told()
    assert serials(named) == dict.fromkeys(range(FLOWS), 1)
    assert len(progress) > KILLS / 3, "the workers that were killed had got somewhere"

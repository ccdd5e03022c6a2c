"""Records through a real broker to Parquet: each once, whatever is killed when. On both clients.

WHOWAS_KILLS and WHOWAS_FLOWS say how often and how many; `make soak` kills a hundred times during a million.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.servers.broker import Broker
from support.streaming.flow_records import count, produce, record, serials
from support.streaming.workers import Process, Start, wait_until

KILLS = int(os.environ.get("WHOWAS_KILLS", "8"))
FLOWS = int(os.environ.get("WHOWAS_FLOWS", "30000"))


def test_every_record_comes_out_once(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    produce(broker, topic, map(record, range(5000)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") >= 5000, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(5000), 1)
    last = worker.lines()[-1]
    assert (last["received"], last["delivered"], last["held_records"]) == (5000, 5000, 0)
    assert sum(broker.committed(f"group-{topic}", topic, 3)) == 5000


@pytest.mark.long
def test_kills_lose_nothing_and_double_nothing(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    rng, named, progress = random.Random(1), tmp_path / "named", set()
    worker = start()
    for number in range(KILLS):
        before = count(named)
        produce(broker, topic, map(record, range(number * FLOWS // KILLS, (number + 1) * FLOWS // KILLS)))
        if rng.random() < 0.7:
            # Into the middle of writing; else at any time, so that starts are hit too.
            wait_until(lambda before=before: count(named) > before, worker)  # type: ignore[misc]
            time.sleep(rng.uniform(0, 0.3))
        else:
            time.sleep(rng.uniform(0, 2))
        progress.add(count(named))
        worker.kill()
        worker = start()
    # What a machine that is busy with other things has left to do is no fault.
    wait_until(lambda: count(named) >= FLOWS and worker.lines(), worker, 120 + FLOWS / 1000)
    assert worker.stop() == 0, worker.told()
    assert serials(named) == dict.fromkeys(range(FLOWS), 1)
    assert len(progress) > KILLS / 3, "the workers that were killed had got somewhere"


def down(worker: Process) -> list[dict[str, Any]]:
    """The lines in which it says that the broker does not answer."""
    return [line for line in worker.lines() if line["state"] in ("broker", "commit")]


@pytest.mark.long
def test_a_broker_that_dies_and_comes_back(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    produce(broker, topic, map(record, range(1000)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 1000, worker)
    broker.server.kill()
    try:
        wait_until(lambda: down(worker), worker)
    finally:
        broker.server.start(60)
    produce(broker, topic, map(record, range(1000, 2000)))
    # Parquet has them before the group knows it, and the broker may still be getting up.
    wait_until(lambda: sum(broker.committed(f"group-{topic}", topic, 3)) == 2000, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(2000), 1)
    assert not down(worker)[0]["ready"]
    assert "check bootstrap.servers" in down(worker)[0]["reasons"][0]


@pytest.mark.long
def test_three_workers_come_and_go(broker: Broker, topic: str, start: Start, tmp_path: Path) -> None:
    named, workers = tmp_path / "named", [start()]
    for turn, change in enumerate(("start", "start", "stop", "kill", "start", "stop")):
        produce(broker, topic, map(record, range(turn * 2000, turn * 2000 + 2000)))
        wait_until(lambda turn=turn: count(named) > turn * 2000, workers[-1])  # type: ignore[misc]
        if change == "start":
            workers.append(start())
            wait_until(workers[-1].lines, workers[-1])
        elif change == "stop":
            gone = workers.pop(0)
            assert gone.stop() == 0, gone.told()
        else:
            workers.pop(0).kill()
    wait_until(lambda: count(named) >= 12_000, workers[-1])
    for one in workers:
        assert one.stop() == 0, one.told()
    assert serials(named) == dict.fromkeys(range(12_000), 1)


@pytest.mark.long
def test_a_worker_that_was_asleep_writes_nothing_that_is_no_longer_its_own(
    broker: Broker, topic: str, start: Start, tmp_path: Path
) -> None:
    """Stopped in its tracks it loses its partitions; when it wakes up it must not go on where it was."""
    named, asleep = tmp_path / "named", start()
    produce(broker, topic, map(record, range(1000)))
    wait_until(lambda: count(named) == 1000, asleep)
    produce(broker, topic, map(record, range(1000, 3000)))
    asleep.running.send_signal(signal.SIGSTOP)
    other = start()
    wait_until(lambda: any(line["partitions"] for line in other.lines()), other)
    time.sleep(1)
    asleep.running.send_signal(signal.SIGCONT)
    wait_until(lambda: count(named) >= 3000, other)
    assert asleep.stop() == 0, asleep.told()
    assert other.stop() == 0, other.told()
    assert serials(named) == dict.fromkeys(range(3000), 1)


def test_through_tls_with_a_password(
    broker: Broker, topic: str, start: Start, tables: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    tables["kafka.options"] |= broker.options("secure")
    produce(broker, topic, map(record, range(300)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 300, worker)
    assert worker.stop() == 0, worker.told()

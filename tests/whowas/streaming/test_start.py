"""Where a new group begins, and that it stays there. On both clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.servers.broker import Broker
from support.servers.process import free_port
from support.streaming.flow_records import T0_SECONDS, count, produce, record, serials
from support.streaming.workers import Start, details, wait_until


@pytest.fixture
def port(tables: dict[str, dict[str, Any]]) -> int:
    """Where a worker tells how it goes."""
    port = free_port()
    tables["serving"]["listen"] = f"127.0.0.1:{port}"
    tables["input"]["start"] = "latest"
    return port


def claimed(port: int) -> bool:
    """Whether the worker has all three partitions."""
    return sum(one["claimed"] for one in details(port).get("partitions", ())) == 3


def test_what_came_after_the_start_is_read_by_whoever_comes_next(
    broker: Broker, topic: str, start: Start, port: int, tables: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """A worker is killed with all that it has read since the group's first start, before anything was committed."""
    tables["naming"]["wait"] = "final"
    unknown_yet = T0_SECONDS + 4 * 3600
    produce(broker, topic, map(record, range(300)))
    worker = start()
    wait_until(lambda: claimed(port), worker)
    assert sum(broker.committed(f"group-{topic}", topic, 3)) == 300, "where it begins is committed"
    produce(broker, topic, [record(one, unknown_yet) for one in range(300, 500)])
    wait_until(lambda: details(port)["received"] == 200, worker)
    worker.kill()
    assert not count(tmp_path / "named")
    produce(broker, topic, map(record, range(500, 550)))
    tables["naming"]["wait"] = "never"
    following = start()
    wait_until(lambda: sum(broker.committed(f"group-{topic}", topic, 3)) == 550, following)
    assert following.stop() == 0, following.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(300, 550), 1)


def test_a_stream_that_comes_while_records_do(
    broker: Broker, topic: str, start: Start, port: int, tmp_path: Path
) -> None:
    """Whatever the place is where it begins, nothing behind it is left out, and nothing before it is read."""
    worker, number = start(), 0
    while not claimed(port) and number < 100_000:
        produce(broker, topic, map(record, range(number, number + 3)), partition=0)
        produce(broker, topic, map(record, range(number + 3, number + 6)), partition=1)
        number += 6
    first = broker.committed(f"group-{topic}", topic, 3)
    assert min(first) >= 0
    produce(broker, topic, map(record, range(number, number + 60)), partition=0)
    wait_until(lambda: set(range(number, number + 60)) <= set(serials(tmp_path / "named")), worker)
    assert worker.stop() == 0, worker.told()
    last = worker.lines()[-1]
    found = serials(tmp_path / "named")
    assert set(found.values()) == {1}
    assert last["received"] == last["delivered"] == len(found)
    # Each partition from one record on, without a gap.
    in_zero = [one for one in range(number) if one % 6 < 3] + list(range(number, number + 60))
    in_one = [one for one in range(number) if one % 6 >= 3]
    for made in (in_zero, in_one):
        came = [one for one in made if one in found]
        assert came == made[len(made) - len(came) :]

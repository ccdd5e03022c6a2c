"""Topics that begin with records of no known format. On both clients."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.servers.broker import Broker
from support.servers.process import free_port
from support.streaming.flow_records import count, produce, record, serials
from support.streaming.workers import Start, details, wait_until

from whowas.streaming.backlog import POLL_MOST
from whowas.streaming.unrecognised import MOST_RECORDS

Tables = dict[str, dict[str, Any]]
STRANGE = [b"", b"\x00\xff" * 50, b'{"who": "knows"}']


@pytest.fixture
def port(tables: Tables) -> int:
    """Where a worker tells how it goes."""
    port = free_port()
    tables["serving"]["listen"] = f"127.0.0.1:{port}"
    return port


def test_what_nobody_can_read_waits_until_the_format_is_known(
    broker: Broker, topic: str, start: Start, tables: Tables, port: int, tmp_path: Path
) -> None:
    other = broker.create(f"other-{topic}")
    tables["input"]["topics"] = [topic, other]
    produce(broker, topic, STRANGE, partition=0)
    produce(broker, other, map(record, range(50)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 50, worker)
    wait_until(lambda: details(port)["held_records"] == 3, worker)
    now = details(port)
    assert not now["ready"]
    assert f"cannot tell the format of topic '{topic}' by the records from offset 0 of partition 0" in now["reasons"][0]
    assert not now["refused"], "nothing is given up yet"
    assert broker.committed(f"group-{topic}", topic, 1) == [-1001]
    produce(broker, topic, map(record, range(50, 150)), partition=1)
    wait_until(lambda: count(tmp_path / "named") == 150, worker)
    wait_until(lambda: details(port)["ready"] and not details(port)["held_records"], worker)
    assert worker.stop() == 0, worker.told()
    last = worker.lines()[-1]
    assert (last["received"], last["delivered"], sum(last["refused"].values())) == (153, 153, 3)
    assert serials(tmp_path / "named") == dict.fromkeys(range(150), 1)
    assert broker.committed(f"group-{topic}", topic, 2) == [3, 100]


def test_where_letters_are_kept_the_stream_goes_on(
    broker: Broker, topic: str, start: Start, tables: Tables, port: int, tmp_path: Path
) -> None:
    tables["dead_letters"] = {"folder": str(tmp_path / "letters")}
    produce(broker, topic, STRANGE, partition=0)
    worker = start()
    wait_until(lambda: broker.committed(f"group-{topic}", topic, 1) == [3], worker)
    assert details(port)["refused"] == {"unknown format": 3}
    letters = [json.loads(line) for path in (tmp_path / "letters").iterdir() for line in path.read_text().splitlines()]
    assert [(one["offset"], base64.b64decode(one["value_base64"])) for one in letters] == list(enumerate(STRANGE))
    assert {one["reason"] for one in letters} == {"unknown format"}
    produce(broker, topic, map(record, range(100)))
    wait_until(lambda: count(tmp_path / "named") == 100, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(100), 1)
    assert worker.lines()[-1]["received"] == worker.lines()[-1]["delivered"] == 103


def test_a_topic_that_nobody_can_read_waits_in_kafka(
    broker: Broker, topic: str, start: Start, port: int, tmp_path: Path
) -> None:
    many = 4 * (MOST_RECORDS + POLL_MOST)
    produce(broker, topic, [b"?"] * many, partition=2)
    worker = start()
    wait_until(lambda: details(port).get("lag") == many, worker)
    held = wait_until(lambda: details(port)["held_records"], worker)
    produce(broker, topic, map(record, range(10)), partition=0)
    wait_until(lambda: count(tmp_path / "named") == 10, worker)
    assert MOST_RECORDS <= held <= MOST_RECORDS + 2 * POLL_MOST
    wait_until(lambda: details(port)["delivered"] == many + 10, worker)
    assert worker.stop() == 0, worker.told()
    assert sum(worker.lines()[-1]["refused"].values()) == many

"""Named flows on a topic: at least once with stable keys, in transactions, provisional and revised. On both clients."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.servers.broker import Broker
from support.servers.process import free_port
from support.store.written import T0, seen, thing
from support.streaming.flow_records import consume, count, produce, record
from support.streaming.workers import Start, details, wait_until

from enrich.store.evidence_store import EvidenceStore
from whowas.observation import KubeObject, Meta
from whowas.schema import table_schema

Tables = dict[str, dict[str, Any]]


@pytest.fixture
def out(broker: Broker, topic: str) -> str:
    return broker.create(f"named-{topic}", 2)


def test_json_beside_parquet(
    broker: Broker, topic: str, out: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    tables["kafka_output"] = {"topic": out}
    produce(broker, topic, map(record, range(500)))
    worker = start()
    found = [json.loads(one.value()) | {"key": one.key().decode()} for one in consume(broker, out, 500)]
    wait_until(lambda: count(tmp_path / "named") == 500, worker)
    assert worker.stop() == 0, worker.told()
    assert Counter(one["bytes_out"] for one in found) == dict.fromkeys(range(500), 1)
    assert all(one["key"] == one["flow_id"] for one in found)
    assert {one["dst_pod"] for one in found} == {"web"}
    assert "revision" not in found[0]


def test_arrow(broker: Broker, topic: str, out: str, start: Start, tables: Tables) -> None:
    tables["kafka_output"] = {"topic": out, "format": "arrow"}
    del tables["parquet"]
    produce(broker, topic, map(record, range(2500)))
    worker = start()
    wait_until(lambda: sum(broker.committed(f"group-{topic}", topic, 3)) == 2500, worker)
    assert worker.stop() == 0, worker.told()
    rows: Counter[int] = Counter()
    for one in consume(broker, out, 100, 3):
        table = pa.ipc.open_stream(one.value()).read_all()
        assert table.schema.equals(table_schema())
        rows.update(table["bytes_out"].to_pylist())
    assert rows == dict.fromkeys(range(2500), 1)


@pytest.mark.long
def test_kills_repeat_messages_under_the_same_key(
    broker: Broker, topic: str, out: str, start: Start, tables: Tables
) -> None:
    tables["kafka_output"] = {"topic": out}
    del tables["parquet"]
    worker, rng = start(), random.Random(3)
    for turn in range(3):
        produce(broker, topic, map(record, range(turn * 1000, turn * 1000 + 1000)))
        time.sleep(rng.uniform(1, 4))
        worker.kill()
        worker = start()
    wait_until(lambda: sum(broker.committed(f"group-{topic}", topic, 3)) == 3000, worker)
    assert worker.stop() == 0, worker.told()
    keys: dict[int, set[bytes]] = {}
    for one in consume(broker, out, 100_000, 3):
        keys.setdefault(json.loads(one.value())["bytes_out"], set()).add(one.key())
    assert sorted(keys) == list(range(3000))
    assert all(len(one) == 1 for one in keys.values())


@pytest.mark.long
def test_kills_in_transactions_repeat_nothing(
    broker: Broker, topic: str, out: str, start: Start, tables: Tables
) -> None:
    tables["kafka_output"] = {"topic": out, "delivery": "transactions"}
    del tables["parquet"]
    worker, rng = start(), random.Random(4)
    for turn in range(3):
        produce(broker, topic, map(record, range(turn * 1000, turn * 1000 + 1000)))
        time.sleep(rng.uniform(1, 4))
        worker.kill()
        worker = start()
    wait_until(lambda: sum(max(one, 0) for one in broker.committed(f"group-{topic}", topic, 3)) == 3000, worker)
    assert worker.stop() == 0, worker.told()
    found = Counter(json.loads(one.value())["bytes_out"] for one in consume(broker, out, 100_000, 3))
    assert found == dict.fromkeys(range(3000), 1)


def test_provisional_answers_are_revised(
    broker: Broker, topic: str, out: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    """At first nobody knows who holds 10.0.0.9; when the history has it, only those answers come again."""
    path = tmp_path / "h.db"
    with EvidenceStore(path, write=True) as store:
        bookmarks(store, 0.5)
        bookmarks(store, 10)
        tables["history"]["path"] = str(path)
        tables["history"]["refresh_seconds"] = 0.2
        tables["naming"]["wait"] = "provisional"
        tables["kafka_output"] = {"topic": out}
        at = T0 / 1e6 + 20
        values = [record(number, at) for number in range(10)]
        values += [record(number, at).replace(b"10.0.0.9", b"8.8.8.8").replace(b'"10.0.0.', b'"8.8.4.')
                   for number in range(10, 15)]  # fmt: skip
        produce(broker, topic, values)
        worker = start()
        first = consume(broker, out, 15)
        assert {json.loads(one.value())["revision"] for one in first} == {0}
        assert not count(tmp_path / "named"), "Parquet waits for what is final"
        store.write([seen("ADDED", thing("web", version=8), 15)])
        bookmarks(store, 100)
        wait_until(lambda: count(tmp_path / "named") == 15, worker)
    assert worker.stop() == 0, worker.told()
    after = [json.loads(one.value()) for one in consume(broker, out, 100, 3)]
    revised = [one for one in after if one["revision"] == 1]
    assert sorted(one["bytes_out"] for one in revised) == list(range(10))
    assert {one["dst_pod"] for one in revised} == {"web"}
    assert worker.lines()[-1]["revised"] == 10


# Each takes most of a minute: by default what each client once hung on, in a soak all of them.
GONE = [("killed", "kafka-python"), ("silent", "confluent")]
REST = [("silent", "kafka-python"), ("killed", "confluent")] if "WHOWAS_KILLS" in os.environ else []


@pytest.mark.long
@pytest.mark.parametrize(("how", "client"), [*GONE, *REST])
def test_a_broker_that_goes_in_the_middle_of_a_transaction(
    how: str, broker: Broker, topic: str, out: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    """The worker says so within a minute, tries again, and in the end everything stands there once."""
    path, port, server = tmp_path / "h.db", free_port(), broker.server
    tables["history"] |= {"path": str(path), "refresh_seconds": 0.2}
    tables["naming"]["wait"] = "final"
    tables["kafka_output"] = {"topic": out, "delivery": "transactions"}
    tables["serving"]["listen"] = f"127.0.0.1:{port}"
    del tables["parquet"]
    produce(broker, topic, [record(number, T0 / 1e6 - 60) for number in range(100)])
    with EvidenceStore(path, write=True) as store:
        bookmarks(store, 0.5)
        worker = start()
        wait_until(lambda: details(port).get("delivered") == 100, worker)
        produce(broker, topic, [record(number, T0 / 1e6 + 20) for number in range(100, 1000)])
        wait_until(lambda: details(port)["held_records"] == 900, worker)
        gone, back = (server.kill, server.start) if how == "killed" else (server.pause, server.go_on)
        gone()
        try:
            bookmarks(store, 100)
            wait_until(lambda: [one for one in worker.lines() if one["state"] in ("broker", "commit")], worker, 90)
        finally:
            back()
    wait_until(lambda: details(port)["delivered"] >= 1000 and details(port)["ready"], worker)
    assert worker.stop() == 0, worker.told()
    found = Counter(json.loads(one.value())["bytes_out"] for one in consume(broker, out, 100_000, 3))
    assert found == dict.fromkeys(range(1000), 1)
    assert sum(broker.committed(f"group-{topic}", topic, 3)) >= 1000


def bookmarks(store: EvidenceStore, at_seconds: float) -> None:
    """Everything is known up to then."""
    for kind in ("Pod", "Service", "Node"):
        store.write([seen("BOOKMARK", KubeObject(kind, Meta(resourceVersion="9")), at_seconds)])

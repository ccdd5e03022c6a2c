"""Flows wait for knowledge: held within a bound, let go when the history knows, late when it never does."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.servers.broker import Broker
from support.servers.process import free_port
from support.store.written import T0, seen, thing
from support.streaming.flow_records import column, count, produce, record, serials
from support.streaming.workers import Start, details, get, wait_until

from enrich.store.evidence_store import EvidenceStore
from whowas.observation import KubeObject, Meta

Tables = dict[str, dict[str, Any]]
AT = T0 / 1e6 + 20


def bookmarks(store: EvidenceStore, at_seconds: float) -> None:
    """All kinds are known up to here."""
    for kind in ("Pod", "Service", "Node"):
        store.write([seen("BOOKMARK", KubeObject(kind, Meta(resourceVersion="9")), at_seconds)])


def waits(tables: Tables, path: Path) -> None:
    """Follow a history of the test's own, and wait for it."""
    tables["history"] |= {"path": str(path), "refresh_seconds": 0.2}
    tables["naming"]["wait"] = "final"


def test_a_flow_waits_until_its_time_is_known(
    broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    waits(tables, tmp_path / "h.db")
    port = free_port()
    tables["serving"]["listen"] = f"127.0.0.1:{port}"
    with EvidenceStore(tmp_path / "h.db", write=True) as store:
        bookmarks(store, 0.5)
        produce(broker, topic, [record(number, AT) for number in range(100)])
        worker = start()
        wait_until(lambda: details(port)["held_records"] == 100, worker)
        store.write([seen("ADDED", thing("web", version=8), 15)])
        bookmarks(store, 20.05 + 29)  # publication_seconds are not over
        time.sleep(1.5)
        assert not count(tmp_path / "named")
        bookmarks(store, 20.05 + 31)
        wait_until(lambda: count(tmp_path / "named") == 100, worker)
    assert worker.stop() == 0, worker.told()
    assert column(tmp_path / "named", "dst_pod") == {"web": 100}
    assert worker.lines()[-1]["late"] == 0


def test_a_history_that_stands_still_holds_nothing_for_ever(
    broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    waits(tables, tmp_path / "h.db")
    tables["naming"]["max_wait_seconds"] = 1
    with EvidenceStore(tmp_path / "h.db", write=True) as store:
        store.write([seen("ADDED", thing("web", version=8), 0)])
        bookmarks(store, 5)
    produce(broker, topic, [record(number, AT) for number in range(100)])
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 100, worker)
    assert worker.stop() == 0, worker.told()
    assert worker.lines()[-1]["late"] == 100
    assert "exact" not in column(tmp_path / "named", "dst_confidence"), "nobody was looking any more"


def test_what_cannot_be_held_waits_in_kafka(
    broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    waits(tables, tmp_path / "h.db")
    tables["naming"]["held_rows"] = 2000
    tables["serving"]["listen"] = "127.0.0.1:0"
    with EvidenceStore(tmp_path / "h.db", write=True) as store:
        bookmarks(store, 0.5)
        for partition in range(3):
            produce(broker, topic, [record(partition * 10_000 + n, AT) for n in range(10_000)], partition)
        worker = start()
        full = wait_until(lambda: [line for line in worker.lines() if line["state"] == "full"], worker)[0]
        assert 2000 <= full["held_rows"] <= 4_000
        bookmarks(store, 100)
        wait_until(lambda: count(tmp_path / "named") == 30_000, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(30_000), 1)


def test_networks_are_taken_over_without_loss(
    broker: Broker, topic: str, start: Start, tables: Tables, config: Callable[[], Path], tmp_path: Path
) -> None:
    networks = tmp_path / "networks.toml"
    networks.write_text('[networks]\nbefore = ["198.51.100.0/24"]\n')
    tables["naming"]["networks"] = str(networks)

    def outside(first: int) -> list[bytes]:
        return [record(first + n).replace(b'"10.0.0.9"', b'"198.51.100.7"') for n in range(100)]

    produce(broker, topic, outside(0))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 100, worker)
    networks.write_text("[networks\n")
    worker.running.send_signal(signal.SIGHUP)
    wait_until(lambda: "cannot reload" in worker.told(), worker)
    networks.write_text('[networks]\nafter = ["198.51.100.0/24"]\n')
    wait_until(lambda: any(line["ready"] and "cannot reload" in worker.told() for line in worker.lines()[-1:]), worker)
    produce(broker, topic, outside(100))
    wait_until(lambda: count(tmp_path / "named") == 200, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(200), 1)
    assert column(tmp_path / "named", "dst_workload") == {"before": 100, "after": 100}


def test_pages_tell_what_the_worker_does(
    broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    port = free_port()
    tables["serving"]["listen"] = f"127.0.0.1:{port}"
    tables["input"]["format"] = "goflow2"
    produce(broker, topic, [*map(record, range(100)), b"no record"])
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 100, worker)
    wait_until(lambda: get(f"http://127.0.0.1:{port}/readyz")[0] == 200, worker)
    assert get(f"http://127.0.0.1:{port}/healthz") == (200, "ok\n")
    wait_until(lambda: values(port)["whowas_stream_held_records"] == 0, worker)
    now = values(port)
    label = f'{{topic="{topic}"}}'
    assert now[f"whowas_stream_received_total{label}"] == 101
    assert now[f"whowas_stream_delivered_total{label}"] == 101
    assert now["whowas_stream_flows_total"] == 100
    assert sum(value for name, value in now.items() if name.startswith("whowas_stream_refused_total")) == 1
    assert details(port)["delivered"] == 101
    assert worker.stop() == 0, worker.told()


def values(port: int) -> dict[str, float]:
    """The metrics by name and labels."""
    lines = [one for one in get(f"http://127.0.0.1:{port}/metrics")[1].splitlines() if not one.startswith("#")]
    return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines)}


def test_stop_is_quick_and_delivers_what_is_named(
    broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path
) -> None:
    tables["parquet"]["flush_seconds"] = 60
    produce(broker, topic, map(record, range(1000)))
    worker = start()
    wait_until(lambda: any(line["partitions"] for line in worker.lines()), worker)
    time.sleep(2)
    began = time.monotonic()
    assert worker.stop(10) == 0, worker.told()
    assert time.monotonic() - began < 10
    done = worker.lines()[-1]["delivered"]
    assert count(tmp_path / "named") == done
    assert sum(max(one, 0) for one in broker.committed(f"group-{topic}", topic, 3)) == done

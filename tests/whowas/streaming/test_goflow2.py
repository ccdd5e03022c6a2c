"""NetFlow and IPFIX the whole way: softflowd reads a capture, goflow2 sends it to Kafka, and whowas names it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.dataset as ds
import pytest
from support.needs import need
from support.servers import build_goflow2
from support.servers.broker import Broker
from support.servers.goflow2 import Goflow2, exporter_missing
from support.streaming.flow_records import count
from support.streaming.workers import SESSION, Process, wait_until, write_config

import whowas

pytestmark = pytest.mark.long

NAMES = ("pod", "workload", "namespace")
Talk = tuple[str, int, str, int]


@pytest.fixture(scope="module")
def goflow2_built() -> None:
    """Skip with the reason where goflow2 cannot be started or nobody exports to it; in CI, fail."""
    for lacks in (build_goflow2.missing(), exporter_missing()):
        need(not lacks, lacks)


class Chain(NamedTuple):
    """A capture through softflowd, goflow2, Kafka and whowas: version of NetFlow, named flows."""

    version: int
    flows: Any


@pytest.fixture(
    params=[
        ("json", 5, "kafka-python"),
        ("json", 10, "confluent"),
        ("bin", 9, "kafka-python"),
        ("bin", 5, "confluent"),
    ],
    ids=str,
)
def chain(request: pytest.FixtureRequest, broker: Broker, goflow2_built: None, root: Path, tmp_path: Path) -> Chain:
    form, version, client = request.param
    topic = broker.create(f"goflow2-{tmp_path.name}", 2)
    with Goflow2(broker.plain, topic, form) as collector:
        collector.replay(root / "samples/overlay/node1-bridge.pcap", version)
        tables = {
            "input": {"topics": [topic], "group": f"group-{topic}"},
            "kafka": {"client": client},
            "kafka.options": {**broker.options(), **SESSION},
            "history": {"path": str(root / "samples/overlay/history.jsonl.gz")},
            "naming": {"wait": "never"},
            "parquet": {"folder": str(tmp_path / "named"), "flush_seconds": 0.3},
            "serving": {"listen": "none"},
        }
        worker = Process(write_config(tmp_path / "whowas.toml", tables))
        try:
            wait_until(lambda: count(tmp_path / "named") > 0, worker)
            # goflow2 and the worker hold nothing back for longer than half a second: until no more comes.
            before = 0
            while before < (before := count(tmp_path / "named")):
                time.sleep(2)
            assert worker.stop() == 0, worker.told()
        finally:
            worker.end()
    return Chain(version, ds.dataset(tmp_path / "named", format="parquet", partitioning="hive").to_table())


def named(table: Any) -> dict[Talk, dict[str, Any]]:
    """TCP flows between pods by their ports and addresses, both ways."""
    found: dict[Talk, dict[str, Any]] = {}
    for row in table.to_pylist():
        # Whose a port of a node is, a record of one direction tells less well than a conversation does.
        if row["protocol"] == "tcp" and "node" not in (row["src_kind"], row["dst_kind"]):
            for one, other in (("src", "dst"), ("dst", "src")):
                key = (row[f"{one}_ip"], row[f"{one}_port"], row[f"{other}_ip"], row[f"{other}_port"])
                sides = (("src", one), ("dst", other))
                found[key] = {f"{end}_{name}": row[f"{side}_{name}"] for end, side in sides for name in NAMES}
    return found


def no_surer(record: dict[str, Any], capture: dict[str, Any]) -> bool:
    """Say whether a record names as the capture does, or nobody where only a packet's own time decides."""
    for end in ("src", "dst"):
        told, seen = ([row[f"{end}_{name}"] for name in NAMES] for row in (record, capture))
        if told != seen and any(told):
            return False
    return True


def test_what_an_exporter_tells_is_named_as_its_capture_is(chain: Chain, root: Path) -> None:
    """NetFlow 5 carries the flows' times through. Of the other two, goflow2 keeps none that the capture had."""
    flows = chain.flows
    assert set(flows["source_format"].to_pylist()) <= {"goflow2", "goflow2-protobuf"}
    if chain.version != 5:
        assert set(flows["time_basis"].to_pylist()) <= {"export", "receive"}
        assert "exact" not in flows["src_confidence"].to_pylist() + flows["dst_confidence"].to_pylist()
        assert flows.num_rows > 150
        return
    replayed = named(
        whowas.replay(root / "samples/overlay/node1-bridge.pcap", root / "samples/overlay/history.jsonl.gz")
    )
    streamed = named(flows)
    # NetFlow 5 knows no IPv6.
    assert {key for key in replayed if ":" not in key[0]} <= set(streamed) <= set(replayed)
    assert [key for key in streamed if not no_surer(streamed[key], replayed[key])] == []
    assert sum(streamed[key] != replayed[key] for key in streamed) < len(streamed) / 20
    assert sum(one["src_workload"] is not None for one in streamed.values()) > 50

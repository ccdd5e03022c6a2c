"""Flow records whose `bytes` is a serial number, sent to a topic; and what of them came out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import Consumer, Producer
from support.servers.broker import Broker

T0_SECONDS = 1_795_168_800


def record(serial: int, at_seconds: float | None = None) -> bytes:
    """A goflow2 record; every thousandth begins another hour."""
    at = T0_SECONDS + serial % 1000 + serial // 1000 * 3600 % 7200 if at_seconds is None else at_seconds
    told = {
        "type": "IPFIX",
        "time_received_ns": int((at + 1) * 1e9),
        "sequence_num": serial,
        "sampling_rate": 0,
        "sampler_address": "192.0.2.1",
        "time_flow_start_ns": int(at * 1e9) + 1_000_000,
        "time_flow_end_ns": int(at * 1e9) + 2_000_000,
        "bytes": serial,
        "packets": 1,
        "src_addr": f"10.0.0.{serial % 200 + 1}",
        "dst_addr": "10.0.0.9",
        "etype": "IPv4",
        "proto": "TCP",
        "src_port": 1024 + serial % 60000,
        "dst_port": 443,
    }
    return json.dumps(told).encode()


def produce(broker: Broker, topic: str, values: Iterable[bytes], partition: int = -1) -> None:
    """Send values, spread over the partitions; on return the broker has them."""
    producer = Producer({**broker.options(), "linger.ms": 20, "log_level": 0})
    for number, value in enumerate(values):
        producer.produce(topic, value, str(number).encode(), partition)
        if number % 50_000 == 0:
            producer.flush(60)
    assert producer.flush(60) == 0


def serials(folder: Path) -> Counter[int]:
    """How often each serial number stands in the finished Parquet files."""
    found: Counter[int] = Counter()
    for path in folder.glob("cluster_key=*/**/*.parquet"):
        found.update(pq.ParquetFile(path).read(["bytes_out"])["bytes_out"].to_pylist())
    return found


def count(folder: Path) -> int:
    """How many rows stand in the finished Parquet files."""
    return sum(_rows(str(path), path.stat().st_mtime_ns) for path in folder.glob("cluster_key=*/**/*.parquet"))


@cache
def _rows(path: str, _written_ns: int) -> int:
    """Of each file once: who waits asks many times a second, and a long run has thousands of files."""
    return int(pq.read_metadata(path).num_rows)


def column(folder: Path, name: str) -> Counter[Any]:
    """How often each word stands in a column."""
    found: Counter[Any] = Counter()
    for path in folder.glob("cluster_key=*/**/*.parquet"):
        for one in pc.value_counts(pq.ParquetFile(path).read([name])[name].combine_chunks()).to_pylist():
            found[one["values"]] += one["counts"]
    return found


def consume(broker: Broker, topic: str, most: int, seconds: float = 15, committed: bool = True) -> list[Any]:
    """Read a topic from its beginning until `most` messages came, or nothing for so long."""
    reader = Consumer(
        {
            **broker.options(),
            "group.id": f"reader-of-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "log_level": 0,
        }
    )
    reader.subscribe([topic])
    found: list[Any] = []
    while len(found) < most:
        came = [one for one in reader.consume(most - len(found), seconds) if one.error() is None]
        if not came:
            break
        found += came
    reader.close()
    return found

"""How long a flow takes through `whowas stream`: one of the sections of bench/streams.py."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from stream_records import NOON_US, Drawn, draw, goflow2, produce
from stream_runs import Committed, RunError, tables, wait_for, watch, workers
from stream_sections import FEW, Bench, Row

SENT_A_SECOND, TICK_SECONDS = 10_000, 0.01


def latency(bench: Bench) -> list[Row]:
    """From produce() to the file that stands under its name, and to the broker's log of the output topic."""
    rows: list[Row] = []
    for client in bench.clients:
        bench.say(f"latency, {client}")
        try:
            rows += _latency(bench, client)
        except RunError as error:
            # Where it falls behind for good there is no percentile to tell; the other client may have one.
            rows.append({"with": client, "missing": str(error).splitlines()[0].rstrip(":") + " in time"})
    return rows


def _latency(bench: Bench, client: str) -> list[Row]:
    broker, name = bench.setting.broker, f"paced-{client}"
    broker.create(name, 4)
    broker.create(f"{name}-out", 4, **{"message.timestamp.type": "LogAppendTime"})
    out, group = bench.setting.folder / name, f"group-{name}"
    told = tables(bench.setting, name, client, group, out)
    told["naming"] = {"wait": "never"}
    told["parquet"]["flush_seconds"] = 0.25
    told["kafka_output"] = {"topic": f"{name}-out"}
    warm = [goflow2(one) for one in draw(FEW, seed=9)]
    with workers(told, bench.setting.folder / f"{name}.toml") as running:
        produce(broker, name, warm)
        committed = Committed(broker, group, name, 4)
        watch([running[0].running.pid], committed, FEW)
        sent = _send(broker, name, bench.sizes.latency)
        wait_for(committed, FEW + len(sent), running[0])
        committed.close()
    arrived = {"a Parquet file": _in_files(out, sent), "the output topic": _in_topic(broker, f"{name}-out", sent)}
    return [_percentiles(client, where, delays, len(sent)) for where, delays in arrived.items()]


def _percentiles(client: str, where: str, delays: Any, sent: int) -> Row:
    if len(delays) != sent:
        raise RunError(f"{len(delays):,} flows in {where}, of {sent:,}")
    p50, p99 = np.percentile(delays, (50, 99))
    return {"with": client, "where": where, "flows_a_second": SENT_A_SECOND, "flows": sent, "p50": p50, "p99": p99,
            "most": float(delays.max()), "goal": "0.5 / 1.5"}  # fmt: skip


def _send(broker: Any, topic: str, seconds: int) -> Any:
    """Send flows evenly; their bytes are serial numbers, from FIRST_SERIAL on. Returns: when each was sent."""
    from confluent_kafka import Producer

    producer = Producer({**broker.options(), "linger.ms": 5, "log_level": 0})
    each, sent, serial, began = round(SENT_A_SECOND * TICK_SECONDS), [], 0, time.monotonic()
    flows = list(draw(50_000, seed=11))
    for tick in range(round(seconds / TICK_SECONDS)):
        time.sleep(max(began + tick * TICK_SECONDS - time.monotonic(), 0))
        for _ in range(each):
            value = goflow2(_numbered(flows[serial % len(flows)], serial))
            sent.append(time.time())
            producer.produce(topic, value)
            serial += 1
        producer.poll(0)
    producer.flush(30)
    return np.array(sent)


FIRST_SERIAL = 1 << 40


def _numbered(one: Drawn, serial: int) -> Drawn:
    return one._replace(bytes=FIRST_SERIAL + serial, start=NOON_US, end=NOON_US + serial)


def _in_files(out: Path, sent: Any) -> Any:
    """A rename is what sets a file's change time: then it stands under its name."""
    found = []
    for path in out.glob("cluster_key=*/**/*.parquet"):
        serials = pq.ParquetFile(path).read(["bytes_out"])["bytes_out"].to_numpy() - FIRST_SERIAL
        found.append(os.stat(path).st_ctime_ns / 1e9 - sent[serials[serials >= 0]])
    return np.concatenate(found)


def _in_topic(broker: Any, topic: str, sent: Any) -> Any:
    """The broker says when it wrote a message."""
    from support.streaming.flow_records import consume

    delays = []
    for one in consume(broker, topic, len(sent) + FEW):
        serial = json.loads(one.value())["bytes_out"] - FIRST_SERIAL
        if serial >= 0:
            delays.append(one.timestamp()[1] / 1e3 - sent[serial])
    return np.array(delays)

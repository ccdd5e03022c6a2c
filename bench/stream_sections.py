"""What bench/streams.py measures, a function a section. Each returns rows; a row is one line of the table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stream_records import pool, topic_of
from stream_runs import (
    PEER_SOURCE,
    PEER_VARIABLE,
    Sample,
    Setting,
    peer,
    rate,
    replay,
    run_peer,
    stream,
)

CLIENTS = ("confluent", "kafka-python")
FEW = 20_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. latency: seconds of traffic; workers: records for two; lag: records for memory."""

    records: int
    workers: int
    lag: int
    latency: int
    turns: int


@dataclass
class Bench:
    """A broker, a history, and topics made once."""

    setting: Setting
    sizes: Sizes
    say: Callable[[str], None]
    clients: tuple[str, ...] = CLIENTS

    def topic(self, form: str, records: int, **how: Any) -> str:
        """Return a topic full of records of a form."""
        name = f"{form.lower().replace(',', '').replace(' ', '-')}-{records}"
        if name not in self.setting.broker.admin().list_topics(timeout=20).topics:
            self.say(f"filling {name}")
            topic_of(self.setting.broker, name, pool(form), records, **how)
        return name


def goal(form: str, client: str) -> int:
    """Flows a core-second that were asked for."""
    return 300_000 if form == "goflow2 protobuf" else 200_000 if client == "confluent" else 90_000


def speed(bench: Bench) -> list[Row]:
    """Broker to named Parquet, of every form through every client."""
    rows = []
    for form in ("NetObserv JSON", "goflow2 JSON", "goflow2 JSON, all fields", "goflow2 protobuf"):
        ways = {client: _way(bench, form, client) for client in bench.clients}
        for client, best in _in_turns(bench, form, ways).items():
            rows.append({"what": form, "bytes": _size(form), "with": client, "goal": goal(form, client), **best})
    return rows


def beside(bench: Bench) -> list[Row]:
    """flowlogs-pipeline and we on one topic, in turns. Its ratio is of turns that lie beside each other."""
    from support.servers.control_plane import missing

    form, name, program = "NetObserv JSON", "flowlogs-pipeline, JSON to /dev/null", peer()
    why = "" if program else f"it is not there: {PEER_VARIABLE} holds no path of a built program ({PEER_SOURCE})"
    if program is None or (why := why or missing()):
        return [{"what": form, "with": name, "missing": why}]
    few, full = bench.topic(form, FEW), bench.topic(form, bench.sizes.records)
    ways = {client: _way(bench, form, client) for client in bench.clients}
    found = _in_turns(bench, form, {**ways, name: lambda: _peer_run(bench, program, few, full)})
    theirs = found[name]["flows_a_core_second"]
    rows = [{"what": form, "bytes": _size(form), "with": way, **best} for way, best in found.items()]
    for row in rows[:-1]:
        row["times_the_peer"] = row["flows_a_core_second"] / theirs
        row["times_goal"] = 6 if row["with"] == "confluent" else 2.5
    return rows


def _way(bench: Bench, form: str, client: str) -> Callable[[], Row]:
    few, full = bench.topic(form, FEW), bench.topic(form, bench.sizes.records)
    return lambda: _speed(bench, few, full, client)


def _in_turns(bench: Bench, form: str, ways: dict[str, Callable[[], Row]]) -> dict[str, Row]:
    """The best turn of each."""
    found: dict[str, list[Row]] = {}
    for turn in range(bench.sizes.turns):
        for name, way in ways.items():
            bench.say(f"{form}, {name}, turn {turn + 1}")
            load = os.getloadavg()[0]
            found.setdefault(name, []).append({**way(), "load": load})
    return {name: max(several, key=lambda one: float(one["flows_a_core_second"])) for name, several in found.items()}


def _size(form: str) -> float:
    return float(np.mean([len(one) for one in pool(form, 1000)]))


def _speed(bench: Bench, few: str, full: str, client: str) -> Row:
    """The same worker on little and on much: what the first takes is the start."""
    records = bench.sizes.records
    start = stream(bench.setting, few, client, FEW)[-1].cpu
    samples = stream(bench.setting, full, client, records)
    whole = samples[-1].cpu
    return {
        "start_cpu_seconds": start,
        "flows_a_core_second": (records - FEW) / (whole - start),
        "with_start": records / whole,
        "flows_a_second": rate(samples),
        "records": records,
        "peak_mb": max(one.rss_mb for one in samples),
    }


def _peer_run(bench: Bench, program: Path, few_topic: str, topic: str) -> Row:
    """It on a cluster of as many pods. Its start is what it takes on little."""
    from cluster_day import address
    from stream_records import SLOTS
    from support.servers import pods
    from support.servers.control_plane import ControlPlane

    setting, records = bench.setting, bench.sizes.records
    with ControlPlane() as cluster:
        pods.run(cluster.api(), pods.small("model", node="worker-0"), address(0))
        pods.clone(cluster, "model", SLOTS - 1, address=lambda number: address(number + 1))
        where = (program, setting.broker), (cluster.kubeconfig(), setting.folder)
        few = run_peer(*where[0], few_topic, *where[1], FEW)
        whole = run_peer(*where[0], topic, *where[1], records)
    start = few[-1].cpu
    return {
        "start_cpu_seconds": start,
        "flows_a_core_second": (records - FEW) / (whole[-1].cpu - start),
        "with_start": records / whole[-1].cpu,
        "flows_a_second": rate(whole),
        "records": records,
        "peak_mb": max(one.rss_mb for one in whole),
    }


def files(bench: Bench) -> list[Row]:
    """`whowas replay` of flow logs."""
    rows = []
    for form in ("NetObserv JSON", "goflow2 JSON", "goflow2 JSON, all fields"):
        bench.say(f"{form}, replay")
        values, records = pool(form), bench.sizes.records
        few, full = bench.setting.folder / "few.ndjson", bench.setting.folder / "full.ndjson"
        few.write_bytes(b"\n".join(values[:FEW]) + b"\n")
        with full.open("wb") as out:
            for _ in range(records // len(values)):
                out.write(b"\n".join(values) + b"\n")
        count = records // len(values) * len(values)
        replay(few, bench.setting)  # compiles what is not compiled
        load = os.getloadavg()[0]
        starts = [replay(few, bench.setting)[0] for _ in range(bench.sizes.turns)]
        wholes = [replay(full, bench.setting)[0] for _ in range(bench.sizes.turns)]
        start, whole = min(starts), min(wholes)
        rows.append(
            {
                "what": form, "bytes": full.stat().st_size / count - 1, "with": "whowas replay",
                "start_cpu_seconds": start, "flows_a_core_second": (count - FEW) / (whole - start),
                "with_start": count / whole, "goal": 400_000, "records": count, "load": load,
            }
        )  # fmt: skip
        full.unlink()
    return rows


def two(bench: Bench) -> list[Row]:
    """Two workers against one on a topic that is full, by the clock."""
    rows = []
    topic = bench.topic("NetObserv JSON", bench.sizes.workers)
    for client in bench.clients:
        runs = []
        for count in (1, 2):
            bench.say(f"{count} of {client}")
            runs.append(stream(bench.setting, topic, client, bench.sizes.workers, count=count))
        one, both = map(rate, runs)
        row = {"with": client, "cores": os.cpu_count(), "one": one, "two": both, "times": both / one, "goal": 1.8}
        rows.append({**row, "cpu_seconds": [samples[-1].cpu for samples in runs]})
    return rows


def memory(bench: Bench) -> list[Row]:
    """Resident memory of a worker that has a long way to go."""
    rows = []
    records = bench.sizes.lag
    topic = bench.topic("NetObserv JSON", records, compression="lz4")
    for client in bench.clients:
        bench.say(f"{records:,} records of lag, {client}")
        samples = stream(bench.setting, topic, client, records)
        marks = [_at(samples, part) for part in (records // 10, records // 2, records)]
        most = max(one.rss_mb for one in samples), max(one.rss_mb for one in samples if one.done <= records // 10)
        told = {"with": client, "records": records, "marks": [one.rss_mb for one in marks]}
        rows.append({**told, "peak_mb": most[0], "peak_of_first_tenth_mb": most[1], "growth": most[0] / most[1],
                     "flows_a_second": rate(samples)})  # fmt: skip
    return rows


def _at(samples: list[Sample], done: int) -> Sample:
    return next(one for one in samples if one.done >= done)

"""Workers of `whowas stream` and of flowlogs-pipeline, watched from outside: processor time, memory, what is done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.1
STALL_SECONDS = 300
PEER_SOURCE = "https://github.com/netobserv/flowlogs-pipeline"
PEER_VARIABLE = "FLOWLOGS_PIPELINE"


class RunError(Exception):
    """A program that ended, or did not come to an end."""


class Sample(NamedTuple):
    """A look: seconds since the start, records done, processor seconds, resident MB."""

    at: float
    done: int
    cpu: float
    rss_mb: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / TICKS


def memory_mb(pid: int, word: str = "VmRSS") -> float:
    """Resident memory of a process; word VmHWM: the most it ever was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word)) / 1024


def watch(pids: list[int], done: Callable[[], int], records: int) -> list[Sample]:
    """Look at processes until all records are done. Raises: RunError."""
    began, moved, samples = time.monotonic(), 0.0, list[Sample]()
    while True:
        now = done()
        try:
            cpu, rss = sum(map(cpu_seconds, pids)), sum(map(memory_mb, pids))
        except (OSError, StopIteration) as error:
            raise RunError(f"it ended after {now:,} of {records:,} records") from error
        samples.append(Sample(time.monotonic() - began, now, cpu, rss))
        if now >= records:
            return samples
        if len(samples) < 2 or now > samples[-2].done:
            moved = samples[-1].at
        if samples[-1].at > moved + STALL_SECONDS:
            raise RunError(f"{now:,} of {records:,} records, and no more for {STALL_SECONDS} s")
        time.sleep(LOOK_SECONDS)


def rate(samples: list[Sample]) -> float:
    """Records a second by the clock, between the first delivery and the last but the tail that waits for its time."""
    first = next(one for one in samples if one.done > 0)
    last = next(one for one in samples if one.done >= samples[-1].done * 0.9)
    return (last.done - first.done) / max(last.at - first.at, 1e-9)


def wait_for(done: Callable[[], int], records: int, worker: Any) -> None:
    """Wait until all records are done. Raises: RunError."""
    until = time.monotonic() + STALL_SECONDS
    while done() < records:
        if worker.running.poll() is not None or time.monotonic() > until:
            raise RunError(f"{done():,} of {records:,} records:\n{worker.told()[-2000:]}")
        time.sleep(LOOK_SECONDS)


class Committed:
    """How many records a group has committed of a topic, all of which begins at offset 0."""

    def __init__(self, broker: Any, group: str, topic: str, partitions: int) -> None:
        from confluent_kafka import Consumer, TopicPartition

        self._asked = [TopicPartition(topic, number) for number in range(partitions)]
        self._client = Consumer({"bootstrap.servers": broker.plain, "group.id": group, "log_level": 0})
        self._last = 0

    def __call__(self) -> int:
        from confluent_kafka import KafkaException

        with suppress(KafkaException):  # a coordinator that still begins
            self._last = sum(max(one.offset, 0) for one in self._client.committed(self._asked, timeout=30))
        return self._last

    def close(self) -> None:
        """Let go."""
        self._client.close()


class Setting(NamedTuple):
    """What every worker of a run shares."""

    broker: Any
    folder: Path
    history: Path


def tables(setting: Setting, topic: str, client: str, group: str, out: Path) -> dict[str, dict[str, Any]]:
    """A configuration: a topic to Parquet, all else as it comes."""
    return {
        "input": {"topics": [topic], "group": group},
        "kafka": {"client": client},
        "kafka.options": setting.broker.options(),
        "history": {"path": str(setting.history)},
        "parquet": {"folder": str(out), "flush_seconds": 3.0},
        "serving": {"listen": "none"},
    }


@contextmanager
def workers(told: dict[str, dict[str, Any]], path: Path, count: int = 1) -> Iterator[list[Any]]:
    """Run workers; they are gone afterwards."""
    from support.streaming.workers import Process, write_config

    config = write_config(path, told)
    started = [Process(config, f"{path.stem}-{number}", PYTHONPATH=str(ROOT)) for number in range(count)]
    try:
        yield started
        for one in started:
            if code := one.stop():
                raise RunError(f"whowas stream ended with {code}:\n{one.told()[-2000:]}")
    finally:
        for one in started:
            one.end()


def stream(
    setting: Setting, topic: str, client: str, records: int, partitions: int = 4, count: int = 1
) -> list[Sample]:
    """Read a topic that is full, to its end. Returns: what was seen of all workers together."""
    group = f"{topic}-{client}-{time.monotonic_ns()}"
    out = setting.folder / group
    committed = Committed(setting.broker, group, topic, partitions)
    told = tables(setting, topic, client, group, out)
    with workers(told, setting.folder / f"{group}.toml", count) as running:
        try:
            samples = watch([one.running.pid for one in running], committed, records)
        except RunError as error:
            raise RunError(f"{error}\n{running[0].told()[-2000:]}") from error
        finally:
            committed.close()
    _all_there(out, records)
    subprocess.run(["rm", "-rf", str(out)], check=True)
    return samples


def _all_there(out: Path, records: int) -> None:
    """A run that lost or doubled something measures nothing."""
    from support.streaming.flow_records import count

    if (found := count(out)) != records:
        raise RunError(f"{found:,} rows in Parquet, of {records:,} records")


# flowlogs-pipeline, the peer


def peer() -> Path | None:
    """Where flowlogs-pipeline is, if it is."""
    told = os.environ.get(PEER_VARIABLE)
    return Path(told) if told and os.access(told, os.X_OK) else None


def peer_config(broker: Any, topic: str, kubeconfig: Path, port: int) -> dict[str, Any]:
    """Kafka, names by add_kubernetes on both sides, JSON lines to standard output."""
    rules = [
        {
            "type": "add_kubernetes",
            "kubernetes": {
                "ipField": f"{side}Addr", "output": f"{side}K8S", "labels_prefix": f"{side}Label", "add_zone": True,
            },
        }
        for side in ("Src", "Dst")
    ]  # fmt: skip
    network = {"kubeConfig": {"configPath": str(kubeconfig)}, "rules": rules}
    kafka = {"brokers": [broker.plain], "topic": topic, "groupid": f"peer-{time.monotonic_ns()}",
             "startOffset": "FirstOffset", "decoder": {"type": "json"}, "commitInterval": 500}  # fmt: skip
    return {
        "log-level": "error",
        "metricsSettings": {"port": port, "prefix": "flp_", "suppressDefaultMetrics": True},
        "pipeline": [{"name": "in"}, {"name": "names", "follows": "in"}, {"name": "out", "follows": "names"}],
        "parameters": [
            {"name": "in", "ingest": {"type": "kafka", "kafka": kafka}},
            {"name": "names", "transform": {"type": "network", "network": network}},
            {"name": "out", "write": {"type": "stdout", "stdout": {"format": "json"}}},
        ],
    }


def peer_read(port: int) -> int:
    """How many records it says it has read."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            found = re.findall(rb"^flp_ingest_flows_processed\S* (\S+)", page.read(), re.MULTILINE)
    except (urllib.error.URLError, OSError):
        return 0
    return int(sum(map(float, found)))


def run_peer(program: Path, broker: Any, topic: str, kubeconfig: Path, folder: Path, records: int) -> list[Sample]:
    """Let it read a topic to its end. Its output goes nowhere, which costs it least."""
    from support.servers.process import free_port

    port = free_port()
    config = folder / f"peer-{port}.json"
    config.write_text(json.dumps(peer_config(broker, topic, kubeconfig, port)))
    with (
        (folder / "peer.log").open("wb") as log,
        subprocess.Popen([str(program), "--config", str(config)], stdout=subprocess.DEVNULL, stderr=log) as running,
    ):
        try:
            samples = watch([running.pid], lambda: peer_read(port), records)
            time.sleep(1)  # what it has read and not written
            return [*samples, samples[-1]._replace(cpu=cpu_seconds(running.pid))]
        except RunError as error:
            raise RunError(f"{error}\n{(folder / 'peer.log').read_text()[-1500:]}") from error
        finally:
            running.kill()


def replay(path: Path, setting: Setting) -> tuple[float, str]:
    """Processor seconds of `whowas replay` of a flow log, and its summary."""
    from measure import measure

    out = setting.folder / f"replay-{time.monotonic_ns()}"
    words = [sys.executable, "-m", "whowas", "replay", str(path), "--history", str(setting.history), "--out", str(out)]
    run = measure(words, core=None, env={"PYTHONPATH": str(ROOT)})
    if run.code:
        raise RunError(f"whowas replay ended with {run.code}:\n{run.said[-1500:]}")
    subprocess.run(["rm", "-rf", str(out)], check=True)
    return run.cpu, run.said

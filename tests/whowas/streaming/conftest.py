"""A real broker, a history, and a way to start workers on either client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.broker import Broker
from support.store.written import seen, thing
from support.streaming.workers import SESSION, Process, Start, write_config

from enrich.store.evidence_store import EvidenceStore
from whowas.observation import KubeObject, Meta


@pytest.fixture(params=["kafka-python", pytest.param("confluent", marks=pytest.mark.long)])
def client(request: pytest.FixtureRequest) -> str:
    """Every test of a stream runs through both clients: at every `make test` through the default one."""
    return str(request.param)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which pods hold 10.0.0.9 and 10.0.0.1, watched for three hours from T0."""
    path = tmp_path_factory.mktemp("history") / "h.db"
    with EvidenceStore(path, write=True) as store:
        pods = thing("web", version=1), thing("db", version=2, ip="10.0.0.1")
        store.write([seen("ADDED", one, 0) for one in pods])
        for kind in ("Pod", "Service", "Node"):
            about = KubeObject(kind, Meta(resourceVersion="3"))
            store.write([seen("BOOKMARK", about, 0.5), seen("BOOKMARK", about, 3 * 3600)])
    return path


@pytest.fixture
def topic(broker: Broker) -> str:
    """A topic of the test's own, three partitions."""
    return broker.create(f"flows-{uuid.uuid4().hex[:8]}", 3)


@pytest.fixture
def tables(broker: Broker, topic: str, client: str, history: Path, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """A configuration: from the topic to Parquet, every flow named at once. Tests change what they are about."""
    return {
        "input": {"topics": [topic], "group": f"group-{topic}"},
        "kafka": {"client": client},
        "kafka.options": {**broker.options(), **SESSION},
        "history": {"path": str(history)},
        "naming": {"wait": "never"},
        "parquet": {"folder": str(tmp_path / "named"), "flush_seconds": 0.3},
        "serving": {"listen": "none"},
    }


@pytest.fixture
def config(tables: dict[str, dict[str, Any]], tmp_path: Path) -> Callable[[], Path]:
    """Writes the tables as they are when it is called."""
    return lambda: write_config(tmp_path / "whowas.toml", tables)


@pytest.fixture
def start(config: Callable[[], Path]) -> Iterator[Start]:
    """Starts workers; none outlives its test."""
    started: list[Process] = []

    def run(path: Path | None = None, **more: Any) -> Process:
        started.append(Process(path or config(), f"worker{len(started)}", **more))
        return started[-1]

    yield run
    for one in started:
        one.end()

"""Runs one stream of a watch in a thread and keeps what it hands on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ingest.cluster.watch.api_client import Connection, connect
from ingest.cluster.watch.reflector import Reflector
from ingest.cluster.watch.resources import RESOURCES, Resource
from ingest.cluster.watch.watch_state import WatchOptions
from whowas.observation import Observation

PODS = RESOURCES[0]
# Short measures, so that what takes minutes in life takes a second here.
QUICK = WatchOptions(
    watch_seconds=(20, 30),
    connect_seconds=2.0,
    silence_seconds=1.0,
    backoff_seconds=(0.02, 0.2),
    refused_seconds=0.2,
    line_most=1 << 16,
)


def kubeconfig(folder: Path, server: str, **user: object) -> str:
    """Write a kubeconfig with one context, `here`, of cluster `paris`."""
    path = folder / "kubeconfig"
    parts: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "paris", "user": "me"}}],
        "clusters": [{"name": "paris", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": user or {"token": "first"}}],
    }
    path.write_text(yaml.safe_dump(parts))
    return str(path)


def connection_to(folder: Path, server: str) -> Connection:
    return connect(kubeconfig(folder, server), None, probe=False)


@dataclass
class Followed:
    """What came of a stream so far."""

    stream: Reflector = field(init=False)
    seen: list[Observation] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def put(self, batch: list[Observation]) -> None:
        self.seen.extend(batch)
        self.batches.append(len(batch))

    def words(self) -> list[str]:
        """Short: verb, name or version."""
        found = []
        for one in self.seen:
            meta = one.object.metadata
            found.append(f"{one.verb} {(meta.name or meta.resourceVersion) if meta else ''}".strip())
        return found


def until(said: Callable[[], object], seconds: float = 8.0) -> None:
    """Wait for something to become true; fail when it does not."""
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def following(
    connection: Connection,
    resource: Resource = PODS,
    resume: tuple[str, int] | None = None,
    options: WatchOptions = QUICK,
) -> Iterator[Followed]:
    told = Followed()
    told.stream = Reflector(resource, connection, "paris", resume, told.put, options)
    thread = threading.Thread(target=told.stream.run)
    thread.start()
    try:
        yield told
    finally:
        told.stream.interrupt()
        thread.join(8)
        assert not thread.is_alive(), "the stream did not end when it was told to"
        assert told.stream.state.state == "stopped"

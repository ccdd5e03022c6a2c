"""Fixtures with a real control plane and a real broker; a folder's conftest.py takes them by importing them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.needs import need
from support.servers import build_kafka
from support.servers.broker import Broker
from support.servers.control_plane import ControlPlane, missing


@pytest.fixture(scope="session")
def servers_built() -> None:
    """Skip with the reason when no control plane can be started here; in CI, fail."""
    lacks = missing()
    need(not lacks, lacks)


class Lent:
    """One control plane for all modules of a process, each of which finds it as if it had just been started."""

    def __init__(self) -> None:
        self._plane: ControlPlane | None = None
        self._fresh: set[str] = set()

    def lend(self) -> ControlPlane:
        """Empty it of what the last module made. One that a failed test left dead is replaced."""
        if self._plane and self._plane.answers():
            self._plane.clear(self._fresh)
            return self._plane
        self.close()
        self._plane = ControlPlane().__enter__()
        self._fresh = self._plane.keys()
        return self._plane

    def close(self) -> None:
        if self._plane:
            self._plane.close()


@pytest.fixture(scope="session")
def lent() -> Iterator[Lent]:
    """The control plane behind `control_plane`; nothing is started before a module asks for it."""
    lending = Lent()
    yield lending
    lending.close()


@pytest.fixture(scope="module")
def control_plane(servers_built: None, lent: Lent) -> ControlPlane:
    """etcd and kube-apiserver, empty, shared by a module's tests. A test with wishes makes its own ControlPlane."""
    return lent.lend()


@pytest.fixture(scope="session")
def kafka_fetched() -> None:
    """Skip with the reason when no broker can be started here; in CI, fail."""
    lacks = build_kafka.missing()
    need(not lacks, lacks)


@pytest.fixture(scope="session")
def broker(kafka_fetched: None) -> Iterator[Broker]:
    """A Kafka broker that all tests share; each makes topics and groups of its own."""
    with Broker() as started:
        yield started

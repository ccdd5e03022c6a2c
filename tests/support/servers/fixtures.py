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


@pytest.fixture(scope="module")
def control_plane(servers_built: None) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, shared by a module's tests. A test with wishes makes its own ControlPlane."""
    with ControlPlane() as started:
        yield started


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

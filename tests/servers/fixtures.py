"""Fixtures with a real control plane; a folder's conftest.py takes them by importing them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from needs import need
from servers.control_plane import ControlPlane, missing


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

"""A real control plane for recorders, and a kubeconfig that may do what deploy/ grants, no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.servers.control_plane import ControlPlane


@pytest.fixture(scope="module")
def cluster(servers_built: None) -> Iterator[ControlPlane]:
    with ControlPlane() as found:
        yield found


@pytest.fixture(scope="module")
def kubeconfig(cluster: ControlPlane) -> Path:
    """Of the service account of deploy/rbac.yaml."""
    grant(cluster.api())
    return cluster.kubeconfig("recorder", token=cluster.service_account_token(NAMESPACE, ACCOUNT))

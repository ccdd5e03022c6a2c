"""A real control plane for recorders, and a kubeconfig that may do what deploy/ grants, no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.servers.control_plane import ControlPlane


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    return control_plane


@pytest.fixture(scope="module")
def kubeconfig(cluster: ControlPlane) -> Path:
    """Of the service account of deploy/rbac.yaml."""
    grant(cluster.api())
    return cluster.kubeconfig("recorder", token=cluster.service_account_token(NAMESPACE, ACCOUNT))

"""The manifests of deploy/ as the apiserver takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from support.servers.api import APPLY, Api

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
NAMESPACE = "whowas"
ACCOUNT = "whowas-recorder"
PLURALS = {
    "Namespace": ("/api/v1", "namespaces"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Service": ("/api/v1", "services"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ServiceMonitor": ("/apis/monitoring.coreos.com/v1", "servicemonitors"),
}


def documents(*names: str) -> list[dict[str, Any]]:
    """Every object of these files of deploy/; of all of them without names."""
    paths = [DEPLOY / name for name in names] if names else sorted(DEPLOY.glob("*.yaml"))
    found = [one for path in paths for one in yaml.safe_load_all(path.read_text())]
    return [one for one in found if one["kind"] != "Kustomization"]


def path_of(thing: dict[str, Any]) -> str:
    """Where an object stands in the API."""
    group, plural = PLURALS[thing["kind"]]
    space = thing["metadata"].get("namespace")
    return f"{group}{f'/namespaces/{space}' if space else ''}/{plural}/{thing['metadata']['name']}"


def apply(api: Api, thing: dict[str, Any], *, dry: bool = False) -> Any:
    """Apply an object as kubectl does, every field checked. Raises: ApiError."""
    query = "fieldManager=test&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry else "")
    return api.patch(f"{path_of(thing)}?{query}", thing, APPLY)


def grant(api: Api) -> None:
    """Make the namespace, the account and the roles for real."""
    for thing in documents("namespace.yaml", "rbac.yaml"):
        apply(api, thing)

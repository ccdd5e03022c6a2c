"""Owners for a kubelet's pods: Deployments with their ReplicaSets, Jobs, a StatefulSet. They want no replicas.

Not for a control plane with controllers: those would set about the pods.
"""

from __future__ import annotations

import threading
from typing import Any

from support.servers.api import Api, ApiError
from support.servers.lives import Life

APPS = "/apis/apps/v1/namespaces/{}/{}"
BATCH = "/apis/batch/v1/namespaces/{}/jobs"
ORDINALS = 12


class Workloads:
    """What pods belong to, made once and looked up for each pod."""

    def __init__(self, api: Api, namespace: str, count: int) -> None:
        self.namespace = namespace
        self._api = api
        self._replica_sets = [self._deployment(f"app-{number}") for number in range(count)]
        self._jobs = [self._job(f"batch-{number}") for number in range(count)]
        self._set = self._made(
            "StatefulSet", APPS.format(namespace, "statefulsets"), self._templated("db", serviceName="db")
        )
        self._ordinals = [f"db-{number}" for number in range(ORDINALS)]
        self._lock = threading.Lock()

    def of(self, life: Life) -> tuple[dict[str, str], list[dict[str, Any]], str]:
        """Return the labels, the ownerReferences and the name of a pod."""
        if life.shape == "ordinal":
            with self._lock:
                if self._ordinals:
                    return {"app": "db"}, [self._set], self._ordinals.pop(0)
        owner = (self._jobs if life.shape in ("job", "failed") else self._replica_sets)[life.workload]
        app = owner["name"].removesuffix("-5d4f8c7b96")
        return {"app": app}, [owner], f"{owner['name']}-{life.number:05x}"

    def free_ordinal(self, name: str) -> None:
        """The pod of this name is gone: the next may have it."""
        with self._lock:
            if name.startswith("db-"):
                self._ordinals.append(name)

    def _deployment(self, name: str) -> dict[str, Any]:
        path = APPS.format(self.namespace, "deployments")
        owner = self._made("Deployment", path, self._templated(name))
        replica_set = self._templated(f"{name}-5d4f8c7b96", app=name)
        replica_set["metadata"]["ownerReferences"] = [owner]
        return self._made("ReplicaSet", APPS.format(self.namespace, "replicasets"), replica_set)

    def _job(self, name: str) -> dict[str, Any]:
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example/c:1"}]}}
        job = {"metadata": {"name": name}, "spec": {"suspend": True, "template": template}}
        return self._made("Job", BATCH.format(self.namespace), job)

    def _templated(self, name: str, app: str = "", **spec: Any) -> dict[str, Any]:
        labels = {"app": app or name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example/c:1"}]}}
        return {
            "metadata": {"name": name, "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec},
        }

    def _made(self, kind: str, path: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Create it unless it is there; return what an ownerReference says of it."""
        try:
            made = self._api.create(path, thing)
        except ApiError as error:
            if error.status != 409:
                raise
            made = self._api.get(f"{path}/{thing['metadata']['name']}")
        version = "batch/v1" if kind == "Job" else "apps/v1"
        named = {"name": made["metadata"]["name"], "uid": made["metadata"]["uid"]}
        return {"apiVersion": version, "kind": kind, "controller": True, **named}

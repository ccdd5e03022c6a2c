"""Pods to fill a control plane with: small ones, and ones as large as real pods are."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from support.servers.api import MERGE, Api, ApiError

if TYPE_CHECKING:
    from support.servers.control_plane import ControlPlane

PODS = "/api/v1/namespaces/{}/pods"
FIRST_ADDRESS = int(IPv4Address("10.200.0.1"))


def rfc3339(seconds: float) -> str:
    """Return a time as Kubernetes writes it: UTC, whole seconds, cut off."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def node(name: str, address: str = "", pod_range: str = "", **labels: str) -> dict[str, Any]:
    """Return a Node."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {"podCIDR": pod_range, "podCIDRs": [pod_range]} if pod_range else {},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]} if address else {},
    }


def small(name: str, node: str = "node-0", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Return the least Pod there can be, bound to a node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "example/c:1"}], **spec},
    }


def realistic(name: str, node: str = "node-0", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a Pod that is some 7 KB long once it runs: what a service mesh and a chart make of a Deployment."""
    app = name.rsplit("-", 2)[0]
    pod = small(name, node, labels or _chart_labels(app), **spec)
    pod["metadata"]["annotations"] = {
        "checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "prometheus.io/port": "9090",
        "prometheus.io/scrape": "true",
        "kubectl.kubernetes.io/restartedAt": "2026-11-20T10:15:02Z",
    }
    pod["spec"] |= {
        "containers": [_container("app", app)],
        "volumes": [{"name": "config", "configMap": {"name": f"{app}-config"}}, {"name": "scratch", "emptyDir": {}}],
        "tolerations": [
            {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for what in ("not-ready", "unreachable")
        ],
    }
    return pod


def _chart_labels(app: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{app}-production",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": "6c9f7d5b8",
    }


def _container(name: str, app: str) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1}
    return {
        "name": name,
        "image": f"registry.example.com/{app}/{name}:4.2.17",
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
        "env": [
            {"name": f"{app.upper().replace('-', '_')}_{key}", "value": f"{key.lower()}.data.svc:5432"}
            for key in "ABCD"
        ]
        + [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "scratch", "mountPath": "/tmp"}],
        "livenessProbe": probe,
        "readinessProbe": probe,
    }


def running(pod: dict[str, Any], address: str, host: str = "192.0.2.10", at: float | None = None) -> dict[str, Any]:
    """Return the status of a pod that runs, as a kubelet writes it."""
    since = rfc3339(at or time.time())
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "startTime": since,
        "conditions": [{"type": one, "status": "True", "lastTransitionTime": since} for one in conditions],
        "containerStatuses": [
            {
                "name": one["name"],
                "image": one["image"],
                "imageID": "sha256:" + "0f" * 32,
                "containerID": "containerd://" + "a1" * 32,
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": since}},
            }
            for one in pod["spec"]["containers"]
        ],
    }


def address_of(number: int) -> str:
    """Return the address of one of many pods."""
    return str(IPv4Address(FIRST_ADDRESS + number))


def run(api: Api, pod: dict[str, Any], address: str, namespace: str = "default") -> str:
    """Create a pod and publish it as running; return its UID."""
    made = api.create(PODS.format(namespace), pod)
    path = f"{PODS.format(namespace)}/{pod['metadata']['name']}/status"
    api.write("PATCH", path, {"status": running(pod, address)}, MERGE)
    return str(made["metadata"]["uid"])


def fill(
    api: Api, count: int, namespace: str = "default", make: Any = small, nodes: int = 50, threads: int = 6
) -> dict[str, str]:
    """Create many pods that run; return address -> UID. Some 350 a second on two cores."""

    def one(number: int) -> tuple[str, str]:
        address = address_of(number)
        pod = make(f"filler-{number // 10:05}-{number % 10:05}", node=f"node-{number % nodes}")
        return address, run(api, pod, address, namespace)

    with ThreadPoolExecutor(threads) as workers:
        return dict(workers.map(one, range(count)))


def clone(
    cluster: ControlPlane, name: str, count: int, namespace: str = "default", address: Callable[[int], str] = address_of
) -> dict[str, str]:
    """Store many copies of a pod that runs, each with its own name, UID and address; return address -> UID."""
    model = cluster.api().get(f"{PODS.format(namespace)}/{name}")
    del model["metadata"]["resourceVersion"]
    made, uids = [], {}
    for number in range(count):
        held, uid = address(number), str(uuid4())
        uids[held] = uid
        metadata = {**model["metadata"], "name": f"{name}-{number:06}", "uid": uid}
        status = {**model["status"], "podIP": held, "podIPs": [{"ip": held}]}
        made.append((f"pods/{namespace}/{metadata['name']}", {**model, "metadata": metadata, "status": status}))
    cluster.store(made)
    return uids


def namespace(api: Api, name: str) -> str:
    """Create a namespace unless it is there; return its name."""
    try:
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    except ApiError as error:
        if error.status != 409:
            raise
    return name

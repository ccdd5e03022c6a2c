"""Audit events written by hand, as a kube-apiserver writes them."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
KUBELET = "system:node:n1"
NUMBER = itertools.count()


def at(seconds: float) -> str:
    """A moment as an audit log writes it."""
    return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def us(seconds: float) -> int:
    return int((BEGIN + timedelta(seconds=seconds)).timestamp() * 1_000_000)


def second(seconds: float) -> str:
    return at(seconds)[:19] + "Z"


def write(
    verb: str, name: str, seconds: float, request: Any = None, response: Any = None, **more: Any
) -> dict[str, Any]:
    """One event. more: resource, group, subresource, namespace, user, code, or any field of the event."""
    ref = {"resource": more.pop("resource", "pods"), "namespace": more.pop("namespace", "shop"), "apiVersion": "v1"}
    ref |= {"name": name} if name else {}
    for field, key in (("subresource", "subresource"), ("group", "apiGroup")):
        if field in more:
            ref[key] = more.pop(field)
    made = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse" if response is not None else "Request" if request is not None else "Metadata",
        "auditID": f"id-{next(NUMBER)}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/shop/{ref['resource']}/{name}",
        "verb": verb,
        "user": {"username": more.pop("user", "admin")},
        "objectRef": ref,
        "responseStatus": {"metadata": {}, "code": more.pop("code", 201 if verb == "create" else 200)},
        "requestReceivedTimestamp": at(seconds - 0.01),
        "stageTimestamp": at(seconds),
    }
    made |= {"requestObject": request} if request is not None else {}
    made |= {"responseObject": response} if response is not None else {}
    return made | more


def pod(name: str, version: int | None = None, created: float = 0, uid: str = "", **spec: Any) -> dict[str, Any]:
    """A pod as the apiserver answers a create; without a version as a client asks for it."""
    meta: dict[str, Any] = {"name": name, "namespace": "shop", "labels": {"app": name}}
    if version is not None:
        meta |= {"uid": uid or f"uid-{name}", "resourceVersion": str(version), "creationTimestamp": second(created)}
    containers = [{"name": "c", "image": "example/c:1", "env": [{"name": "SECRET", "value": "x"}]}]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"containers": containers, **spec}}


def create(name: str, seconds: float, version: int = 1, **spec: Any) -> dict[str, Any]:
    return write(
        "create", name, seconds, pod(name), pod(name, version, seconds, **spec) | {"status": {"phase": "Pending"}}
    )


def bind(name: str, seconds: float, node: str = "n1") -> dict[str, Any]:
    asked = {
        "kind": "Binding",
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "target": {"kind": "Node", "name": node},
    }
    return write("create", name, seconds, asked, subresource="binding")


def status(name: str, seconds: float, uid: str = "", **said: Any) -> dict[str, Any]:
    """A kubelet's patch of a status: strategic merge, with the pod's UID."""
    patch = {"metadata": {"uid": uid or f"uid-{name}"}, "status": said}
    return write("patch", name, seconds, patch, subresource="status", user=KUBELET)


def condition(kind: str, value: str, seconds: float) -> dict[str, Any]:
    return {"type": kind, "status": value, "lastTransitionTime": second(seconds)}


def running(name: str, seconds: float, ip: str, uid: str = "") -> dict[str, Any]:
    """The patch with which a kubelet says that a pod runs."""
    ready = condition("PodReadyToStartContainers", "True", seconds - 2)
    box = {"name": "c", "restartCount": 0, "state": {"running": {"startedAt": second(seconds - 1)}}}
    said = {"$setElementOrder/conditions": [{"type": "PodReadyToStartContainers"}, {"type": "PodScheduled"}]}
    said |= {"conditions": [ready], "containerStatuses": [box], "phase": "Running", "startTime": second(seconds - 3)}
    return status(name, seconds, uid, **said, podIP=ip, podIPs=[{"ip": ip}])


def done(name: str, seconds: float, phase: str = "Succeeded", began: float = 0) -> dict[str, Any]:
    """The patch with which a kubelet says that a pod is over."""
    ran = {"startedAt": second(began), "finishedAt": second(seconds - 1)}
    box = {"name": "c", "restartCount": 0, "state": {"terminated": ran}}
    said = {"$setElementOrder/conditions": [{"type": "PodReadyToStartContainers"}, {"type": "PodScheduled"}]}
    said |= {"conditions": [condition("PodReadyToStartContainers", "False", seconds - 1)]}
    return status(name, seconds, phase=phase, containerStatuses=[box], **said)


def delete(name: str, seconds: float, grace: int | None = None, **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"kind": "DeleteOptions"} | ({} if grace is None else {"gracePeriodSeconds": grace})
    return write("delete", name, seconds, options, **more)


def text(*events: Any) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in events)

"""Kubernetes objects with the fields and the habits of the real ones, managedFields left out.

Times in objects are whole seconds, as apiserver and kubelet write them.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
DAY = 86_400.0


def second(moment: float) -> str:
    """RFC 3339, cut to the second."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(moment: float) -> str:
    """RFC 3339 with microseconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Owner:
    """What an ownerReference says."""

    api: str
    kind: str
    name: str
    uid: str

    def reference(self) -> Object:
        return {
            "apiVersion": self.api,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


class Uids:
    """UIDs that are the same at every run with the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def metadata(name: str, uid: str, created: float, *, namespace: str = "", owner: Owner | None = None) -> Object:
    """The part that every object has."""
    told: Object = {"name": name, "uid": uid, "creationTimestamp": second(created)}
    if namespace:
        told["namespace"] = namespace
    if owner:
        told["ownerReferences"] = [owner.reference()]
    return told


def namespace(name: str, uid: str, created: float) -> Object:
    told = metadata(name, uid, created) | {"labels": {"kubernetes.io/metadata.name": name}}
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": told, "status": {"phase": "Active"}}


def node(name: str, uid: str, created: float, *, number: int, address: str, zone: str, tunnel_mac: str) -> Object:
    told = metadata(name, uid, created)
    told["labels"] = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone, "kubernetes.io/os": "linux"}
    told["annotations"] = {
        "flannel.alpha.coreos.com/backend-type": "vxlan",
        "flannel.alpha.coreos.com/backend-data": f'{{"VNI":1,"VtepMAC":"{tunnel_mac}"}}',
        "flannel.alpha.coreos.com/public-ip": address,
    }
    ranges = [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]
    addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": second(created + 30), "reason": "KubeletReady"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": told,
        "spec": {"podCIDR": ranges[0], "podCIDRs": ranges},
        "status": {"addresses": addresses, "conditions": [ready], "nodeInfo": {"kubeletVersion": "v1.36.3"}},
    }


def replica_set(name: str, uid: str, created: float, *, namespace: str, owner: Owner, labels: dict[str, str]) -> Object:
    told = metadata(name, uid, created, namespace=namespace, owner=owner) | {"labels": labels}
    return {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": told,
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}},
        "status": {"replicas": 1},
    }


def job(name: str, uid: str, created: float, *, namespace: str, owner: Owner, labels: dict[str, str]) -> Object:
    told = metadata(name, uid, created, namespace=namespace, owner=owner) | {"labels": labels}
    return {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": told,
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 2},
        "status": {"active": 1, "startTime": second(created)},
    }


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service and the port of the pods behind it."""

    name: str
    port: int
    target: int
    protocol: str = "TCP"


def service(
    name: str, uid: str, created: float, *, namespace: str, addresses: list[str], ports: list[ServicePort], app: str
) -> Object:
    """A ClusterIP Service; no addresses makes it headless."""
    listed = [{"name": p.name, "protocol": p.protocol, "port": p.port, "targetPort": p.target} for p in ports]
    families = ["IPv6" if ":" in address else "IPv4" for address in addresses] or ["IPv4"]
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": metadata(name, uid, created, namespace=namespace) | {"labels": {"app": app}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": addresses[0] if addresses else "None",
            "clusterIPs": addresses or ["None"],
            "ipFamilies": families,
            "ipFamilyPolicy": "PreferDualStack" if len(families) > 1 else "SingleStack",
            "ports": listed,
            "selector": {"app": app},
        },
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(uid: str, created: float, *, of: Object, suffix: str, version6: bool, pods: list[Object]) -> Object:
    """The slice of one Service and address family over `pods`."""
    owner = Owner("v1", "Service", of["metadata"]["name"], of["metadata"]["uid"])
    space = of["metadata"]["namespace"]
    told = metadata(f"{owner.name}-{suffix}", uid, created, namespace=space, owner=owner)
    told["generateName"] = f"{owner.name}-"
    told["labels"] = {
        "kubernetes.io/service-name": owner.name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    ports = [{"name": p["name"], "protocol": p["protocol"], "port": p["targetPort"]} for p in of["spec"]["ports"]]
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": told,
        "addressType": "IPv6" if version6 else "IPv4",
        "endpoints": [endpoint(pod, version6) for pod in pods],
        "ports": ports,
    }


def endpoint(pod: Object, version6: bool) -> Object:
    """One pod behind a Service."""
    told, spec = pod["metadata"], pod["spec"]
    addresses = [one["ip"] for one in pod["status"]["podIPs"] if (":" in one["ip"]) == version6]
    return {
        "addresses": addresses,
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": spec["nodeName"],
        "targetRef": {"kind": "Pod", "namespace": told["namespace"], "name": told["name"], "uid": told["uid"]},
    }


def bookmark(kind: str, api: str) -> Object:
    """What a watch sends to say how far it is; a Pod's has no containers, as the real one."""
    told: Object = {"kind": kind, "apiVersion": api, "metadata": {"creationTimestamp": None}}
    return told | ({"spec": {"containers": None}, "status": {}} if kind == "Pod" else {})

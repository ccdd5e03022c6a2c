"""Kubernetes objects with the fields and the habits of the real ones, managedFields left out.

Times in objects are whole seconds, as apiserver and kubelet write them.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
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


@dataclass
class PodObject:
    """A pod as the apiserver shows it, moved on step by step by its kubelet and its user.

    Each step changes the object and returns it; a recorder plays the steps in the order of receipt.
    """

    space: str
    name: str
    uid: str
    labels: dict[str, str]
    image: str
    created: float
    owner: Owner | None = None
    ports: list[tuple[int, str]] = field(default_factory=list)
    host_network: bool = False
    object: Object = field(default_factory=dict)

    def __post_init__(self) -> None:
        told = metadata(self.name, self.uid, self.created, namespace=self.space, owner=self.owner)
        told["labels"] = dict(self.labels)
        ports = [{"containerPort": port, "protocol": protocol} for port, protocol in self.ports]
        if self.host_network:
            ports = [one | {"hostPort": one["containerPort"]} for one in ports]
        container = {"name": "main", "image": self.image, "ports": ports}
        spec: Object = {
            "containers": [container],
            "serviceAccountName": "default",
            "restartPolicy": "Never" if self.owner and self.owner.kind == "Job" else "Always",
            "terminationGracePeriodSeconds": 30,
        }
        if self.host_network:
            spec["hostNetwork"] = True
        self.object = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": told,
            "spec": spec,
            "status": {"phase": "Pending", "qosClass": "BestEffort"},
        }

    def now(self) -> Object:
        return self.object

    def set_created(self, moment: float) -> None:
        """Say when it was really made; the object is planned before."""
        self.created = moment
        self.object["metadata"]["creationTimestamp"] = second(moment)

    def _condition(self, kind: str, status: str, moment: float) -> None:
        kept = [one for one in self.object["status"].get("conditions", []) if one["type"] != kind]
        self.object["status"]["conditions"] = [
            *kept,
            {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": second(moment)},
        ]

    def bound(self, node_name: str, moment: float) -> Object:
        """The scheduler chose a node."""
        self.object["spec"]["nodeName"] = node_name
        self._condition("PodScheduled", "True", moment)
        return self.object

    def accepted(self, host: str, moment: float) -> Object:
        """The kubelet took it on; no sandbox yet."""
        status = self.object["status"]
        status |= {"startTime": second(moment), "hostIP": host, "hostIPs": [{"ip": host}]}
        if self.host_network:
            status |= {"podIP": host, "podIPs": [{"ip": host}]}
        self._condition("PodReadyToStartContainers", "False", moment)
        self._condition("Initialized", "True", moment)
        for kind in ("Ready", "ContainersReady"):
            self._condition(kind, "False", moment)
        self._container({"waiting": {"reason": "ContainerCreating"}}, ready=False)
        return self.object

    def running(self, addresses: list[str], sandbox: float, started: float) -> Object:
        """Sandbox and container run; the addresses are published."""
        self.object["status"] |= {
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": [{"ip": address} for address in addresses],
        }
        self._condition("PodReadyToStartContainers", "True", sandbox)
        for kind in ("Ready", "ContainersReady"):
            self._condition(kind, "True", started)
        self._container({"running": {"startedAt": second(started)}}, ready=True)
        return self.object

    def relabelled(self, **labels: str) -> Object:
        self.object["metadata"]["labels"] |= labels
        return self.object

    def asked_to_stop(self, moment: float, grace: int = 30) -> Object:
        """Somebody deleted it: the object stays until the kubelet is done."""
        self.object["metadata"] |= {"deletionTimestamp": second(moment + grace), "deletionGracePeriodSeconds": grace}
        return self.object

    def terminal(self, phase: str, started: float, finished: float, released: float) -> Object:
        """Containers have ended and the address is given back; status.podIP stays, as it does."""
        self.object["status"]["phase"] = phase
        ended = {
            "exitCode": 0 if phase == "Succeeded" else 137,
            "reason": "Completed" if phase == "Succeeded" else "Error",
            "startedAt": second(started),
            "finishedAt": second(finished),
        }
        self._container({"terminated": ended}, ready=False)
        self._condition("PodReadyToStartContainers", "False", released)
        for kind in ("Ready", "ContainersReady"):
            self._condition(kind, "False", finished)
        return self.object

    def last_delete(self, moment: float) -> Object:
        """The kubelet's own delete, with no grace left."""
        return self.asked_to_stop(moment, grace=0)

    def _container(self, state: Object, *, ready: bool) -> None:
        told = {"name": "main", "image": self.image, "state": state, "ready": ready, "started": ready}
        told |= {"restartCount": 0, "lastState": {}}
        self.object["status"]["containerStatuses"] = [told]

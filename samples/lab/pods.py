"""A pod's object through its life, as scheduler, kubelet and users write it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.objects import Object, Owner, metadata, second


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

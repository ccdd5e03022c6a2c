"""Who is there when the recorder comes: nodes, owners, Services, and the pods that stay."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from lab import objects
from lab.cluster import Cluster, Pod, Talker
from lab.network import OUTSIDE_HOST, Forward, Network, Node
from lab.objects import DAY, Owner, ServicePort, Uids
from lab.pods import PodObject
from lab.record import Recorder, Step

VIRTUAL = {"api": ["10.96.12.34", "fd00:10:96::c22"], "kube-dns": ["10.96.0.10"]}
API, COREDNS = "api-7d9f8b6c5-x2v4q", "coredns-5d78c9869d-m7xkc"
WEB_SET = "web-6c9f7d5b8"
SPACES = {
    "api": "shop",
    "web": "shop",
    "cart": "shop",
    "db": "data",
    "coredns": "kube-system",
    "prometheus": "monitoring",
    "node-exporter": "monitoring",
    "report": "batch",
    "import": "batch",
    "shell": "dev",
}
OWNERS = {
    "api-7d9f8b6c5": ("apps/v1", "ReplicaSet"),
    WEB_SET: ("apps/v1", "ReplicaSet"),
    "cart-74c8dd9b5f": ("apps/v1", "ReplicaSet"),
    "coredns-5d78c9869d": ("apps/v1", "ReplicaSet"),
    "report-29400195": ("batch/v1", "Job"),
    "import-29400190": ("batch/v1", "Job"),
    "db": ("apps/v1", "StatefulSet"),
    "prometheus": ("apps/v1", "StatefulSet"),
    "node-exporter": ("apps/v1", "DaemonSet"),
}


def app_of(name: str) -> str:
    """The application a pod's or owner's name begins with."""
    return next(app for app in SPACES if name == app or name.startswith(f"{app}-"))


def addresses(node: Node, last: int) -> list[str]:
    """A pod's two addresses on a node."""
    return [f"10.244.{node.number}.{last}", f"fd00:10:244:{node.number}::{last}"]


@dataclass
class Cast:
    """The fixed cast, and the makers of everything that joins later."""

    network: Network
    recorder: Recorder
    cluster: Cluster
    uids: Uids
    outside: Talker
    node_talker: Talker
    pods: dict[str, Pod] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)

    def enter(self) -> None:
        """Start everybody and list everything to the recorder."""
        self.outside.listen([OUTSIDE_HOST], [(443, "TCP")], answer=900)
        before = time.time() - 12 * DAY
        self.owners = {name: Owner(api, kind, name, self.uids()) for name, (api, kind) in OWNERS.items()}
        listed = [partial(objects.namespace, name, self.uids(), before) for name in sorted(set(SPACES.values()))]
        listed += [self._node(node, before) for node in self.network.nodes]
        self._start_pods(before)
        listed += [pod.object.now for pod in self.cluster.pods]
        listed += self._services(before) + self._upper_owners(before)
        began = time.time()
        for number, step in enumerate(listed):
            self.recorder.listed(began + number * 0.0005, step)
        self.network.forward(self._forwards())

    def _start_pods(self, before: float) -> None:
        one, two = self.network.nodes
        plan = (
            (API, two, addresses(two, 20), (8080, "TCP")),
            ("db-0", two, addresses(two, 21), (5432, "TCP")),
            (COREDNS, two, addresses(two, 2), (53, "UDP")),
            ("prometheus-0", one, addresses(one, 9), (9090, "TCP")),
            ("node-exporter-8hxsd", one, [one.address], (9100, "TCP")),
            ("node-exporter-kz4vb", two, [two.address], (9100, "TCP")),
        )
        for name, node, held, port in plan:
            pod = self.pod(name, [port], before, host_network=held == [node.address])
            self.pods[name] = self.cluster.start(pod, node, held, existed=True)

    def _node(self, node: Node, before: float) -> Step:
        told = {"number": node.number, "address": node.address, "zone": "ab"[node.number - 1]}
        return partial(objects.node, node.name, self.uids(), before, tunnel_mac=node.tunnel_mac, **told)

    def _upper_owners(self, before: float) -> list[Step]:
        """ReplicaSets and Jobs with owners of their own (Deployments and CronJobs are not watched)."""
        steps: list[Step] = []
        for name, owner in self.owners.items():
            app, _, rest = name.rpartition("-")
            told = {"namespace": SPACES[app_of(name)]}
            if owner.kind == "ReplicaSet":
                top = Owner("apps/v1", "Deployment", app, self.uids())
                labels = {"app": app, "pod-template-hash": rest}
                steps.append(partial(objects.replica_set, name, owner.uid, before, owner=top, labels=labels, **told))
            elif owner.kind == "Job":
                top = Owner("batch/v1", "CronJob", app, self.uids())
                steps.append(partial(objects.job, name, owner.uid, before, owner=top, labels={"app": app}, **told))
        return steps

    def pod(
        self, name: str, ports: list[tuple[int, str]], created: float = 0.0, *, host_network: bool = False
    ) -> PodObject:
        """A pod of this name, with the owner and the labels that its name says."""
        app = app_of(name)
        owner = next((one for key, one in self.owners.items() if name.startswith(f"{key}-")), None)
        labels = {"app": app, "team": "finance" if SPACES[app] == "batch" else "platform"}
        if owner and owner.kind == "ReplicaSet":
            labels["pod-template-hash"] = owner.name.rpartition("-")[2]
        image = f"registry.example/{app}:4.2"
        return PodObject(SPACES[app], name, self.uids(), labels, image, created, owner, ports, host_network)

    def _services(self, before: float) -> list[Step]:
        """Services with their slices, over the pods that serve them."""
        plan = (
            ("api", API, VIRTUAL["api"], ServicePort("http", 80, 8080)),
            ("kube-dns", COREDNS, VIRTUAL["kube-dns"], ServicePort("dns", 53, 53, "UDP")),
            ("db", "db-0", [], ServicePort("postgres", 5432, 5432)),
        )
        steps: list[Step] = []
        for name, behind, virtual, port in plan:
            app, pod = app_of(behind), self.pods[behind].object.object
            told = {"namespace": SPACES[app], "addresses": virtual, "ports": [port], "app": app}
            one = objects.service(name, self.uids(), before, **told)
            steps.append(partial(dict, one))
            for suffix in ("k4x9p", "w7n2c")[: max(1, len(virtual))]:
                slices = {"of": one, "suffix": suffix, "version6": suffix == "w7n2c", "pods": [pod]}
                steps.append(partial(objects.endpoint_slice, self.uids(), before + 60, **slices))
        return steps

    def _forwards(self) -> list[Forward]:
        api, dns = self.pods[API].addresses, self.pods[COREDNS].addresses
        web = [Forward(virtual, 80, "tcp", pod, 8080) for virtual, pod in zip(VIRTUAL["api"], api, strict=True)]
        return [*web, Forward(VIRTUAL["kube-dns"][0], 53, "udp", dns[0], 53)]

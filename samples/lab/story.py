"""Half a minute in the life of the cluster `demo`: addresses change hands, everybody talks.

The fixed cast is there when the recorder comes; the rest is made, talks and goes. Three addresses of
worker-1 tell the story (IPv6 alike, ::20, ::21, ::22):

    10.244.1.20  shop/web-…-hq6zt  .. 4 s free ..  batch/report-…  .. 4 s free ..  shop/web-…-t8wjm
    10.244.1.21  batch/import-… completes, keeps its podIP in status;  dev/shell holds the address 4 s later
    10.244.1.22  shop/cart-…-4kf9d, then within a second shop/cart-…-9pqls: the hard case
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial

from lab import objects, truth
from lab.cluster import Cluster, Pod, Talker
from lab.network import OUTSIDE_HOST, Forward, Network
from lab.objects import DAY, Owner, PodObject, ServicePort, Uids
from lab.record import Recorder
from lab.truth import Party, Talk

VIRTUAL = {"api": ["10.96.12.34", "fd00:10:96::c22"], "kube-dns": ["10.96.0.10"]}
WEB_SET = "web-6c9f7d5b8"
API, COREDNS = "api-7d9f8b6c5-x2v4q", "coredns-5d78c9869d-m7xkc"


@dataclass
class Story:
    """Acts out the plan and keeps what was asked for until the end."""

    network: Network
    recorder: Recorder
    cluster: Cluster
    uids: Uids
    cast: dict[str, Pod] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    outside: Talker | None = None
    node_talker: Talker | None = None
    _talks: list[tuple[Talk, Talker]] = field(default_factory=list)
    _start: float = 0.0

    # ---- who is there ----

    def prepare(self) -> None:
        """Everything that the recorder finds when it comes."""
        self.outside = Talker(self.network.outside)
        self.outside.listen([OUTSIDE_HOST], [(443, "TCP"), (123, "UDP")], answer=900)
        self.node_talker = Talker(self.network.nodes[0].namespace)
        before = time.time() - 12 * DAY
        one, two = self.network.nodes
        self._plan_owners()
        listed = [partial(objects.namespace, name, self.uids(), before) for name in self._spaces()]
        listed += [self._node(node, before) for node in self.network.nodes]
        for name, node, last, ports in (
            (API, two, 20, [(8080, "TCP")]),
            ("db-0", two, 21, [(5432, "TCP")]),
            (COREDNS, two, 2, [(53, "UDP")]),
            ("prometheus-0", one, 9, [(9090, "TCP")]),
        ):
            pod = self._pod(name, ports, before)
            self.cast[name] = self.cluster.start(pod, node, self._addresses(node.number, last), existed=True)
        for name, node in (("node-exporter-8hxsd", one), ("node-exporter-kz4vb", two)):
            pod = self._pod(name, [(9100, "TCP")], before, host_network=True)
            self.cast[name] = self.cluster.start(pod, node, [node.address], existed=True)
        listed += [pod.object.now for pod in self.cluster.pods]
        listed += self._services(before)
        began = time.time()
        for number, step in enumerate(listed):
            self.recorder.listed(began + number * 0.0005, step)
        self._later_owners(began)
        self.network.forward(self._forwards())

    def _spaces(self) -> tuple[str, ...]:
        return ("batch", "data", "dev", "kube-system", "monitoring", "shop")

    def _node(self, node: objects.Any, before: float) -> objects.Any:
        zone = "ab"[node.number - 1]
        return partial(
            objects.node,
            *(node.name, self.uids(), before),
            **{"number": node.number, "address": node.address, "zone": zone, "tunnel_mac": node.tunnel_mac},
        )

    def _plan_owners(self) -> None:
        plan = {
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
        self.owners = {name: Owner(api, kind, name, self.uids()) for name, (api, kind) in plan.items()}

    def _later_owners(self, moment: float) -> None:
        """ReplicaSets and Jobs with owners of their own (Deployments and CronJobs are not watched)."""
        for name, owner in self.owners.items():
            app, space = name.rsplit("-", 1)[0], self._space(name)
            if owner.kind == "ReplicaSet":
                top = Owner("apps/v1", "Deployment", app, self.uids())
                labels = {"app": app, "pod-template-hash": name.rsplit("-", 1)[1]}
                make = partial(objects.replica_set, namespace=space, owner=top, labels=labels)
            elif owner.kind == "Job":
                top = Owner("batch/v1", "CronJob", app, self.uids())
                make = partial(objects.job, namespace=space, owner=top, labels={"app": app})
            else:
                continue
            self.recorder.listed(moment + 0.05, partial(make, name, owner.uid, moment - DAY))

    def _space(self, name: str) -> str:
        spaces = {"api": "shop", "web": "shop", "cart": "shop", "db": "data", "coredns": "kube-system"}
        spaces |= {"prometheus": "monitoring", "node-exporter": "monitoring", "report": "batch", "import": "batch"}
        return spaces[next(app for app in spaces if name == app or name.startswith(f"{app}-"))]

    def _pod(
        self, name: str, ports: list[tuple[int, str]], created: float = 0.0, *, host_network: bool = False
    ) -> PodObject:
        owner = next((one for key, one in self.owners.items() if name.startswith(f"{key}-")), None)
        app = owner.name.rsplit("-", 1)[0] if owner and owner.kind in ("ReplicaSet", "Job") else name.split("-")[0]
        app = owner.name if owner and owner.kind in ("StatefulSet", "DaemonSet") else app
        labels = {"app": app, "team": {"batch": "finance"}.get(self._space(name) if owner else "dev", "platform")}
        if owner and owner.kind == "ReplicaSet":
            labels["pod-template-hash"] = owner.name.rsplit("-", 1)[1]
        space = self._space(name) if owner else "dev"
        image = f"registry.example/{app}:4.2"
        return PodObject(space, name, self.uids(), labels, image, created, owner, ports, host_network)

    def _addresses(self, node_number: int, last: int) -> list[str]:
        return [f"10.244.{node_number}.{last}", f"fd00:10:244:{node_number}::{last}"]

    def _services(self, before: float) -> list[objects.Any]:
        """Services with their slices; slices are played late, when their pods have addresses."""
        plan = (
            ("api", "shop", VIRTUAL["api"], [ServicePort("http", 80, 8080)], API),
            ("kube-dns", "kube-system", VIRTUAL["kube-dns"], [ServicePort("dns", 53, 53, "UDP")], COREDNS),
            ("db", "data", [], [ServicePort("postgres", 5432, 5432)], "db-0"),
        )
        made: list[objects.Any] = []
        for name, space, addresses, ports, behind in plan:
            one = objects.service(
                *(name, self.uids(), before),
                namespace=space,
                addresses=addresses,
                ports=ports,
                app=behind.split("-")[0],
            )
            made.append(partial(dict, one))
            pod = self.cast[behind].object.object
            for suffix, version6 in (("k4x9p", False), ("w7n2c", True)):
                if version6 and len(addresses) < 2:
                    continue
                make = partial(objects.endpoint_slice, of=one, suffix=suffix, version6=version6, pods=[pod])
                made.append(partial(make, self.uids(), before + 60))
        return made

    def _forwards(self) -> list[Forward]:
        api, dns = self.cast[API].addresses, self.cast[COREDNS].addresses
        web = [Forward(virtual, 80, "tcp", pod, 8080) for virtual, pod in zip(VIRTUAL["api"], api, strict=True)]
        return [*web, Forward(VIRTUAL["kube-dns"][0], 53, "udp", dns[0], 53)]

    # ---- what they do ----

    def _until(self, seconds: float) -> None:
        time.sleep(max(0.0, self._start + seconds - time.time()))

    def _make(self, name: str, last: int, ports: list[tuple[int, str]] | None = None, node: int = 1) -> Pod:
        host = self.network.nodes[node - 1]
        pod = self.cluster.start(self._pod(name, ports or []), host, self._addresses(node, last))
        self.cast[name] = pod
        return pod

    def _say(
        self,
        client: Pod | Party,
        target: Pod | Party,
        port: int | None,
        protocol: str = "tcp",
        *,
        to: str = "",
        asked: Party | None = None,
        source: str = "",
        messages: int = 3,
        size: int = 300,
        pause: float = 0.02,
        version6: bool = False,
    ) -> None:
        """Ask for one talk. `to` and `asked`: the Service addressed instead of the pod behind it."""
        token = f"talk-{len(self._talks):03d}"  # the talkers pad it to 16 bytes
        address = to or (target.addresses[1 if version6 else 0] if isinstance(target, Pod) else OUTSIDE_HOST)
        accepting = Party.of(target) if isinstance(target, Pod) else target
        calling = Party.of(client) if isinstance(client, Pod) else client
        talker = client.talker if isinstance(client, Pod) else self.node_talker
        if talker is None:
            raise RuntimeError("the story is not prepared")
        own = source or (client.addresses[1 if ":" in address else 0] if isinstance(client, Pod) else "")
        talk = Talk(token, protocol, calling, accepting, asked or accepting, address, port)
        self._talks.append((talk, talker))
        command = {"do": "talk", "token": token, "to": address, "port": port, "protocol": protocol, "from": own}
        talker.tell(**command, messages=messages, size=size, pause=pause)
        if isinstance(client, Pod):
            client.busy.append(token)

    def _chat(self, pod: Pod, *, rounds: int = 2) -> None:
        """What every application does: look up, ask the API through its Service, write to the database."""
        api, db = self.cast[API], self.cast["db-0"]
        dns = self.cast[COREDNS]
        resolver = Party("service", "kube-system/kube-dns")
        front = Party("service", "shop/api")
        for _ in range(rounds):
            self._say(pod, dns, 53, "udp", to=VIRTUAL["kube-dns"][0], asked=resolver, messages=1, size=60)
            self._say(pod, api, 80, to=VIRTUAL["api"][0], asked=front, messages=4, size=700)
            self._say(pod, db, 5432, messages=3, size=200)
        self._say(pod, api, 8080, version6=True, messages=2, size=500)
        self._say(pod, api, 80, to=VIRTUAL["api"][1], asked=front, messages=2, size=400)
        self._say(pod, truth.OUTSIDE, 443, messages=2, size=500)
        self._say(pod, db, None, "icmp", messages=2, size=56)
        self._say(pod, api, None, "icmpv6", version6=True, messages=2, size=56)

    def act(self) -> None:
        """The plan, in seconds from the start."""
        self._start = time.time()
        web = self._make(f"{WEB_SET}-hq6zt", 20)
        far = self._make(f"{WEB_SET}-r5dnc", 30, [(8080, "TCP")], node=2)
        load = self._make("import-29400190-v6gtd", 21)
        cart = self._make("cart-74c8dd9b5f-4kf9d", 22, [(8081, "TCP")])
        self._until(3)
        db, prometheus = self.cast["db-0"], self.cast["prometheus-0"]
        self._chat(web)
        self._chat(load)
        self._say(far, db, 5432, messages=14, size=900, pause=0.5)  # one connection, a label changes under it
        self._say(prometheus, self.cast["node-exporter-kz4vb"], 9100, messages=2)
        self._say(prometheus, self.cast["node-exporter-8hxsd"], 9100, messages=2)
        self._say(web, cart, 8081, messages=3)
        self._say(far, cart, 8081, messages=20, size=700, pause=0.05)
        self._node_talks(cart)
        self._until(5)
        self.cluster.relabel(far, release="canary", app="web")
        self._say(web, db, 9999)  # nobody listens: refused
        self._say(web, db, 5432, messages=30, size=1200, pause=0.02)
        self._until(7.5)
        self.cluster.complete(load)
        self._say(cart, db, 5432)
        self.cluster.delete(cart, grace_traffic_seconds=0.6)
        again = self._make("cart-74c8dd9b5f-9pqls", 22, [(8081, "TCP")])
        self._say(again, db, 5432)  # within a second of its predecessor's end
        self.recorder.bookmarks(time.time())
        self._until(9.5)
        self._say(web, db, 5432, messages=2)
        self.cluster.delete(web, grace_traffic_seconds=0.8)
        self._until(12.5)
        shell = self._make("shell", 21)  # the address that the completed import still shows
        self._until(14.5)
        report = self._make("report-29400195-x7k2p", 20)
        self._until(16)
        self._chat(shell, rounds=1)
        self._until(18)
        self._chat(report)
        self._say(far, again, 8081, messages=10, size=600)
        self._say(report, db, 5432, messages=40, size=1100, pause=0.02)
        self._until(21)
        self.cluster.complete(report)
        self.recorder.bookmarks(time.time())
        self._until(25.5)
        last = self._make(f"{WEB_SET}-t8wjm", 20)
        self._until(29)
        self._chat(last)
        self._say(shell, last, 8080)  # refused: web listens on worker-2 only
        self._say(shell, far, 8080, version6=True)
        self._until(32)
        self.recorder.bookmarks(time.time())

    def _node_talks(self, cart: Pod) -> None:
        """The kubelet probes its pod from the bridge's address; the node reaches another node's pod by its tunnel."""
        one = self.network.nodes[0]
        here = Party("node", one.name, node=one)
        self._say(here, cart, 8081, messages=1, source=one.gateway)
        self._say(here, self.cast["db-0"], 5432, messages=1, source=one.tunnel_address)

    def results(self) -> list[truth.Row]:
        """Every talk as it went. Waits for those that still go on."""
        rows = []
        for talk, talker in self._talks:
            done = talker.result(talk.token)
            known = [pod.talker for pod in self.cluster.pods if Party.of(pod) == talk.target]
            other = known[0] if known else self.outside
            accepted = other.accepted.get(talk.token) if other else None
            rows.append(truth.connection(self._fixed(talk), done, accepted, self.network))
        return rows

    def _fixed(self, talk: Talk) -> Talk:
        """ICMP has no port, whatever was asked."""
        return replace(talk, port=None) if talk.protocol.startswith("icmp") else talk

    def close(self) -> None:
        """End what the story itself started."""
        for talker in (self.outside, self.node_talker):
            if talker is not None:
                talker.stop()

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

from lab import truth
from lab.cast import API, COREDNS, VIRTUAL, WEB_SET, Cast, addresses
from lab.cluster import Pod, Talker
from lab.network import OUTSIDE_HOST
from lab.truth import Party, Talk


@dataclass
class Story:
    """Acts out the plan and keeps what was asked for until the end."""

    cast: Cast
    _talks: list[tuple[Talk, Talker]] = field(default_factory=list)
    _start: float = 0.0

    def _until(self, seconds: float) -> None:
        time.sleep(max(0.0, self._start + seconds - time.time()))

    def _make(self, name: str, last: int, ports: list[tuple[int, str]] | None = None, node: int = 1) -> Pod:
        host = self.cast.network.nodes[node - 1]
        pod = self.cast.cluster.start(self.cast.pod(name, ports or []), host, addresses(host, last))
        self.cast.pods[name] = pod
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
        talker = client.talker if isinstance(client, Pod) else self.cast.node_talker
        own = source or (client.addresses[1 if ":" in address else 0] if isinstance(client, Pod) else "")
        talk = Talk(token, protocol, calling, accepting, asked or accepting, address, port)
        self._talks.append((talk, talker))
        command = {"do": "talk", "token": token, "to": address, "port": port, "protocol": protocol, "from": own}
        talker.tell(**command, messages=messages, size=size, pause=pause)
        if isinstance(client, Pod):
            client.busy.append(token)

    def _chat(self, pod: Pod, *, rounds: int = 2) -> None:
        """What every application does: look up, ask the API through its Service, write to the database."""
        api, db = self.cast.pods[API], self.cast.pods["db-0"]
        dns = self.cast.pods[COREDNS]
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
        db, prometheus = self.cast.pods["db-0"], self.cast.pods["prometheus-0"]
        self._chat(web)
        self._chat(load)
        self._say(far, db, 5432, messages=14, size=900, pause=0.5)  # one connection, a label changes under it
        self._say(prometheus, self.cast.pods["node-exporter-kz4vb"], 9100, messages=2)
        self._say(prometheus, self.cast.pods["node-exporter-8hxsd"], 9100, messages=2)
        self._say(web, cart, 8081, messages=3)
        self._say(far, cart, 8081, messages=20, size=700, pause=0.05)
        self._node_talks(cart)
        self._until(5)
        self.cast.cluster.relabel(far, release="canary", app="web")
        self._say(web, db, 9999)  # nobody listens: refused
        self._say(web, db, 5432, messages=30, size=1200, pause=0.02)
        self._until(7.5)
        self.cast.cluster.complete(load)
        self._say(cart, db, 5432)
        self.cast.cluster.delete(cart, grace_traffic_seconds=0.6)
        again = self._make("cart-74c8dd9b5f-9pqls", 22, [(8081, "TCP")])
        self._say(again, db, 5432)  # within a second of its predecessor's end
        self.cast.recorder.bookmarks(time.time())
        self._until(9.5)
        self._say(web, db, 5432, messages=2)
        self.cast.cluster.delete(web, grace_traffic_seconds=0.8)
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
        self.cast.cluster.complete(report)
        self.cast.recorder.bookmarks(time.time())
        self._until(25.5)
        last = self._make(f"{WEB_SET}-t8wjm", 20)
        self._until(29)
        self._chat(last)
        self._say(shell, last, 8080)  # refused: web listens on worker-2 only
        self._say(shell, far, 8080, version6=True)
        self._until(32)
        self.cast.recorder.bookmarks(time.time())

    def _node_talks(self, cart: Pod) -> None:
        """The kubelet probes its pod from the bridge's address; the node reaches another node's pod by its tunnel."""
        one = self.cast.network.nodes[0]
        here = Party("node", one.name, node=one)
        self._say(here, cart, 8081, messages=1, source=one.gateway)
        self._say(here, self.cast.pods["db-0"], 5432, messages=1, source=one.tunnel_address)

    def results(self) -> list[truth.Row]:
        """Every talk as it went. Waits for those that still go on."""
        rows = []
        for talk, talker in self._talks:
            done = talker.result(talk.token)
            known = [pod.talker for pod in self.cast.cluster.pods if Party.of(pod) == talk.target]
            accepting = known[0] if known else self.cast.outside
            accepted = accepting.accepted.get(talk.token)
            rows.append(truth.connection(self._fixed(talk), done, accepted, self.cast.network))
        return rows

    def _fixed(self, talk: Talk) -> Talk:
        """ICMP has no port, whatever was asked."""
        return replace(talk, port=None) if talk.protocol.startswith("icmp") else talk

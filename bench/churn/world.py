"""The clockwork of a simulated cluster: time, processes, nodes, and an apiserver that logs every write.

Written from how apiservers, kubelets and CNI plugins behave; it knows nothing of the inference it is used against.
All randomness comes from one seed.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from bench.churn.addresses import Pool
from bench.churn.times import SECOND, START, micro, stamp
from bench.churn.truth import Hold, Sight, Versions

Object = dict[str, Any]
# A process says after how many seconds it wants to go on.
Process = Generator[float, None, None]
NOTHING = Sight("")


@dataclass
class Change:
    """One write of the apiserver: what a watch delivers. `request`: what an audit log says of it beside."""

    at: int
    version: int
    verb: str
    kind: str
    uid: str
    text: str
    sight: Sight
    request: str
    meta: tuple[str, str] = ("", "")


@dataclass
class Task:
    """A process under way; a cancelled one does nothing more."""

    steps: Process
    cancelled: bool = False


@dataclass
class Node:
    """A machine: its clock, its addresses, its kubelet's delays."""

    name: str
    ip: str
    pool: Pool
    pool6: Pool | None = None
    offset: int = 0
    steps: list[tuple[int, int]] = field(default_factory=list)
    latest: float = 6.0
    stalled_until: int = 0
    cut: bool = False
    lost: list[list[int]] = field(default_factory=list)
    pods: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    # As kubelets of 1.36 and later do: the sandbox's condition at once, the address with the first running container,
    # and the address of a lost sandbox once more.
    modern: bool = False

    def time(self, us: int) -> int:
        """What the node's clock shows."""
        return us + self.offset + sum(by for at, by in self.steps if at <= us)

    def off_by_at_most(self) -> int:
        """By how much the clock is wrong at its worst."""
        worst = [abs(self.offset)]
        for _, by in self.steps:
            worst.append(abs(self.offset + by))
        return max(worst)


class World:
    """One cluster. `log` is all that the apiserver wrote, `holds` the truth about addresses."""

    def __init__(self, seed: int, name: str = "sim", salt: str = "") -> None:
        self.name = name
        self.dice = random.Random(f"{name} {seed} {salt}")
        self.now = START
        self.nodes: list[Node] = []
        self.log: list[Change] = []
        self.objects: dict[tuple[str, str], Change] = {}
        self.holds: list[Hold] = []
        self.labels: dict[str, Versions] = {}
        self.services: dict[str, Versions] = {}
        self.workloads: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.slices: dict[str, set[str]] = {}
        self.controllers: list[Callable[[Change], None]] = []
        self.restores: list[tuple[int, int]] = []
        self._version = 4000
        self._agenda: list[tuple[int, int, Task]] = []
        self._order = itertools.count()
        self._uids = itertools.count(1)

    # The clockwork.

    def start(self, steps: Process, delay: float = 0.0) -> Task:
        """Begin a process some seconds from now."""
        task = Task(steps)
        self._push(delay, task)
        return task

    def after(self, delay: float, what: Callable[..., Any], *with_: Any) -> Task:
        """Do one thing some seconds from now."""

        def once() -> Process:
            what(*with_)
            yield 0

        return self.start(once(), delay)

    def _push(self, delay: float, task: Task) -> None:
        heapq.heappush(self._agenda, (self.now + max(int(delay * SECOND), 1), next(self._order), task))

    def run(self, until: int) -> None:
        """Let time pass."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, task = heapq.heappop(self._agenda)
            if task.cancelled:
                continue
            delay = next(task.steps, None)
            if delay is not None:
                self._push(delay, task)
        self.now = until

    def uid(self) -> str:
        """A fresh UID."""
        return f"{self.name}-{self.dice.getrandbits(32):08x}-{next(self._uids)}"

    # The apiserver.

    def next_version(self) -> int:
        """The next resourceVersion; they have gaps."""
        self._version += self.dice.choice((1, 1, 1, 2, 5))
        return self._version

    def write(self, verb: str, thing: Object, sight: Sight = NOTHING, request: str = "update") -> None:
        """Commit an object: it gets a version, and every watch will hear of it."""
        meta = thing["metadata"]
        meta["resourceVersion"] = str(self.next_version())
        key = (thing["kind"], meta["uid"])
        names = (meta.get("namespace", ""), meta["name"])
        change = Change(
            self.now, self._version, verb, key[0], key[1], json.dumps(thing, separators=(",", ":")), sight, request,
            names,
        )  # fmt: skip
        self.log.append(change)
        if verb == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = change
        for react in self.controllers:
            react(change)

    def restore(self, at: int) -> None:
        """Put etcd back to what it held at a moment: objects and versions go back; nobody is told."""
        self.objects.clear()
        self.restores.append((at, self.now))
        for change in self.log:
            if change.at <= at:
                self._version = change.version
                if change.verb == "DELETED":
                    self.objects.pop((change.kind, change.uid), None)
                else:
                    self.objects[change.kind, change.uid] = change

    # Nodes.

    def add_node(self, addresses: list[str], way: str, latest: float = 6.0, offset: float = 0.0) -> Node:
        """Add a node with its own pod addresses; writes its Node object and begins its Leases."""
        number = len(self.nodes)
        node = Node(f"node-{number}", f"192.168.77.{number + 10}", Pool(addresses, way, self.dice))
        node.latest, node.offset, node.number = latest, int(offset * SECOND), number
        node.modern = self.dice.random() < 0.6
        self.nodes.append(node)
        self.write("ADDED", self.node_object(node, f"{self.name}-node-{number}"), request="create")
        self.holds.append(Hold(node.ip, [f"{self.name}-node-{number}"], START, kind="node", name=node.name, told=True))
        self.start(self._leases(node), self.dice.uniform(0, 10))
        return node

    def node_object(self, node: Node, uid: str) -> Object:
        """The Node as the API shows it."""
        return {
            "kind": "Node", "apiVersion": "v1",
            "metadata": {"name": node.name, "uid": uid, "creationTimestamp": stamp(START - 86_400 * SECOND),
                         "labels": {"topology.kubernetes.io/zone": f"zone-{node.number % 3}"}},
            "spec": {}, "status": {"addresses": [{"type": "InternalIP", "address": node.ip},
                                                 {"type": "Hostname", "address": node.name}]},
        }  # fmt: skip

    def _leases(self, node: Node) -> Process:
        """The kubelet renews its Lease about every 10 s, with its own clock's time, to the microsecond."""
        while True:
            if not node.cut:
                lease = {
                    "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
                    "metadata": {"name": node.name, "namespace": "kube-node-lease", "uid": f"lease-{node.name}"},
                    "spec": {"holderIdentity": node.name, "renewTime": micro(node.time(self.now))},
                }  # fmt: skip
                yield self.dice.uniform(0.001, 0.02)
                self.write("MODIFIED", lease)
            yield 10 * self.dice.uniform(1, 1.04)

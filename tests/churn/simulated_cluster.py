"""A cluster that knows the truth: pods take and give back addresses, and a watch tells of it late.

Written from how kubelets and apiservers behave, without a look at the inference it is used against. All
randomness comes from one seed. Times are microseconds since 1970.
"""

from __future__ import annotations

import heapq
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SECOND = 1_000_000
START = 1_763_683_200 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def second(us: int) -> str:
    """A time as the kubelet and the apiserver write it into objects: whole seconds, cut off."""
    return (EPOCH + timedelta(seconds=us // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(us: int) -> str:
    """A time as a recorder writes it."""
    return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Held:
    """The truth: this pod held this address in [start, end)."""

    ip: str
    uid: str
    start: int
    end: int


@dataclass
class Pod:
    """A pod with its status as the kubelet has it; what the API has is told by publications."""

    name: str
    uid: str
    node: int
    created: int
    clock: int = 0
    life: int = 0
    grace: int = 30
    version: int = 0
    phase: str = "Pending"
    ip: str = ""
    since: int = 0
    sandbox: tuple[bool, int] | None = None
    started: int | None = None
    finished: int | None = None
    restarts: int = 0
    before: tuple[int, int] | None = None
    ready: tuple[bool, int] | None = None
    deletion: tuple[int, int] | None = None
    gone: bool = False

    def json(self) -> dict[str, Any]:
        """The object as the apiserver sends it now."""
        meta: dict[str, Any] = {
            "name": self.name, "namespace": "sim", "uid": self.uid, "creationTimestamp": second(self.created),
            "resourceVersion": str(self.version), "labels": {"app": self.name.split("-")[0]},
        }  # fmt: skip
        if self.deletion:
            meta |= {"deletionTimestamp": second(self.deletion[0]), "deletionGracePeriodSeconds": self.deletion[1]}
        conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": second(self.created)}]
        node = self._node_time
        for kind, seen in (("PodReadyToStartContainers", self.sandbox), ("Ready", self.ready)):
            if seen:
                conditions.append(
                    {"type": kind, "status": "True" if seen[0] else "False", "lastTransitionTime": node(seen[1])}
                )
        status: dict[str, Any] = {"phase": self.phase, "conditions": conditions}
        if self.phase != "Pending" or self.sandbox:
            status["startTime"] = node(self.created)
        if self.ip:
            status |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        if self.finished is not None and self.started is not None:
            state = {"terminated": {"exitCode": 0, "startedAt": node(self.started), "finishedAt": node(self.finished)}}
        elif self.started is not None:
            state = {"running": {"startedAt": node(self.started)}}
        else:
            state = {"waiting": {"reason": "ContainerCreating"}}
        box: dict[str, Any] = {"name": "main", "state": state, "restartCount": self.restarts}
        if self.before:
            times = {"startedAt": node(self.before[0]), "finishedAt": node(self.before[1])}
            box["lastState"] = {"terminated": {"exitCode": 0} | times}
        status["containerStatuses"] = [box]
        spec = {"nodeName": f"node-{self.node}", "containers": [{"name": "main", "image": "sim:1"}]}
        return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}

    def _node_time(self, us: int) -> str:
        """A time as the pod's node writes it, by its own clock."""
        return second(us + self.clock)


@dataclass
class Cluster:
    """Runs the story: `events` are evidence lines in the order of receipt, `truth` who really held what."""

    seed: int
    addresses: int = 20
    nodes: int = 2
    cooldown: float = 0.2
    # By how many seconds each node's clock is ahead (negative: behind), the longest a status is held back,
    # and how often a second a node starts anew, its pods getting addresses in another order.
    clocks: tuple[float, ...] = (0.0, 0.0)
    latest: float = 8.0
    reboots: float = 0.0
    dice: random.Random = field(init=False)
    truth: list[Held] = field(default_factory=list)
    forced: set[str] = field(default_factory=set)
    published: set[tuple[str, int]] = field(default_factory=set)
    _now: int = START
    _agenda: list[tuple[int, int, Any]] = field(default_factory=list)
    _order: int = 0
    _version: int = 1000
    _lines: list[tuple[int, int, str]] = field(default_factory=list)
    _free: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    _sent: int = START
    _running: dict[str, Pod] = field(default_factory=dict)
    _holding: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        for node in range(self.nodes):
            self._free[node] = [(START, f"10.9.{node}.{n + 2}") for n in range(self.addresses)]

    # The clockwork.

    def at(self, delay: float, what: Any, *with_: Any) -> None:
        """Do something some seconds from now."""
        self._order += 1
        heapq.heappush(self._agenda, (self._now + int(delay * SECOND), self._order, (what, with_)))

    def lag(self) -> float:
        """How late a kubelet publishes: 0.3 s in the middle, some seconds at worst."""
        return min(self.dice.lognormvariate(-1.2, 1.0), self.latest)

    def run(self, seconds: float) -> None:
        """Let pods come and go, then end every story that is under way."""
        until = self._now + int(seconds * SECOND)
        for node in range(self.nodes):
            node_object = {"kind": "Node", "apiVersion": "v1", "metadata": {
                "name": f"node-{node}", "uid": f"n{node}", "creationTimestamp": second(START - 3600 * SECOND),
                "resourceVersion": "1"}, "spec": {"podCIDR": f"10.9.{node}.0/24", "podCIDRs": [f"10.9.{node}.0/24"]},
                "status": {"addresses": [{"type": "InternalIP", "address": f"192.168.9.{node + 1}"}]}}  # fmt: skip
            self._say("ADDED", node_object, START - SECOND)
        self.at(0.1, self._arrive, until)
        self._again(until)
        while self._agenda:
            self._now, _, (what, with_) = heapq.heappop(self._agenda)
            what(*with_)
        self._bookmark(self._now + 60 * SECOND)

    def _arrive(self, until: int) -> None:
        if self._now < until:
            self._create()
            self.at(self.dice.expovariate(1.2), self._arrive, until)

    # What the API tells.

    def _say(self, verb: str, thing: dict[str, Any], when: int | None = None) -> None:
        received = max(self._sent + 1, (self._now if when is None else when) + self.dice.randrange(1000, 8000))
        self._sent = received
        self._lines.append(
            (received, len(self._lines), json.dumps({"type": verb, "object": thing, "received": micro(received)}))
        )

    def _bookmark(self, when: int) -> None:
        thing = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(self._version)}}
        self._say("BOOKMARK", thing, when)

    def lines(self) -> list[str]:
        """The evidence, in the order of receipt."""
        return [line for _, _, line in sorted(self._lines)]

    def publish(self, pod: Pod, verb: str = "MODIFIED") -> None:
        """Write the pod's state of now to the API (an apiserver write, seen by the watch at once)."""
        if pod.gone:
            return
        self._version += 1
        pod.version = self._version
        if pod.ip:
            self.published.add((pod.uid, pod.since))
        self._say(verb, pod.json())

    def report(self, pod: Pod) -> None:
        """The kubelet publishes: some time from now, and then only the newest state."""
        self.at(self.lag(), self.publish, pod)

    # Addresses.

    def take(self, pod: Pod) -> bool:
        """CNI ADD: the truth of the hold begins."""
        free = [one for one in self._free[pod.node] if one[0] <= self._now]
        if not free:
            return False
        entry = self.dice.choice(free) if self.dice.random() < 0.3 else min(free)
        self._free[pod.node].remove(entry)
        pod.ip, pod.since = entry[1], self._now
        self._holding[pod.uid, pod.ip] = self._now
        return True

    def give_back(self, pod: Pod, ip: str) -> None:
        """CNI DEL: the truth of the hold ends."""
        self.truth.append(Held(ip, pod.uid, self._holding.pop((pod.uid, ip)), self._now))
        ready = self._now + int(self.dice.uniform(0, self.cooldown) * SECOND)
        self._free[pod.node].append((ready, ip))

    # A pod's life.

    def _create(self) -> None:
        self._order += 1
        pod = Pod(
            f"app{self.dice.randrange(5)}-{self._order}",
            f"uid-{self._order}",
            self.dice.randrange(self.nodes),
            self._now,
        )
        pod.clock = int(self.clocks[pod.node] * SECOND)
        self.publish(pod, "ADDED")
        self.at(self.dice.uniform(0.05, 0.8), self._sandbox, pod, 0)

    def _sandbox(self, pod: Pod, tries: int) -> None:
        if not self.take(pod):
            self.at(0.5, self._sandbox, pod, tries + 1)
            return
        pod.sandbox = (True, self._now + self.dice.randrange(1000, 200_000))
        slow_pull = self.dice.random() < 0.1
        if slow_pull:
            self.report(pod)
        self.at(self.dice.uniform(3, 9) if slow_pull else self.dice.uniform(0.2, 1.5), self._started, pod)

    def _started(self, pod: Pod) -> None:
        if pod.started is not None and pod.finished is not None:
            pod.before, pod.restarts = (pod.started, pod.finished), pod.restarts + 1
        pod.started, pod.phase, pod.ready = self._now, "Running", (True, self._now)
        pod.finished = None
        self.report(pod)
        story = self.dice.choices(
            [self._complete, self._delete, self._force, self._recreate, self._flash, self._lost], [30, 38, 8, 12, 10, 2]
        )[0]
        life = self.dice.uniform(0.05, 0.6) if story == self._flash else self.dice.uniform(1, 25)
        pod.life += 1
        self._running[pod.uid] = pod
        self.at(life, self._unless_other, pod, pod.life, story)

    def _unless_other(self, pod: Pod, life: int, story: Any) -> None:
        """A story that was meant for a sandbox that is gone does not happen."""
        if pod.life == life:
            self._running.pop(pod.uid, None)
            story(pod)

    def _reboot(self, until: int) -> None:
        """All pods of a node lose their sandboxes at once, and get others, soon, in any order."""
        node = self.dice.randrange(self.nodes)
        for pod in [one for one in self._running.values() if one.node == node]:
            self._running.pop(pod.uid)
            pod.life += 1
            pod.finished = self._now
            self._between(pod, pod.ip)
        self._again(until)

    def _again(self, until: int) -> None:
        if self.reboots and self._now < until:
            self.at(self.dice.expovariate(self.reboots), self._reboot, until)

    def _lost(self, pod: Pod) -> None:
        """The node is cut off: the pod is asked to go, and goes on until the node is back, long after its grace."""
        pod.deletion = (self._now + 30 * SECOND, 30)
        self.publish(pod)
        self.at(self.dice.uniform(40, 90), self._stopped, pod)

    def _complete(self, pod: Pod) -> None:
        """A Job: containers end, the address goes back, the terminal status keeps podIP."""
        pod.finished = self._now
        ip = pod.ip
        release = self.dice.uniform(0.02, 0.5)
        self.at(release, self.give_back, pod, ip)
        self.at(release + 0.001, self._terminal, pod)

    _flash = _complete

    def _terminal(self, pod: Pod) -> None:
        pod.phase = "Succeeded"
        pod.ready = (False, self._now)
        pod.sandbox = (False, self._now)
        self.report(pod)
        self.at(self.dice.uniform(10, 60), self._vanish, pod)

    def _vanish(self, pod: Pod) -> None:
        if not pod.gone:
            pod.deletion = (self._now, 0)
            self._version += 1
            pod.version = self._version
            self._say("DELETED", pod.json())
            pod.gone = True

    def _delete(self, pod: Pod) -> None:
        """Graceful: the request is seen at once, traffic goes on, DELETED comes after the release."""
        pod.grace = self.dice.choice([2, 5, 30])
        pod.deletion = (self._now + pod.grace * SECOND, pod.grace)
        self.publish(pod)
        self.at(self.dice.uniform(0.1, pod.grace), self._stopped, pod)

    def _stopped(self, pod: Pod) -> None:
        pod.finished = self._now
        ip = pod.ip
        release = self.dice.uniform(0.02, 0.6)
        self.at(release, self.give_back, pod, ip)
        self.at(release + 0.002, self._last_words, pod)

    def _last_words(self, pod: Pod) -> None:
        pod.phase = "Succeeded"
        pod.sandbox = (False, self._now)
        late = self.lag()
        # A finalizer may hold the object for minutes; then there is time for the last status to be published.
        held = self.dice.uniform(30, 120) if self.dice.random() < 0.1 else 0
        if held or self.dice.random() < 0.6:
            self.at(late, self.publish, pod)
        self.at(late + held + self.dice.uniform(0.002, 0.4), self._vanish, pod)

    def _force(self, pod: Pod) -> None:
        """Force delete: the object goes at once, the containers do not."""
        self.forced.add(pod.uid)
        pod.deletion = (self._now, 0)
        self.publish(pod)
        self.at(0.003, self._vanish, pod)
        self.at(self.dice.uniform(0.5, 12), self._silent_end, pod, pod.ip)

    def _silent_end(self, pod: Pod, ip: str) -> None:
        self.give_back(pod, ip)

    def _recreate(self, pod: Pod) -> None:
        """The sandbox dies and is made anew: same UID, another address, or the same."""
        pod.finished = self._now
        self.at(self.dice.uniform(0.02, 0.3), self._between, pod, pod.ip)

    def _between(self, pod: Pod, ip: str) -> None:
        self.give_back(pod, ip)
        pod.sandbox = (False, self._now)
        pod.ready = (False, self._now)
        pod.ip = ""
        self.report(pod)
        self.at(self.dice.uniform(0.3, 3), self._sandbox, pod, 0)

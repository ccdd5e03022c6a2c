"""A pod as its kubelet knows it, and as the API shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.churn.times import stamp
from bench.churn.truth import Hold, Sight
from bench.churn.world import Node, Object, Task


@dataclass
class Plan:
    """How a pod's life goes; times in seconds. What a story does not say is left to the dice."""

    bind: float = 0.02
    notice: float = 0.05
    sandbox: float = 0.1
    pull: float = 0.5
    life: float | None = None  # until its containers end by themselves; None: they do not
    fails: bool = False
    stop: float = 0.3  # from the request to the end of the containers, at most the grace
    release: float = 0.1  # from the end of the containers to CNI DEL
    lag: Callable[[], float] | None = None
    wanted: tuple[str, ...] = ()
    ready_first: bool = False  # the sandbox's condition is written before the address is known
    annotate: bool = False  # Calico's annotations
    blanks: bool = False  # 1.27 to 1.30: the terminal write has no address, a later one has it again
    finalizer: float = 0.0
    keep: float | None = None  # a finished pod is deleted so long after; None: the dice say
    force_kill: float = 3.0
    between: float = 0.5  # from a sandbox's end to the next
    focus: bool = False
    mumble: bool = False  # a status with ended containers, before the address is given back


@dataclass(eq=False)
class Pod:
    """State of a pod. Times in `stamps` are the node's, those in `run` true."""

    name: str
    namespace: str
    uid: str
    node: Node
    created: int
    plan: Plan
    labels: dict[str, str]
    owner: dict[str, Any] | None = None
    host_network: bool = False
    static: str = ""
    ports: tuple[int, ...] = ()
    holds: list[Hold] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    bound: int | None = None
    started_at: int | None = None
    sandbox: tuple[bool, int] | None = None
    ready: tuple[bool, int] | None = None
    run: tuple[int, int | None] | None = None
    run_stamps: tuple[int, int | None] | None = None
    before: tuple[int, int] | None = None
    restarts: int = 0
    phase: str = "Pending"
    deletion: tuple[int, int] | None = None
    notes: dict[str, str] = field(default_factory=dict)
    gone: bool = False
    task: Task | None = None
    composed: tuple[Object, Sight] | None = None
    pending: bool = False
    published: tuple[Object, Sight] | None = None
    then: Callable[[], Any] | None = None
    sandboxes: int = 0
    spell: Callable[[str], str] = str
    odd: bool = False
    past: list[Hold] = field(default_factory=list)
    # Its last run is over since (true time, stamp), and its status does not say so yet.
    died: tuple[int, int] | None = None
    # Its sandbox is being made anew: its kubelet does nothing else with it meanwhile.
    renewed: bool = False

    def compose(self) -> tuple[Object, Sight]:
        """The status as the kubelet would write it now, and what it shows."""
        status: Object = {"phase": self.phase, "conditions": self._conditions()}
        if self.started_at is not None:
            status["startTime"] = stamp(self.started_at)
            status["hostIP"] = self.node.ip
        if self.shown:
            words = [self.spell(ip) for ip in self.shown]
            status |= {"podIP": words[0], "podIPs": [{"ip": ip} for ip in words]}
        if not self.host_network or self.run or self.sandbox:
            status["containerStatuses"] = [self._box()]
        return status, self._sight()

    def _conditions(self) -> list[Object]:
        found: list[Object] = []
        if self.bound is not None:
            found.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(self.bound)})
        if self.started_at is not None:
            found.append({"type": "Initialized", "status": "True", "lastTransitionTime": stamp(self.started_at)})
        for kind, seen in (("PodReadyToStartContainers", self.sandbox), ("Ready", self.ready)):
            if seen:
                word = "True" if seen[0] else "False"
                found.append({"type": kind, "status": word, "lastTransitionTime": stamp(seen[1])})
        return found

    def _box(self) -> Object:
        state: Object = {"waiting": {"reason": "ContainerCreating"}}
        if self.run_stamps:
            began, ended = self.run_stamps
            state = {"running": {"startedAt": stamp(began)}}
            if ended is not None:
                code = 1 if self.plan.fails else 0
                state = {"terminated": {"exitCode": code, "startedAt": stamp(began), "finishedAt": stamp(ended)}}
        box: Object = {"name": "main", "image": "registry.example/app:1", "ready": bool(self.ready and self.ready[0]),
                       "restartCount": self.restarts, "state": state}  # fmt: skip
        if self.before:
            times = {"startedAt": stamp(self.before[0]), "finishedAt": stamp(self.before[1])}
            box["lastState"] = {"terminated": {"exitCode": 0} | times}
        return box

    def _sight(self) -> Sight:
        """What this status proves to somebody who can read it."""
        alive = tuple(one for one in self.holds if one.ip in self.shown)
        running = bool(self.run and self.run[1] is None and self.run_stamps and alive and not self.died)
        # Runs of earlier sandboxes are told of too: only in a first sandbox, or while it runs, is it plain whose it is.
        plain = bool(self.run and (running or self.sandboxes == 1) and not self.died)
        over = tuple(one for one in self.past if one not in alive)
        began, ended = self.run if plain and self.run else (None, None)
        ran_in = alive or (over if self.sandboxes == 1 else ())
        return Sight(self.uid, alive, over, tuple(self.shown), ran_in, running, began, ended)

    def json(self) -> Object:
        """The object as the API has it: its spec and what was last published."""
        meta: Object = {"name": self.name, "namespace": self.namespace, "uid": self.uid,
                        "creationTimestamp": stamp(self.created), "labels": dict(self.labels)}  # fmt: skip
        if self.notes:
            meta["annotations"] = dict(self.notes)
        if self.owner:
            meta["ownerReferences"] = [self.owner | {"controller": True}]
        if self.deletion:
            meta["deletionTimestamp"] = stamp(self.deletion[0])
            meta["deletionGracePeriodSeconds"] = self.deletion[1]
        if self.plan.finalizer and not self.gone:
            meta["finalizers"] = ["example.com/wait"]
        box: Object = {"name": "main", "image": "registry.example/app:1"}
        if self.ports:
            box["ports"] = [{"containerPort": port, "hostPort": port, "protocol": "TCP"} for port in self.ports]
        spec: Object = {"containers": [box], "serviceAccountName": f"sa-{self.labels.get('app', 'x')}"}
        if self.host_network:
            spec["hostNetwork"] = True
        if self.bound is not None:
            spec["nodeName"] = self.node.name
        status: Object = dict(self.published[0]) if self.published else {"phase": "Pending"}
        if not self.published and self.bound is not None:
            status["conditions"] = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(self.bound)}]
        if self.odd:
            spec["containers"], status = None, status | {"initContainerStatuses": None}
            status["conditions"] = [*status.get("conditions", []), {"type": "ContainersReady"}]
        return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}

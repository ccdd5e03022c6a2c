"""How pods live: shapes of lives drawn from a seed, and the state of a pod with the status a kubelet makes of it.

All times are seconds since the epoch by the node's clock; what is published is cut off to whole seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from support.servers.pods import rfc3339

# shape -> how many of a hundred pods.
SHAPES = {
    "server": 30,  # runs until it is deleted, with grace: traffic goes on during it
    "job": 20,  # completes, and keeps its address in the status until it is removed
    "failed": 4,  # ends by itself as Failed
    "forced": 10,  # deleted with grace 0 while its containers go on
    "moved": 8,  # its sandbox is made anew, with another address
    "renewed": 4,  # its sandbox is made anew, with the same address
    "flash": 8,  # gone within a second; most are never published
    "held": 4,  # a finalizer keeps the object after the pod's end
    "crashing": 4,  # its container starts again and again in one sandbox
    "slow": 4,  # its image is pulled for seconds while it has its address
    "ordinal": 4,  # of a StatefulSet: the next one has its name
}
PUBLICATION_P50_SECONDS = 0.3
PUBLICATION_SPREAD = 1.2  # of the logarithm: p99 is 5 s
PUBLICATION_WORST_SECONDS = 20.0


@dataclass(frozen=True)
class Life:
    """What will become of a pod, drawn from the seed and its number only. Times are durations in seconds."""

    number: int
    shape: str
    node: int
    workload: int
    seen: float
    sandbox: float
    start: float
    runs: float
    grace: int
    shutdown: float
    release: float
    rests: float
    blanked: bool
    tells_end: bool
    modern: bool  # a kubelet of 1.36: the address is told with the first run, that of a lost sandbox once more


def draw(seed: int, number: int, nodes: int, workloads: int, mean_seconds: float, shapes: Sequence[str] = ()) -> Life:
    """Draw the life of a seed's pod, of all shapes or of some.

    Two lives never share a random number: neither timing nor load changes them.
    """
    random = Random(f"{seed}/{number}")
    wanted = list(shapes) or list(SHAPES)
    shape = random.choices(wanted, [SHAPES[one] for one in wanted])[0]
    runs = min(random.expovariate(1 / mean_seconds), 8 * mean_seconds)
    return Life(
        number=number,
        shape=shape,
        node=random.randrange(nodes),
        workload=random.randrange(workloads),
        seen=random.uniform(0.0, 0.15),
        sandbox=random.uniform(0.02, 0.3),
        start=random.uniform(3, 6) if shape == "slow" else random.uniform(0.02, 0.5),
        runs=random.uniform(0.05, 0.5) if shape == "flash" else 0.2 + runs,
        grace=random.choice((1, 2, 5, 8)),
        shutdown=random.uniform(0.0, 0.4) if random.random() < 0.6 else random.uniform(1, 8),
        release=random.choice((0.0, random.uniform(0.0, 0.4), random.uniform(0.4, 1.5))),
        rests=random.uniform(0.5, 12),
        blanked=random.random() < 0.03,
        tells_end=random.random() < 0.5,
        modern=random.random() < 0.6,
    )


def publication_lag(random: Random) -> float:
    """Return how long a change waits until the kubelet writes it, in seconds."""
    lag = PUBLICATION_P50_SECONDS * random.lognormvariate(0, PUBLICATION_SPREAD)
    return min(lag, PUBLICATION_WORST_SECONDS)


@dataclass
class Run:
    """One run of a pod's container."""

    started: float
    finished: float | None = None
    code: int = 0

    def state(self) -> dict[str, Any]:
        """The run as a containerStatus tells it."""
        if self.finished is None:
            return {"running": {"startedAt": rfc3339(self.started)}}
        reason = "Completed" if self.code == 0 else "Error"
        times = {"startedAt": rfc3339(self.started), "finishedAt": rfc3339(self.finished)}
        return {"terminated": {"exitCode": self.code, "reason": reason, **times}}


@dataclass
class Pod:
    """A pod as its node knows it."""

    life: Life
    name: str
    namespace: str
    uid: str
    node: int
    host: str
    phase: str = "Pending"
    address: str | None = None  # held now
    held_since_us: int = 0
    shown: str | None = None  # what the status says, also after the end
    runs: list[Run] = field(default_factory=list)
    since: float = 0.0
    conditions: dict[str, tuple[bool, float]] = field(default_factory=dict)
    terminal: bool = False
    removed: bool = False  # the object was deleted by force, or the kubelet removed it
    deletion_noticed: bool = False
    ending: bool = False  # the kubelet has begun to end it
    stopping: bool = False
    renewed: bool = False  # its sandbox is lost, or made anew
    stale: bool = False  # the last run is over, and the status does not say so yet
    lags: Random = field(default_factory=Random)
    status: dict[str, Any] = field(default_factory=dict)  # the newest version, written or not

    def see(self, now: float) -> None:
        """The kubelet takes the pod up."""
        self.since = now
        self._turn("PodScheduled", True, now)
        self._turn("Initialized", True, now)
        for one in ("PodReadyToStartContainers", "Ready", "ContainersReady"):
            self._turn(one, False, now)

    def network(self, there: bool, now: float) -> None:
        """The sandbox and its network are there, or not any more."""
        self._turn("PodReadyToStartContainers", there, now)

    def begin(self, now: float) -> None:
        """The container starts."""
        self.runs.append(Run(now))
        self.renewed = self.stale = False
        self.phase = "Running"
        self._ready(True, now)

    def finish(self, now: float, code: int = 0) -> None:
        """The container ends, if it runs."""
        if self.runs and self.runs[-1].finished is None:
            self.runs[-1].finished = now
            self.runs[-1].code = code
        self._ready(False, now)

    def _ready(self, ready: bool, now: float) -> None:
        self._turn("Ready", ready, now)
        self._turn("ContainersReady", ready, now)

    def _turn(self, kind: str, true: bool, now: float) -> None:
        if kind not in self.conditions or self.conditions[kind][0] != true:
            self.conditions[kind] = (true, now)

    def version(self, blank: bool = False) -> dict[str, Any]:
        """Make the newest version of the status, to be written when its time comes."""
        shown = None if blank else self.shown
        self.status = {
            "phase": self.phase,
            "hostIP": self.host,
            "hostIPs": [{"ip": self.host}],
            "podIP": shown,
            "podIPs": [{"ip": shown}] if shown else None,
            "startTime": rfc3339(self.since),
            "conditions": [
                {"type": kind, "status": "True" if true else "False", "lastTransitionTime": rfc3339(since)}
                for kind, (true, since) in self.conditions.items()
            ],
            "containerStatuses": [self._container()],
        }
        return self.status

    def _container(self) -> dict[str, Any]:
        state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        told = {"name": "c", "image": "example/c:1", "imageID": "", "restartCount": max(0, len(self.runs) - 1)}
        if self.runs and self.stale:
            state = Run(self.runs[-1].started).state()
        elif self.runs:
            state = self.runs[-1].state()
        elif self.terminal:  # deleted before it started: nobody knows when it ended
            state = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}}
        last = self.runs[-2].state() if len(self.runs) > 1 else {}
        running = "running" in state
        return {**told, "ready": running, "started": running, "state": state, "lastState": last}

"""Reads a pod's status: addresses, sandbox, container runs, as numbers.

Times the kubelet writes are cut to whole seconds: the truth lies in [t, t + 1 s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from enrich.holds.plugin_addresses import pod_addresses
from enrich.holds.time_bounds import SECOND, UNSEEN
from whowas.addresses import address16
from whowas.kube_annotations import CALICO, MIRROR
from whowas.observation import ContainerStatus, KubeObject, Observation, Status, time_us
from whowas.timestamps import BEFORE_ALL

# Kubernetes is no older, and nobody's clock has come so far: a runtime that never set a time tells of 1, 1754 or 1970,
# or of the ends of 64 bits in nanoseconds (1677, 2262). Such a time is none, and proves nothing of a clock.
OLDEST, NEWEST = (time_us(f"{year}-01-01T00:00:00Z") or 0 for year in (2014, 2200))


def node_time(text: str | None) -> int | None:
    """Return a time that a node wrote, in us; None for one that was never set."""
    us = time_us(text)
    return us if us is not None and OLDEST <= us < NEWEST else None


class Run(NamedTuple):
    """One run of a container: times in us, None while it goes on."""

    started: int
    finished: int | None
    restarts: int

    def key(self) -> tuple[int, int]:
        """What tells this run from others of the pod."""
        return self.started, self.restarts


@dataclass(slots=True)
class PodStatus:
    """One observation of a pod, taken apart.

    upper: when it was received. ips: addresses with their networks, "" the cluster's own. sandbox: whether it is
    ready, and since when. own: runs that were certainly in the sandbox shown. floor: not before this could the pod
    have an address. terminal: the kubelet says it is over. ahead, behind: by how much (us) the node's clock must be
    off at least: it wrote times later than the receipt, or had the pod run before it was made.
    """

    upper: int | None
    ips: dict[bytes, str]
    sandbox: tuple[bool, int] | None
    runs: list[Run]
    own: list[Run]
    running: bool
    terminal: bool
    floor: int
    ahead: int
    behind: int


def read_status(thing: KubeObject, status: Status, seen: Observation) -> PodStatus:
    """Read what bounds holds out of one status."""
    sandbox = None
    created = time_us(thing.metadata.creationTimestamp) if thing.metadata else None
    if thing.metadata is not None and MIRROR in (thing.metadata.annotations or ()):
        # A mirror is made anew, with another UID, while the static pod behind it runs on.
        created = None
    floor = max(created or BEFORE_ALL, (node_time(status.startTime) or BEFORE_ALL) - UNSEEN)
    for one in status.conditions or ():
        if one.type == "PodReadyToStartContainers":
            at = node_time(one.lastTransitionTime)
            sandbox = None if at is None else (one.status == "True", at)
        elif one.type == "PodScheduled" and one.status == "True":
            floor = max(floor, time_us(one.lastTransitionTime) or BEFORE_ALL)
    found: list[Run] = []
    for boxes in (status.containerStatuses, status.initContainerStatuses):
        if boxes:
            _runs(boxes, found)
    running = _running(status)
    # A terminal phase with a container still running was written by a controller, not by the kubelet.
    terminal = not running and status.phase in ("Succeeded", "Failed") and status.reason != "NodeLost"
    own = _own_runs(found, sandbox, terminal and not status.reason)
    clock = [run.started if run.finished is None else run.finished for run in found]
    if sandbox is not None:
        clock.append(sandbox[1])
    ahead = max(clock) - seen.received_us if clock and seen.received_us is not None else 0
    # Both times are cut: a whole second earlier is certainly earlier, if only by a moment.
    behind = max(created - min(clock) - SECOND, 1) if clock and created and created - min(clock) >= SECOND else 0
    return PodStatus(
        seen.received_us, _addresses(thing, status, running), sandbox, found, own, running, terminal, floor,
        max(ahead, 0), behind,
    )  # fmt: skip


def _runs(boxes: list[ContainerStatus], found: list[Run]) -> None:
    """Add every run of a container that the status tells of."""
    for box in boxes:
        restarts = box.restartCount or 0
        for state, number in ((box.state, restarts), (box.lastState, restarts - 1)):
            ran = (state.running or state.terminated) if state is not None else None
            started = node_time(ran.startedAt) if ran is not None else None
            if state is None or ran is None or started is None:
                continue
            finished = None if state.running is not None else node_time(ran.finishedAt)
            if finished is not None or state.running is not None:
                found.append(Run(started, finished, number))


def _running(status: Status) -> bool:
    """Say whether a container runs, be it told since when or not."""
    boxes = (*(status.containerStatuses or ()), *(status.initContainerStatuses or ()))
    return any(box.state is not None and box.state.running is not None for box in boxes)


def _own_runs(found: list[Run], sandbox: tuple[bool, int] | None, over: bool) -> list[Run]:
    """Return the runs that were in the sandbox shown: a status also tells of runs in sandboxes before it.

    What runs now is in it, and what started since it was ready. In a pod that is over nothing came after the
    latest run. over: the pod ended by itself; what was evicted may have got a sandbox in which nothing ran.
    """
    if sandbox is not None and sandbox[0]:
        return [one for one in found if one.finished is None or one.started >= sandbox[1]]
    if over and any(one.restarts for one in found):
        last = max(one.started for one in found)
        return [one for one in found if one.started == last]
    return found if over else [one for one in found if one.finished is None]


def _addresses(thing: KubeObject, status: Status, running: bool) -> dict[bytes, str]:
    """The pod's addresses: status.podIPs, and what plugins annotate at CNI ADD, before the status says it."""
    words = [one.ip for one in status.podIPs or ()]
    if status.podIP and status.podIP not in words:
        words.append(status.podIP)
    notes = thing.metadata.annotations if thing.metadata else None
    if notes:
        for name in CALICO:
            words += notes.get(name, "").split(",")
        if notes.get(CALICO[0]) == "" and not running and status.phase not in ("Succeeded", "Failed"):
            return {}
    found = {ip: "" for ip in map(address16, words) if ip is not None}
    for ip, network in pod_addresses(notes) if notes else ():
        found.setdefault(ip, network)
    return found

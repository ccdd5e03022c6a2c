"""What was true in a seed: holds from the kubelet, labels, workloads and services as the apiserver told a watcher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.churn.times import read
from bench.churn.truth import NEVER, Hold, Versions
from bench.real_churn.playing import CLUSTER, Recorded
from bench.real_churn.proofs import Told, prove

# The names of the test kubelet's ReplicaSets end so.
HASH = "-5d4f8c7b96"
MIRROR = "kubernetes.io/config.mirror"
SERVICE_NAME = "kubernetes.io/service-name"


@dataclass
class Facts:
    """What the scorer asks of a world.

    lines: the second watcher's, with the cluster's name. told: of each pod, what each of its statuses says. fixed:
    Services and Nodes.
    """

    workloads: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Versions] = field(default_factory=dict)
    services: dict[str, Versions] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    told: dict[str, list[Told]] = field(default_factory=dict)
    fixed: list[Hold] = field(default_factory=list)
    _slices: dict[str, tuple[str, set[str]]] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        """Take in one event of the second watcher."""
        thing, at = event["object"], read(event["received"])
        if event["type"] == "BOOKMARK":
            return
        if thing["kind"] == "Pod":
            self._pod(event["type"], thing, at)
        elif thing["kind"] == "EndpointSlice":
            self._slice(event["type"], thing, at)
        elif event["type"] == "ADDED":
            self._fixed(thing, at)

    def _pod(self, verb: str, pod: dict[str, Any], at: int) -> None:
        meta = pod["metadata"]
        uid = meta["uid"]
        if not pod["spec"].get("hostNetwork"):
            self.told.setdefault(uid, []).append(Told.of(pod["status"], at, verb == "DELETED"))
        owner = next(iter(meta.get("ownerReferences") or ()), None)
        self.workloads[uid] = owner["name"].removesuffix(HASH) if owner else meta["name"]
        # A static pod had its labels before this mirror of it was made.
        since = 0 if MIRROR in meta.get("annotations", ()) and uid not in self.labels else at
        self.labels.setdefault(uid, Versions()).put(since, meta.get("labels") or {})

    def _slice(self, verb: str, piece: dict[str, Any], at: int) -> None:
        meta = piece["metadata"]
        _, before = self._slices.pop(meta["uid"], ("", set()))
        now: set[str] = set()
        if verb != "DELETED":
            now = {one["targetRef"]["uid"] for one in piece["endpoints"] or () if one.get("targetRef")}
            self._slices[meta["uid"]] = (meta["labels"][SERVICE_NAME], now)
        for uid in before ^ now:
            behind = sorted({service for service, pods in self._slices.values() if uid in pods})
            self.services.setdefault(uid, Versions()).put(at, ",".join(behind))

    def _fixed(self, thing: dict[str, Any], at: int) -> None:
        """What holds an address for all the time: Services and Nodes."""
        meta, kind = thing["metadata"], thing["kind"].lower()
        if kind == "service":
            addresses = [thing["spec"]["clusterIP"]]
        else:
            addresses = [one["address"] for one in thing["status"].get("addresses") or ()]
        for ip in addresses:
            self.fixed.append(Hold(ip, [meta["uid"]], at, kind=kind, name=meta["name"], told=True))


def facts_of(recorded: Recorded) -> Facts:
    """Read what the second watcher wrote down."""
    found = Facts()
    with recorded.dumb.open() as lines:
        for line in lines:
            found.take(json.loads(line))
            found.lines.append(f'{line.rstrip()[:-1]},"cluster":"{CLUSTER}"}}')
    return found


def holds_of(recorded: Recorded, facts: Facts) -> list[Hold]:
    """Every hold of an address by a pod; `focus` are those of static pods, whose mirrors come and go."""
    return list(_holds(recorded.truth, facts))


def _holds(path: Path, facts: Facts) -> Iterator[Hold]:
    with path.open() as lines:
        for line in lines:
            one = json.loads(line)
            uids = one.get("uids") or [one["uid"]]
            end = NEVER if one["end_us"] is None else one["end_us"]
            hold = Hold(one["ip"], uids, one["start_us"], end, name=one["name"], node=one["node"])
            hold.focus = "uids" in one
            for uid in uids:
                prove(hold, facts.told.get(uid, []))
            yield hold

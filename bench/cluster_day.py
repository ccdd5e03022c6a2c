"""A day of a made-up cluster: who held which of its addresses when, and the evidence a recorder kept.

Addresses are handed from pod to pod all day. The same numbers give the same bytes at every run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DAY_START_US = 1_795_132_800_000_000  # 2026-11-20 00:00 UTC
DAY_US = 86_400_000_000
PODS_PER_NODE = 50
DEPLOYMENTS = 500
SPACES = ("shop", "data", "batch", "media", "search", "billing", "auth", "web")
# An address stays free between two holders for at least this long; kubelet times are whole seconds.
FREE_US = (2_000_000, 30_000_000)
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Day:
    """Holds of the day. Hold number h is pod h.

    `slot` (h,) int32: which of the addresses; `start`, `end` (h,) int64: us since epoch, when the address was
    given and taken back; rows of one slot lie together, in time order; slot s has rows first[s] .. first[s+1].
    """

    slot: NDArray[np.int32]
    start: Times
    end: Times
    first: NDArray[np.int64]

    @property
    def slots(self) -> int:
        return len(self.first) - 1

    def holder(self, slot: NDArray[np.int64], at: Times) -> NDArray[np.int64]:
        """The hold of each slot at each time; -1 when the address was free."""
        # One sorted axis for all slots: slot number times the day's length, plus the time into the day.
        axis = self.slot.astype(np.int64) * (2 * DAY_US) + (self.start - DAY_START_US)
        row = np.searchsorted(axis, slot * (2 * DAY_US) + (at - DAY_START_US), side="right") - 1
        row = np.maximum(row, 0)
        held = (self.slot[row] == slot) & (self.start[row] <= at) & (at < self.end[row])
        return np.where(held, row, -1)


def make_day(holds: int, slots: int, seed: int = 1) -> Day:
    """Hand `slots` addresses out `holds` times over the day, to one pod after another."""
    random = np.random.default_rng(seed)
    each = np.full(slots, holds // slots, dtype=np.int64)
    each[: holds % slots] += 1
    first = np.concatenate([[0], np.cumsum(each)])
    slot = np.repeat(np.arange(slots, dtype=np.int32), each)
    free = random.integers(*FREE_US, holds)
    length = np.maximum(random.exponential(1.0, holds), 0.05)
    # Scale the lives of each slot so that lives and gaps fill the day.
    lives = np.add.reduceat(length, first[:-1])
    room = DAY_US - np.add.reduceat(free, first[:-1])
    length = (length * np.repeat(room / lives, each)).astype(np.int64)
    behind = np.cumsum(free + length)
    before = np.concatenate([[0], behind[first[1:-1] - 1]])
    end = DAY_START_US + behind - np.repeat(before, each)
    return Day(slot, end - length, end, first)


def address(slot: int) -> str:
    """Text of an address: 10.244.NODE.LAST; from the 256th node on, 10.245 and up."""
    return f"{_range(slot // PODS_PER_NODE)}.{slot % PODS_PER_NODE + 10}"


def _range(node: int) -> str:
    return f"10.{244 + node // 256}.{node % 256}"


def node_address(number: int) -> str:
    return f"192.168.{number // 250}.{number % 250 + 1}"


def _second(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micros(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{us % 1_000_000:06d}Z"


def _uid(kind: int, number: int) -> str:
    return str(uuid.UUID(int=(kind << 96) | (number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF), version=4))


def write_evidence(path: Path, day: Day, stages: tuple[str, ...] = ("made", "runs", "ends", "gone")) -> int:
    """Write the day as evidence lines in order of receipt. Returns: lines written."""
    lines = 0
    with path.open("w", encoding="utf-8", buffering=1 << 20) as out:
        for line in _fixed(day):
            out.write(line)
            lines += 1
        for moment, hold, stage in _events(day, stages):
            out.write(_pod_line(day, moment, hold, stage, lines))
            lines += 1
        out.write(_bookmark(DAY_START_US + DAY_US + 60_000_000, lines))
    return lines + 1


def _events(day: Day, stages: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    """(received us, hold, stage), in order: made before the start, published 0.1 to 0.8 s after each fact."""
    random = np.random.default_rng(2)
    count = len(day.start)
    lag = random.integers(100_000, 800_000, (2, count))
    times = {
        "made": day.start - 400_000,
        "runs": day.start + 300_000 + lag[0],
        "ends": day.end + lag[1],
        "gone": day.end + lag[1] + 60_000,
    }
    received = np.concatenate([times[stage] for stage in stages])
    order = np.argsort(received, kind="stable")
    for place in order.tolist():
        yield int(received[place]), place % count, stages[place // count]


def _fixed(day: Day) -> Iterator[str]:
    """Nodes and ReplicaSets, listed at the day's start."""
    moment, created = _micros(DAY_START_US - 3_600_000_000), _second(DAY_START_US - 9 * DAY_US)
    for number in range((day.slots - 1) // PODS_PER_NODE + 1):
        yield (
            f'{{"type":"ADDED","object":{{"kind":"Node","apiVersion":"v1","metadata":{{"name":"worker-{number}",'
            f'"uid":"{_uid(1, number)}","creationTimestamp":"{created}","resourceVersion":"{number + 1}",'
            f'"labels":{{"topology.kubernetes.io/zone":"{"abc"[number % 3]}"}}}},'
            f'"spec":{{"podCIDR":"{_range(number)}.0/24","podCIDRs":["{_range(number)}.0/24"]}},'
            f'"status":{{"addresses":[{{"type":"InternalIP","address":"{node_address(number)}"}}]}}}},'
            f'"received":"{moment}","cluster":"bench"}}\n'
        )
    for number in range(DEPLOYMENTS):
        yield (
            f'{{"type":"ADDED","object":{{"kind":"ReplicaSet","apiVersion":"apps/v1","metadata":{{'
            f'"name":"app-{number}-7d9f8b6c5","namespace":"{SPACES[number % len(SPACES)]}","uid":"{_uid(2, number)}",'
            f'"creationTimestamp":"{created}","resourceVersion":"{1000 + number}","ownerReferences":[{{'
            f'"apiVersion":"apps/v1","kind":"Deployment","name":"app-{number}","uid":"{_uid(3, number)}",'
            f'"controller":true}}]}}}},"received":"{moment}","cluster":"bench"}}\n'
        )


def _bookmark(moment: int, version: int) -> str:
    return (
        f'{{"type":"BOOKMARK","object":{{"kind":"Pod","apiVersion":"v1","metadata":{{"resourceVersion":"{version}"}}}},'
        f'"received":"{_micros(moment)}","cluster":"bench"}}\n'
    )


def _condition(kind: str, status: str, us: int) -> str:
    return f'{{"type":"{kind}","status":"{status}","lastProbeTime":null,"lastTransitionTime":"{_second(us)}"}}'


def _pod_line(day: Day, moment: int, hold: int, stage: str, version: int) -> str:
    slot, start, end = int(day.slot[hold]), int(day.start[hold]), int(day.end[hold])
    app, created, started = hold % DEPLOYMENTS, start - 400_000, start + 300_000
    node = slot // PODS_PER_NODE
    deletion = ""
    if stage == "gone":
        deletion = f'"deletionTimestamp":"{_second(end)}","deletionGracePeriodSeconds":0,'
    owner = (
        f'{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"app-{app}-7d9f8b6c5","uid":"{_uid(2, app)}",'
        f'"controller":true,"blockOwnerDeletion":true}}'
    )
    verb = {"made": "ADDED", "gone": "DELETED"}.get(stage, "MODIFIED")
    return (
        f'{{"type":"{verb}","object":{{"kind":"Pod","apiVersion":"v1","metadata":{{'
        f'"name":"app-{app}-7d9f8b6c5-{hold:05x}","generateName":"app-{app}-7d9f8b6c5-",'
        f'"namespace":"{SPACES[app % len(SPACES)]}","uid":"{_uid(4, hold)}","resourceVersion":"{version + 10_000}",'
        f'"creationTimestamp":"{_second(created)}",{deletion}'
        f'"labels":{{"app":"app-{app}","team":"team-{app % 20}","pod-template-hash":"7d9f8b6c5"}},'
        f'"ownerReferences":[{owner}]}},'
        f'"spec":{{"nodeName":"worker-{node}","serviceAccountName":"app-{app}","restartPolicy":"Always",'
        f'"containers":[{{"name":"main","image":"registry.example/app-{app}:4.2",'
        f'"ports":[{{"containerPort":8080,"protocol":"TCP"}}],"resources":{{"limits":{{"cpu":"1","memory":"1Gi"}}}}}}]}},'
        f'"status":{_status(stage, slot, node, created, start, started, end)}}},'
        f'"received":"{_micros(moment)}","cluster":"bench"}}\n'
    )


def _status(stage: str, slot: int, node: int, created: int, start: int, started: int, end: int) -> str:
    host = node_address(node)
    if stage == "made":
        conditions = _condition("PodScheduled", "True", created)
        return f'{{"phase":"Pending","conditions":[{conditions}],"qosClass":"Burstable"}}'
    over = stage in ("ends", "gone")
    word = "False" if over else "True"
    conditions = ",".join(
        [
            _condition("PodReadyToStartContainers", word, end if over else start),
            _condition("Initialized", "True", created),
            _condition("Ready", word, end if over else started),
            _condition("ContainersReady", word, end if over else started),
            _condition("PodScheduled", "True", created),
        ]
    )
    state = f'"running":{{"startedAt":"{_second(started)}"}}'
    if over:
        state = (
            f'"terminated":{{"exitCode":0,"reason":"Completed","startedAt":"{_second(started)}",'
            f'"finishedAt":"{_second(end - 50_000)}"}}'
        )
    return (
        f'{{"phase":"{"Succeeded" if over else "Running"}","conditions":[{conditions}],"hostIP":"{host}",'
        f'"hostIPs":[{{"ip":"{host}"}}],"podIP":"{address(slot)}","podIPs":[{{"ip":"{address(slot)}"}}],'
        f'"startTime":"{_second(created)}","containerStatuses":[{{"name":"main","state":{{{state}}},"lastState":{{}},'
        f'"ready":{"false" if over else "true"},"restartCount":0,"image":"registry.example/app:4.2",'
        f'"imageID":"registry.example/app@sha256:{node:064x}","containerID":"containerd://{slot:064x}",'
        f'"started":{"false" if over else "true"}}}],"qosClass":"Burstable"}}'
    )

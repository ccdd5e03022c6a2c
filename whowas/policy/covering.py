"""Which pods policies isolate at a moment, by namespace, and which policies are about nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detect.policy.matching import is_about
from detect.policy.model import EGRESS, INGRESS, NETWORK, Pod, Policy
from detect.policy.moments import Judge
from enrich.history.history import ClusterHistory
from enrich.holds.derive import POD

DIRECTIONS = (INGRESS, EGRESS)


@dataclass
class Space:
    """A namespace. pods: with addresses of their own. isolated: by direction, how many a NetworkPolicy is about.

    unsure: pods of which that is not known. default_deny: by direction, a policy that isolates every pod and lets
    nothing through; pods: by name, what isolates each in each direction.
    """

    name: str
    pods: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    default_deny: dict[str, str] = field(default_factory=dict)
    unsure: int = 0

    def isolated(self, direction: str) -> int:
        """How many pods are isolated in a direction."""
        return sum(bool(one[direction]) for one in self.pods.values())

    def open(self) -> int:
        """How many pods are isolated in no direction."""
        return sum(not any(one.values()) for one in self.pods.values())

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "namespace": self.name,
            "pods": len(self.pods),
            "isolated_ingress": self.isolated(INGRESS),
            "isolated_egress": self.isolated(EGRESS),
            "open": self.open(),
            "unsure": self.unsure,
            "default_deny": {one: self.default_deny.get(one) for one in DIRECTIONS},
            "by_pod": [{"pod": name, **told} for name, told in sorted(self.pods.items())],
        }


@dataclass
class Coverage:
    """All namespaces of a moment. idle: policies that select no pod. looked: somebody looked at policies then."""

    spaces: list[Space]
    policies: int
    idle: list[str]
    faults: list[str]
    looked: bool
    changing: bool

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "watched": self.looked,
            "changing": self.changing,
            "policies": self.policies,
            "select_nothing": self.idle,
            "unreadable": self.faults,
            "namespaces": [one.to_json() for one in self.spaces],
        }


def cover(known: ClusterHistory, judge: Judge, at_us: int) -> Coverage:
    """Say what is isolated at a moment, as it was then."""
    timeline = judge.timeline
    pods = _pods(known, judge, at_us)
    spaces = {name: Space(name) for name in sorted({one.namespace for one in pods})}
    there = judge.known(tuple(sorted({*timeline.namespaces, *spaces})), at_us, at_us)
    if not there.moments:
        return Coverage([], 0, [], [], timeline.looked(at_us, at_us), True)
    moment = there.moments[-1]
    used: set[tuple[str, str, str]] = set()
    for pod in pods:
        told: dict[str, list[str]] = {}
        for direction in DIRECTIONS:
            about = [(one, is_about(moment, one, pod, direction)) for one in moment.policies]
            used |= {one.key() for one, answer in about if not answer.no}
            told[direction] = [str(one) for one, answer in about if answer.certain and one.tier == NETWORK]
            spaces[pod.namespace].unsure += any(not answer.sure for _, answer in about)
        spaces[pod.namespace].pods[pod.name] = told
    for policy in moment.policies:
        for direction in DIRECTIONS:
            if policy.namespace in spaces and _denies_all(policy, direction):
                spaces[policy.namespace].default_deny.setdefault(direction, str(policy))
    idle = [f"{one.kind} {one}" for one in moment.policies if one.key() not in used]
    faults = [f"{one.kind} {one}: {one.fault}" for one in moment.policies if one.fault]
    return Coverage(
        list(spaces.values()), len(moment.policies), idle, faults, timeline.looked(at_us, at_us),
        len(there.moments) > 1,
    )  # fmt: skip


def _denies_all(policy: Policy, direction: str) -> bool:
    selects_all = policy.pods is not None and not policy.pods.requirements and not policy.fault
    return policy.tier == NETWORK and selects_all and policy.rules(direction) == ()


def _pods(known: ClusterHistory, judge: Judge, at_us: int) -> list[Pod]:
    """Pods that had an address of their own at a moment, as they were then."""
    bounds = known.bounds
    rows = np.flatnonzero((known.kinds == POD) & (bounds[:, 0] <= at_us) & (at_us < bounds[:, 3]))
    found = []
    for entity in np.unique(known.entity_of[rows]).tolist():
        line = judge.timeline.pods.get(known.entities[entity].uid)
        pods = [one for one in line.within(at_us, at_us) if one is not None] if line else []
        found += pods[-1:]
    return found

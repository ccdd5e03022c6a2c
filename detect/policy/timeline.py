"""One cluster's policies, namespaces and pods over time, as evidence told of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from detect.policy.kinds import TIERS, read_or_fault
from detect.policy.lines import Line
from detect.policy.mesh_policies import READERS as MESH_KINDS
from detect.policy.mesh_policies import mesh_or_fault
from detect.policy.model import NAME_LABEL, NamedPort, Pod, Policy
from whowas.arrays import Words
from whowas.observation import KubeObject, Observation, Spec, time_us, version_number
from whowas.timestamps import BEFORE_ALL

SECOND = 1_000_000
# How near to a change nothing is certain: events are on their way, and what enforces policies lags behind them.
NEAR = SECOND
# Bounds are counted with: what is told from `at` on, what until then, and both where what is near counts too.
STEPS = (-NEAR, 0, 1, NEAR + 1)
NEVER: Words = np.empty(0, dtype=np.int64)
# For so long after a silence what comes may still be what was written during it.
CATCHING_UP = 10 * SECOND
GONE = ("DELETED", "VANISHED")
SIGHTS = frozenset(("ADDED", "MODIFIED", "DELETED", "LISTED", "VANISHED"))
POLICY_PARTS = ("tier", "priority", "subject", "podSelector", "policyTypes", "ingress", "egress")
MESH_PARTS = ("selector", "action", "rules", "targetRef", "targetRefs", "mtls", "portLevelMtls")
Labels = dict[str, str]
Spans = list[tuple[int, int]]


class Timeline:
    """Everything that verdicts need of one cluster.

    watched: when somebody looked at NetworkPolicies, and would have told of each. listed: moments at which a list
    showed them. late: by kind, what happened in such a span was not told before its end. mesh, mesh_watched,
    mesh_listed: the same of Istio's policies, which no verdict of a flow goes by.
    """

    def __init__(self) -> None:
        self.pods: dict[str, Line[Pod]] = {}
        self.namespaces: dict[str, Line[Labels]] = {}
        self.policies: dict[str, Line[Policy]] = {}
        self.mesh: dict[str, Line[Policy]] = {}
        self.mesh_watched: dict[str, Spans] = {}
        self.mesh_listed: dict[str, set[int]] = {}
        self.watched: Spans = []
        self.listed: set[int] = set()
        self.heard: set[str] = set()
        self.late: dict[str, Spans] = {}
        self._edges: Words | None = None
        self._epochs: Words | None = None
        self._within: dict[tuple[str, ...], Words] = {}
        self._by_namespace: dict[str, list[Line[Policy]]] | None = None

    def take(self, seen: Observation) -> None:
        """Take in one observation of the cluster; what is of no other kind than these is passed over."""
        kind = seen.object.kind
        if seen.verb == "LATE" and seen.span is not None:
            self.late.setdefault(kind, []).append(seen.span)
        if (kind in TIERS or kind in MESH_KINDS) and seen.verb not in ("LISTED", "GAP"):
            self.heard.add(kind)
        if seen.verb in ("LISTED", "RELISTED") and seen.received_us is not None:
            if kind == "NetworkPolicy":
                self.listed.add(seen.received_us)
            elif kind in MESH_KINDS:
                self.mesh_listed.setdefault(kind, set()).add(seen.received_us)
        meta = seen.object.metadata
        if meta is None or not meta.uid or seen.verb not in SIGHTS or seen.span is not None:
            return
        if not meta.name and seen.verb not in GONE:
            # It was seen, as it was before.
            return
        if kind in TIERS:
            self._policy(self.policies, meta.uid, seen)
        elif kind in MESH_KINDS:
            self._policy(self.mesh, meta.uid, seen)
        elif kind == "Namespace":
            self._namespace(meta.name, seen)
        elif kind == "Pod" and seen.verb not in GONE:
            self._pod(meta.uid, seen)

    def _pod(self, uid: str, seen: Observation) -> None:
        line = self.pods.setdefault(uid, Line())
        if _is_news(line, seen):
            now, before = pod_of(seen.object, line.last()), line.last()
            self._sight(line, before if before is not None and vars(now) == vars(before) else now, seen, BEFORE_ALL)

    def _namespace(self, name: str, seen: Observation) -> None:
        line = self.namespaces.setdefault(name, Line())
        if seen.verb not in GONE and _is_news(line, seen):
            meta = seen.object.metadata
            labels = {NAME_LABEL: name} | ((meta.labels if meta else None) or {})
            before = line.last()
            self._sight(line, before if before == labels else labels, seen, BEFORE_ALL)

    def _policy(self, lines: dict[str, Line[Policy]], uid: str, seen: Observation) -> None:
        line = lines.setdefault(uid, Line())
        before = line.last()
        if not _is_news(line, seen) or (line.values and before is None):
            return
        if meta_name(seen):
            now = policy_of(seen.object)
            # What is deleted is shown as it was last.
            self._sight(line, before if before is not None and vars(now) == vars(before) else now, seen, _created(seen))
        if seen.verb in GONE and line.values:
            self._sight(line, None, seen, BEFORE_ALL)

    def _sight(self, line: Line[Any], now: Any, seen: Observation, begun: int) -> None:
        """Take in what it is. begun: when the object was made, as far as that is known."""
        at = _time(seen)
        if not line.values:
            # Nobody saw it otherwise: it was so since it was made.
            line.add(now, begun, max(begun, min(at, begun + SECOND)) if begun > BEFORE_ALL else _first(now, seen))
        elif now is not line.last():
            line.add(now, self._since(line, seen, at), at)
        else:
            line.shown = max(line.shown, at)
            return
        line.shown = max(line.shown, at)
        self._forget()

    def _forget(self) -> None:
        self._edges = self._epochs = self._by_namespace = None
        self._within = {}

    def _since(self, line: Line[Any], seen: Observation, at: int) -> int:
        """Return since when it may have been so. A list says only that it was otherwise when it was seen last."""
        kind = seen.object.kind
        if seen.verb in ("LISTED", "VANISHED"):
            looked = max((last for _, last in self.watched if last < at), default=BEFORE_ALL) if kind in TIERS else 0
            return min(max(line.shown, looked), at)
        late = [*self.late.get("", ()), *self.late.get(kind, ())]
        return min((low for low, high in late if low < at <= high + CATCHING_UP), default=at)

    def now_watched(self, spans: Spans, late: dict[str, Spans]) -> None:
        """Take over when somebody looked, as it is known now."""
        if (spans, late) != (self.watched, self.late):
            self.watched, self.late = spans, late
            self._forget()

    # Asked

    def knows(self) -> bool:
        """Say whether anybody ever looked at policies."""
        return bool(self.watched or self.listed or self.policies)

    def looked(self, low: int, high: int) -> bool:
        """Say whether somebody looked at policies all the time from low to high."""
        if any(first <= low and high <= last for first, last in self.watched):
            return True
        return any(one - NEAR <= low and high <= one + NEAR for one in self.listed)

    def looked_at_mesh(self, kind: str, low: int, high: int) -> bool:
        """As looked, of a kind of Istio's."""
        if any(first <= low and high <= last for first, last in self.mesh_watched.get(kind, ())):
            return True
        return any(one - NEAR <= low and high <= one + NEAR for one in self.mesh_listed.get(kind, ()))

    def mesh_edges(self) -> Words:
        """Return the times, in order, between which Istio's policies, and who looked at them, stay the same."""
        spans = {at for several in self.mesh_watched.values() for low, high in several for at in (low, high + 1)}
        points = {at + step for several in self.mesh_listed.values() for at in several for step in (-NEAR, NEAR + 1)}
        return _in_order(spans | points, self.mesh.values())

    def epochs(self) -> Words:
        """Return the times, in order, between which policies of all namespaces, and who watched, stay the same."""
        if self._epochs is None:
            spans = {at for span in self.watched for at in (span[0], span[1] + 1)}
            points = {at + step for at in self.listed for step in (-NEAR, NEAR + 1)}
            self._epochs = _in_order(spans | points, self.policies_of(()))
        return self._epochs

    def edges(self) -> Words:
        """Return the times, in order, between which all that is known stays the same."""
        if self._edges is None:
            lines: Iterable[Line[Any]] = chain(self.pods.values(), self.namespaces.values(), self.policies.values())
            self._edges = _in_order(set(self.epochs().tolist()), lines)
        return self._edges

    def edges_of(self, uid: str) -> Words:
        """Return the times, in order, between which what is known of a pod itself stays the same."""
        line = self.pods.get(uid)
        return _in_order(set(), [line] if line is not None else ())

    def edges_around(self, uid: str) -> Words:
        """Return the times, in order, between which a pod's namespace, and the policies there, stay the same."""
        line = self.pods.get(uid)
        spaces = {pod.namespace for pod in line.values if pod is not None} if line else ()
        return self.edges_in(tuple(sorted(spaces)))

    def edges_in(self, namespaces: tuple[str, ...]) -> Words:
        """As edges_around, of some namespaces, their names in order. The same ones have the same array."""
        found = self._within.get(namespaces)
        if found is None:
            if len(namespaces) > 1:
                found = np.unique(np.concatenate([self.edges_in((name,)) for name in namespaces]))
            else:
                lines: list[Line[Any]] = [self.namespaces[name] for name in namespaces if name in self.namespaces]
                found = _in_order(set(), [*lines, *self.policies_of(namespaces)])
            self._within[namespaces] = found
        return found

    def policies_of(self, namespaces: Iterable[str]) -> list[Line[Policy]]:
        """Return the lines of all policies that may be about pods of some namespaces."""
        if self._by_namespace is None:
            self._by_namespace = {}
            for line in self.policies.values():
                one = next((value for value in line.values if value is not None), None)
                if one is not None:
                    self._by_namespace.setdefault(one.namespace, []).append(line)
        known = self._by_namespace
        return [line for name in dict.fromkeys(("", *namespaces)) for line in known.get(name, ())]


def _in_order(times: set[int], lines: Iterable[Line[Any]]) -> Words:
    """Add to times the changes of lines, and either side of each by what is too near."""
    for line in lines:
        for at in line.edges():
            times.update(at + step for step in STEPS)
    return np.array(sorted(times), dtype=np.int64) if times else NEVER


def _first(now: Any, seen: Observation) -> int:
    """Since when a first value certainly held: pods and namespaces for as long as they were there."""
    return _time(seen) if isinstance(now, Policy) else BEFORE_ALL


def meta_name(seen: Observation) -> str:
    """Return the name of what was seen; "" where no more than its UID was told."""
    return seen.object.metadata.name if seen.object.metadata else ""


def _time(seen: Observation) -> int:
    return seen.received_us if seen.received_us is not None else seen.not_before_us


def _created(seen: Observation) -> int:
    meta = seen.object.metadata
    return (time_us(meta.creationTimestamp) if meta else None) or BEFORE_ALL


def _is_news(line: Line[Any], seen: Observation) -> bool:
    """Say whether it is no older than what was told already."""
    meta = seen.object.metadata
    version = version_number(meta.resourceVersion) if meta else None
    if version is not None:
        if version < line.version:
            return False
        line.version = version
    return True


def pod_of(thing: KubeObject, before: Pod | None = None) -> Pod:
    """Return a pod as an object tells of it; of what it leaves out, as it was before."""
    meta, spec = thing.metadata, thing.spec
    assert meta is not None
    ports = before.ports if before else None
    if spec is not None and spec.containers is not None:
        ports = _ports(spec)
    return Pod(
        meta.namespace, meta.name, meta.uid, meta.labels or {}, ports,
        bool(spec.hostNetwork) if spec else bool(before and before.host_network),
        (spec.nodeName if spec else None) or (before.node if before else ""),
        (spec.serviceAccountName if spec else None) or (before.account if before else ""),
    )  # fmt: skip


def _ports(spec: Spec) -> tuple[NamedPort, ...]:
    return tuple(
        NamedPort(port.name or "", port.containerPort, (port.protocol or "TCP").lower())
        for box in spec.containers or ()
        for port in box.ports or ()
        if port.containerPort
    )


def policy_of(thing: KubeObject) -> Policy:
    """Return a policy as an object tells of it."""
    meta, spec = thing.metadata, thing.spec or Spec()
    assert meta is not None
    names = MESH_PARTS if thing.kind in MESH_KINDS else POLICY_PARTS
    parts = {name: getattr(spec, name) for name in names}
    told = {name: value for name, value in parts.items() if value is not None}
    if thing.kind in MESH_KINDS:
        return mesh_or_fault(thing.kind, meta.namespace, meta.name, told)
    if thing.kind == "NetworkPolicy" and spec.podSelector is None:
        # An apiserver always writes it; what whowas 0.1 recorded lacks it, and the rules with it.
        return Policy(thing.kind, meta.namespace, meta.name, ingress=(), egress=(), fault="it was recorded in part")
    return read_or_fault(thing.kind, meta.namespace, meta.name, told)

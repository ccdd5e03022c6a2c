"""A cluster in which policies, labels and namespaces change under flows: what is true, and what a watch tells of it."""

from __future__ import annotations

import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from support.policies import EPOCH, SECOND
from support.policy_worlds import World

from detect.policy.kinds import read_policy
from detect.policy.model import NAME_LABEL, Connection, End, Moment, NamedPort, Pod
from detect.policy.verdicts import decide
from whowas.addresses import address16
from whowas.observation import KubeObject, Observation

LENGTH = 600 * SECOND
# An event is on its way for less than the second in which nothing is certain.
LATENCY = 900_000
KINDS = ("Pod", "Namespace", "NetworkPolicy")
Key = tuple[str, str]
# UID and name, labels or spec; None: it is not there.
State = dict[str, Any] | None


class Change(NamedTuple):
    """What became of an object at a time (us after EPOCH)."""

    at: int
    key: Key
    state: State
    verb: str


class Ask(NamedTuple):
    """A connection at a time."""

    at: int
    source: str
    target: str
    port: int


class Churn:
    """One cluster's ten minutes. latency: the longest that an event is on its way, us."""

    def __init__(self, seed: int, latency: int = LATENCY) -> None:
        self.random = random.Random(f"churn {seed}")
        self._latency, self._made = latency, 0
        self.world = World(seed)
        self.pods = {one.uid: (one, address) for one, address in self.world.pods}
        self.changes: list[Change] = []
        for uid, (one, _) in self.pods.items():
            self._change(-LENGTH, ("Pod", uid), {"labels": dict(one.labels)}, "ADDED")
        for name, labels in self.world.namespaces.items():
            self._change(-LENGTH, ("Namespace", name), {"labels": dict(labels)}, "ADDED")
        for one in self.world.policies:
            self._add_policy(-LENGTH, one)
        self._play()
        self.blind = self._interval()
        self.late = self._interval()

    # The truth

    def _change(self, at: int, key: Key, state: State, verb: str) -> None:
        self.changes.append(Change(at, key, state, verb))

    def _add_policy(self, at: int, told: dict[str, Any]) -> None:
        self._made += 1
        space = told["metadata"]["namespace"]
        state = {"name": f"np{self._made % 7}", "namespace": space, "spec": told["spec"], "made": at}
        self._change(at, ("NetworkPolicy", f"np-{self._made}"), state, "ADDED")

    def _play(self) -> None:
        at = 0
        while at < LENGTH:
            # Some changes come in bursts.
            at += self.random.choice((50_000, 400_000, 5 * SECOND, 9 * SECOND, 20 * SECOND)) + self.random.randrange(
                997
            )
            what = self.random.random()
            if what < 0.3:
                uid = self.random.choice(list(self.pods))
                self._change(at, ("Pod", uid), {"labels": self.world._labels()}, "MODIFIED")
            elif what < 0.5:
                name = self.random.choice(list(self.world.namespaces))
                labels = self.world._labels() | {NAME_LABEL: name}
                self._change(at, ("Namespace", name), {"labels": labels}, "MODIFIED")
            elif what < 0.7:
                self._add_policy(at, self.world._policy(0))
            else:
                self._touch_policy(at)

    def _touch_policy(self, at: int) -> None:
        there = [(key, state) for key, state in self.at(at).items() if key[0] == "NetworkPolicy" and state]
        if not there:
            return
        key, state = self.random.choice(there)
        if self.random.random() < 0.5:
            self._change(at, key, None, "DELETED")
        else:
            self._change(at, key, state | {"spec": self.world._policy(0)["spec"]}, "MODIFIED")

    def at(self, when: int) -> dict[Key, State]:
        """Every object as it was at a time."""
        found: dict[Key, State] = {}
        for one in self.changes[: bisect_right(self.changes, when, key=lambda change: change.at)]:
            found[one.key] = one.state
        return found

    def asks(self, count: int) -> list[Ask]:
        """Connections, half of them near to a change."""
        changes = [one.at for one in self.changes if 5 * SECOND < one.at < LENGTH - 5 * SECOND]
        found = []
        for place in range(count):
            at = self.random.randrange(5 * SECOND, LENGTH - 5 * SECOND)
            if place % 2 and changes:
                at = self.random.choice(changes) + self.random.randrange(-3 * SECOND, 3 * SECOND)
            source, target = self.random.sample(list(self.pods), 2)
            found.append(Ask(at, source, target, self.random.choice((80, 53, 8080, 4711))))
        return found

    def truth(self, ask: Ask) -> str:
        """What the policies in force said of a connection at its very moment."""
        there = self.at(ask.at)
        policies = tuple(
            read_policy("NetworkPolicy", state["namespace"], state["name"], state["spec"])
            for (kind, _), state in there.items()
            if kind == "NetworkPolicy" and state
        )
        labels = {name: state["labels"] for (kind, name), state in there.items() if kind == "Namespace" and state}
        ends = [self._end(uid, there) for uid in (ask.source, ask.target)]
        return decide(Moment(policies, labels), Connection(ends[0], ends[1], ask.port, "tcp")).word

    def _end(self, uid: str, there: dict[Key, State]) -> End:
        pod, address = self.pods[uid]
        state = there["Pod", uid]
        assert state is not None
        made = Pod(pod.namespace, pod.name, uid, state["labels"], pod.ports)
        return End(made, address16(address))

    # What is told of it

    def _interval(self) -> tuple[int, int]:
        begin = self.random.randrange(LENGTH // 10, LENGTH * 8 // 10)
        return begin, begin + self.random.randrange(5 * SECOND, 30 * SECOND)

    def watched(self) -> list[tuple[int, int]]:
        """When somebody looked, us since 1970."""
        low, high = self.blind
        return [(EPOCH, EPOCH + low), (EPOCH + high, EPOCH + LENGTH)]

    def told(self) -> list[Observation]:
        """What a recorder was told, in order of receipt: a list, a watch that went blind, another list, late events."""
        found = [(0, self._seen("LISTED", 0, key, state, 0)) for key, state in self.at(0).items() if state]
        last = dict.fromkeys(KINDS, 0)
        spans = {kind: Observation("LATE", KubeObject(kind=kind), None, 0, None, "churn",
                                   (EPOCH + self.late[0], EPOCH + self.late[1])) for kind in KINDS}  # fmt: skip
        found += [(self.late[1], one) for one in spans.values()]
        low, high = self.blind
        for version, one in enumerate(self.changes):
            if one.at <= 0 or low < one.at <= high:
                continue
            at = max(one.at + self.random.randrange(self._latency), last[one.key[0]])
            if self.late[0] <= at <= self.late[1]:
                at = self.late[1] + self.random.randrange(1, SECOND)
            if low < at <= high:
                # It was on its way when the watch broke: the list shows it.
                continue
            last[one.key[0]] = at
            found.append((at, self._seen(one.verb, at, one.key, one.state or self._before(one), version)))
        before, after = self.at(low - self._latency), self.at(high)
        version = sum(one.at <= high for one in self.changes)
        for key in {**before, **after}:
            state = after.get(key)
            verb = "LISTED" if state else "VANISHED"
            if state or before.get(key):
                found.append((high, self._seen(verb, high, key, state or before[key], version)))
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    def _before(self, change: Change) -> State:
        return self.at(change.at - 1)[change.key]

    def _seen(self, verb: str, at: int, key: Key, state: State, version: int) -> Observation:
        assert state is not None
        kind, uid = key
        meta: dict[str, Any] = {"name": uid, "uid": uid, "resourceVersion": str(version + 1)}
        spec: dict[str, Any] = {}
        if kind == "NetworkPolicy":
            # Whole seconds, cut off, as an apiserver writes them.
            made = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=(EPOCH + state["made"]) // SECOND)
            meta |= {"name": state["name"], "namespace": state["namespace"]}
            meta["creationTimestamp"] = made.strftime("%Y-%m-%dT%H:%M:%SZ")
            spec = {"podSelector": {}} | state["spec"]
        else:
            meta["labels"] = state["labels"]
        if kind == "Pod":
            pod, _ = self.pods[uid]
            meta |= {"name": pod.name, "namespace": pod.namespace}
            spec = {"containers": [{"ports": list(map(_port, pod.ports or ()))}]}
        raw = msgspec.json.encode({"kind": kind, "metadata": meta, "spec": spec})
        thing = msgspec.json.decode(raw, type=KubeObject)
        return Observation(verb, thing, EPOCH + at, EPOCH + at, None, "churn")


def _port(one: NamedPort) -> dict[str, Any]:
    return {"name": one.name, "containerPort": one.number, "protocol": one.protocol.upper()}

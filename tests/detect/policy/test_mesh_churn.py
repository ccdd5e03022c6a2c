"""Istio's policies and the labels of pods change under flows: no mode and no verdict may be wrong about its moment."""

from __future__ import annotations

import os
import random
from bisect import bisect_right
from collections import Counter
from typing import Any, NamedTuple

import msgspec
import pytest
from support.policies import EPOCH, SECOND
from support.policy_flows import end, named

from detect.policy.mesh import Call, authorized, mtls_mode
from detect.policy.mesh_flows import FlowModes
from detect.policy.mesh_moments import Mesh, MeshJudge
from detect.policy.mesh_policies import Authorization, PeerAuthentication, mesh_or_fault
from detect.policy.model import Pod
from detect.policy.moments import Asked, Holder
from detect.policy.timeline import Timeline
from whowas.addresses import address16
from whowas.observation import KubeObject, Observation
from whowas.spiffe import Account, SpiffeId, of_account
from whowas.timestamps import rfc3339

LENGTH = 400 * SECOND
PODS = ("a", "b", "c")
SPACES = ("shop", "istio-system")
KINDS = ("Pod", "AuthorizationPolicy", "PeerAuthentication")
WORLDS = int(os.environ.get("WHOWAS_POLICY_CHURN", "12"))
MARK = "security.istio.io/tlsMode"
Key = tuple[str, str]


def identity(pod: Pod) -> SpiffeId | None:
    return of_account("td", Account(pod.namespace, pod.account)) if pod.labels.get(MARK) == "istio" else None


class Change(NamedTuple):
    at: int
    key: Key
    state: dict[str, Any] | None


class Play:
    """Ten minutes of three pods of namespace shop. latency: the longest that an event is on its way, us."""

    def __init__(self, seed: int, latency: int = 900_000) -> None:
        self.random, self._latency = random.Random(seed), latency
        self.changes = [Change(-LENGTH, ("Pod", one), self._labels()) for one in PODS]
        at, made = 0, 0
        while at < LENGTH:
            at += self.random.choice((60_000, 4 * SECOND, 9 * SECOND)) + self.random.randrange(997)
            what = self.random.choice(KINDS)
            there = [key for key, state in self.at(at).items() if key[0] == what and state]
            if what == "Pod":
                self.changes.append(Change(at, ("Pod", self.random.choice(PODS)), self._labels()))
            elif there and self.random.random() < 0.6:
                gone = self.random.random() < 0.5
                self.changes.append(Change(at, self.random.choice(there), None if gone else self._spec(what)))
            else:
                made += 1
                self.changes.append(Change(at, (what, f"{self.random.choice(SPACES)}/{made}"), self._spec(what)))

    def _labels(self) -> dict[str, Any]:
        return {"app": self.random.choice("xy"), MARK: self.random.choice(("istio", "istio", "istio", "disabled"))}

    def _spec(self, kind: str) -> dict[str, Any]:
        chosen = {"selector": {"matchLabels": {"app": self.random.choice("xy")}}} if self.random.random() < 0.5 else {}
        if kind == "PeerAuthentication":
            return chosen | {"mtls": {"mode": self.random.choice(("STRICT", "PERMISSIVE", "UNSET"))}}
        source = {"principals": [f"*/sa/{self.random.choice(PODS)}"]}
        return chosen | {"action": self.random.choice(("ALLOW", "DENY")), "rules": [{"from": [{"source": source}]}]}

    def at(self, when: int) -> dict[Key, dict[str, Any] | None]:
        found: dict[Key, dict[str, Any] | None] = {}
        for one in self.changes[: bisect_right(self.changes, when, key=lambda change: change.at)]:
            found[one.key] = one.state
        return found

    def truth(self, when: int, source: str, target: str) -> tuple[str, str]:
        """Word of the authorization and the mode; "" where the destination is not in the mesh."""
        there = self.at(when)
        pods = [Pod("shop", one, one, there["Pod", one] or {}, account=one) for one in (source, target)]
        caller, own = map(identity, pods)
        if own is None:
            return "", ""
        told = [(*key, state) for key, state in there.items() if key[0] != "Pod" and state is not None]
        policies = [mesh_or_fault(kind, uid.partition("/")[0], uid, state) for kind, uid, state in told]
        mine = [one for one in policies if isinstance(one, Authorization)]
        peers = [one for one in policies if isinstance(one, PeerAuthentication)]
        call = Call(pods[1], caller, "nobody", None, None, 80, "istio-system")
        return authorized(mine, call).verdict, mtls_mode(peers, pods[1], 80, "istio-system").lower()

    def timeline(self) -> Timeline:
        found, told, last = Timeline(), [], dict.fromkeys(KINDS, 0)
        for version, one in enumerate(self.changes, 1):
            at = max(one.at + self.random.randrange(self._latency), last[one.key[0]]) if one.at > 0 else 0
            last[one.key[0]] = at
            told.append((at, self._seen(version, one, at)))
        for _, seen in sorted(told, key=lambda pair: pair[0]):
            found.take(seen)
        found.now_watched([(EPOCH, EPOCH + LENGTH)], {})
        found.mesh_watched = {kind: [(EPOCH, EPOCH + LENGTH)] for kind in KINDS[1:]}
        return found

    def _seen(self, version: int, one: Change, at: int) -> Observation:
        kind, uid = one.key
        before = self.at(one.at - 1).get(one.key)
        state = one.state or before or {}
        meta: dict[str, Any] = {"name": uid, "namespace": uid.partition("/")[0], "uid": uid}
        made = next(each.at for each in self.changes if each.key == one.key)
        # Whole seconds, cut off, as an apiserver writes them.
        meta["creationTimestamp"] = rfc3339((EPOCH + made) // SECOND * SECOND)
        spec = state
        if kind == "Pod":
            meta |= {"namespace": "shop", "labels": state}
            spec = {"serviceAccountName": uid, "containers": []}
        raw = msgspec.json.encode({"kind": kind, "metadata": meta | {"resourceVersion": str(version)}, "spec": spec})
        verb = "DELETED" if one.state is None else "MODIFIED" if before is not None else "ADDED"
        return Observation(verb, msgspec.json.decode(raw, type=KubeObject), EPOCH + at, EPOCH + at, None, "play")


def wrong(seed: int, count: int, latency: int = 900_000) -> tuple[int, Counter[str]]:
    """Count what is certain and wrong, and all that is said."""
    play = Play(seed, latency)
    timeline, mesh = play.timeline(), Mesh(identity)
    judge, modes = MeshJudge(timeline, mesh), FlowModes(timeline, mesh)
    near = [one.at for one in play.changes if 5 * SECOND < one.at < LENGTH - 5 * SECOND]
    asks = []
    for place in range(count):
        at = play.random.choice(near) + play.random.randrange(-3 * SECOND, 3 * SECOND) if place % 2 else 0
        asks.append((at or play.random.randrange(5 * SECOND, LENGTH - 5 * SECOND), *play.random.sample(PODS, 2)))
    rows = [
        {"src": end(one), "dst": end(other, spiffe_id="spiffe://x/y"), "start_time": EPOCH + at, "dst_port": 80}
        for at, one, other in asks
    ]
    table = named(*rows)
    told = [
        word
        for low, high in ((0, count // 3), (count // 3, count))
        for word in modes.column(table.slice(low, high - low).combine_chunks().to_batches()[0]).to_pylist()
    ]
    mistakes, words = 0, Counter[str]()
    for (at, one, other), mode in zip(asks, told, strict=True):
        address = address16("10.244.1.5")
        when = EPOCH + at
        found = judge.authorized(Asked(Holder(one, address), Holder(other, address), 80, "tcp", when, when))
        assert found is not None
        word, true_mode = play.truth(at, one, other)
        said = found.side.verdict
        words.update((said, mode or "none"))
        mistakes += mode is not None and mode != true_mode
        mistakes += said in ("allowed", "denied", "open") and said != word
    return mistakes, words


@pytest.mark.long
def test_nothing_certain_is_wrong() -> None:
    words = Counter[str]()
    for seed in range(WORLDS):
        mistakes, told = wrong(seed, 200)
        assert mistakes == 0, seed
        words += told
    assert {"allowed", "denied", "open", "indeterminate", "strict", "permissive", "none"} == set(words)
    assert words["indeterminate"] < 0.7 * WORLDS * 200


def test_a_small_play() -> None:
    mistakes, words = wrong(99, 60)
    assert mistakes == 0
    assert words["allowed"] + words["denied"] + words["open"] > 5


def test_what_comes_too_late_is_told_wrong() -> None:
    """So the truth is told apart from what is tested."""
    assert sum(wrong(seed, 120, 6_000_000)[0] for seed in range(4)) > 3

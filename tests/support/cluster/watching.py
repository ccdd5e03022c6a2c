"""A ClusterWatch on a real control plane, and what is compared afterwards."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.servers import pods
from support.servers.api import Api, ApiError
from support.servers.control_plane import ControlPlane, wait_until

from ingest.cluster.watch.api_client import connect
from ingest.cluster.watch.cluster_watch import ClusterWatch
from ingest.cluster.watch.watch_state import WatchOptions
from whowas.observation import Observation

PODS = "/api/v1/namespaces/default/pods"
# The server sends a bookmark 2 s before it ends a watch, so short watches are never silent for long.
QUICK = WatchOptions(
    watch_seconds=(5, 6), connect_seconds=2.0, silence_seconds=4.0, backoff_seconds=(0.1, 0.5), refused_seconds=0.5
)
Event = tuple[str, str, str]


@dataclass
class Watched:
    """A running watch and all it said, by kind and in order."""

    watch: ClusterWatch = field(init=False)
    said: dict[str, list[Observation]] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)

    def put(self, batch: list[Observation]) -> None:
        self.gate.wait()
        for one in batch:
            kind = "Lease" if one.verb == "CLOCK" else one.object.kind
            self.said.setdefault(kind, []).append(one)

    def of(self, kind: str, *verbs: str) -> list[Observation]:
        return [one for one in list(self.said.get(kind, ())) if not verbs or one.verb in verbs]

    def names(self, kind: str, *verbs: str) -> list[str]:
        return [one.object.metadata.name for one in self.of(kind, *verbs) if one.object.metadata]

    def events(self, kind: str = "Pod") -> Counter[Event]:
        found = Counter[Event]()
        for one in self.of(kind, "ADDED", "MODIFIED", "DELETED"):
            assert one.object.metadata is not None
            found[one.verb, one.object.metadata.uid, one.object.metadata.resourceVersion or ""] += 1
        return found

    def missing(self, writes: list[Write]) -> list[Write]:
        """The writes that were neither shown nor fell into a gap that was told."""
        versions = {one.object.metadata.resourceVersion for one in self.of("Pod") if one.object.metadata}
        gaps = [one.span for one in self.of("Pod", "GAP") if one.span]
        return [
            one
            for one in writes
            if one.version not in versions and not any(start <= one.at_us <= end for start, end in gaps)
        ]

    def standing(self, kind: str = "Pod") -> set[str]:
        """The UIDs of all that stands by now, as whoever stores this would have it."""
        there: set[str] = set()
        listed: dict[str, int | None] = {}
        for one in self.of(kind):
            uid = one.object.metadata.uid if one.object.metadata else ""
            if one.verb == "LISTED":
                listed[uid] = one.received_us
                there.add(uid)
            elif one.verb == "RELISTED":
                there = {uid for uid in there if listed.get(uid) == one.received_us}
            elif one.verb in ("ADDED", "MODIFIED"):
                there.add(uid)
            elif one.verb == "DELETED":
                there.discard(uid)
        return there

    def resume(self) -> dict[str, tuple[str, int]]:
        return {
            kind: (state.version, state.last_received_us)
            for kind, state in self.watch.states.items()
            if state.version and state.last_received_us
        }

    def all_in(self, state: str) -> bool:
        return all(one.state in (state, "absent") for one in self.watch.states.values())


@contextmanager
def watched(
    kubeconfig: Path,
    resume: Mapping[str, tuple[str, int]] | None = None,
    options: WatchOptions = QUICK,
    held: bool = False,
) -> Iterator[Watched]:
    """Run a watch until the block ends. held: nothing is taken from it until `gate` is set."""
    told = Watched()
    told.watch = ClusterWatch(connect(str(kubeconfig), None), "test", resume or {}, told.put, options=options)
    if not held:
        told.gate.set()
    told.watch.start()
    try:
        yield told
    finally:
        told.gate.set()
        assert told.watch.stop(8), {kind: one.state for kind, one in told.watch.states.items()}


def settle(cluster: ControlPlane, told: Watched) -> None:
    """Wait until a pod made for this was seen to go: all that happened before it is there too."""
    name = f"settle-{len(told.of('Pod'))}-{id(told)}"
    cluster.api().create(PODS, pods.small(name))
    cluster.api().delete(f"{PODS}/{name}", grace_seconds=0)
    wait_until(lambda: name in told.names("Pod", "DELETED"))


def standing(cluster: ControlPlane, path: str = "/api/v1/pods") -> set[str]:
    return {one["metadata"]["uid"] for one in cluster.api().list(path)[0]}


def written_down(lines: Path) -> Counter[Event]:
    """What the dumb watcher saw of pods."""
    found = Counter[Event]()
    for line in lines.read_text().splitlines():
        event = json.loads(line)
        meta = event["object"]["metadata"]
        if event["type"] != "BOOKMARK" and event["object"]["kind"] == "Pod":
            found[event["type"], meta["uid"], meta["resourceVersion"]] += 1
    return found


@dataclass(frozen=True)
class Write:
    """A change that the server said it made, and when it said so."""

    uid: str
    version: str
    at_us: int


@contextmanager
def churn(api: Api, prefix: str) -> Iterator[list[Write]]:
    """Make, publish and remove pods all the time; what fails while the server is down is passed over.

    Yields what was made and published; it is complete when the block has ended.
    """
    ended = threading.Event()
    done: list[Write] = []

    def play() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            name = f"{prefix}-{number}"
            steps: list[tuple[str, str, Any, str]] = [
                ("POST", PODS, pods.small(name), ""),
                ("PATCH", f"{PODS}/{name}/status", {"status": {"phase": "Running", "podIP": "10.0.0.9"}}, pods.MERGE),
                ("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0} if number % 3 else None, ""),
            ]
            for step in steps[: 2 if number % 5 == 0 else 3]:
                try:
                    meta = json.loads(api.write(*step).body)["metadata"]
                except (ApiError, OSError):
                    ended.wait(0.05)
                    continue
                if step[0] != "DELETE":
                    done.append(Write(meta["uid"], meta["resourceVersion"], time.time_ns() // 1000))
            ended.wait(0.005)

    player = threading.Thread(target=play)
    player.start()
    try:
        yield done
    finally:
        ended.set()
        player.join(20)


def bind(cluster: ControlPlane, user: str, *left_out: str) -> None:
    """Grant a user what a recorder needs, without the resources left out."""
    rules = [
        {
            "apiGroups": [group],
            "resources": [one for one in names if one not in left_out],
            "verbs": ["get", "list", "watch"],
        }
        for group, names in {
            "": ["pods", "services", "nodes", "namespaces"],
            "discovery.k8s.io": ["endpointslices"],
            "networking.k8s.io": ["networkpolicies"],
            "policy.networking.k8s.io": [
                "clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies",
            ],
            "apps": ["replicasets"],
            "batch": ["jobs", "cronjobs"],
            "coordination.k8s.io": ["leases"],
        }.items()
    ]  # fmt: skip
    path, api = "/apis/rbac.authorization.k8s.io/v1", cluster.api()
    role = {"metadata": {"name": user}, "rules": [one for one in rules if one["resources"]]}
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    binding = {
        "metadata": {"name": user},
        "roleRef": {"kind": "ClusterRole", "name": user, "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": subjects,
    }
    for kind, thing in (("clusterroles", role), ("clusterrolebindings", binding)):
        try:
            api.create(f"{path}/{kind}", thing)
        except ApiError as error:
            if error.status != 409:
                raise
            api.patch(f"{path}/{kind}/{user}", thing)

"""Random recordings of made-up clusters, as a recorder writes them and as they mean it; and what a history says."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.churn.cases import CASES
from bench.churn.story import Setting, play
from bench.churn.times import SECOND, START
from enrich.history.history import ClusterHistory, History, derive
from enrich.history.stored import StoredHistory
from enrich.holds.pod_status import read_status
from ingest.cluster import EvidenceReport, read_observations
from whowas.addresses import MAPPED
from whowas.observation import Endpoint, KubeObject, Meta, Observation, Target

QUIET = Observation("START", KubeObject(), None, 0, None, "", (0, 0))
NO_WATCH = ("LISTED", "VANISHED", "JOINED", "LEFT", "CLOCK", "GAP", "WATCHED", "START")


def read(path: Path, cluster: str | None = None) -> list[Observation]:
    """Read a file that must be whole."""
    report = EvidenceReport()
    found = list(read_observations([str(path)], cluster, report))
    assert report.whole(), report.files
    return found


def simulated(seed: int, name: str, seconds: int = 30) -> list[Observation]:
    """Pods come and go, in a cluster of some name."""
    story = play(CASES[0].play, seed, Setting(seconds=seconds, spread=0.0), 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.jsonl"
        path.write_text("".join(f"{line}\n" for line in story.lines))
        # A writer that begins anew has forgotten which Leases came before.
        mine = (one._replace(cluster=name) for one in read(path, name) if one.verb not in ("START", "CLOCK"))
        return [one for one in mine if not _ahead(one)]


def _ahead(one: Observation) -> bool:
    """A status that tells of what is to come proves that a clock is off, which a slice has no words for."""
    return one.object.status is not None and read_status(one.object, one.object.status, one).ahead > 0


def slice_of(uid: str, service: str, pods: Iterable[str], verb: str, when: int, cluster: str | None) -> Observation:
    """An EndpointSlice as a watch shows it."""
    meta = Meta(name=uid, namespace="sim", uid=uid, labels={"kubernetes.io/service-name": service})
    ends = [Endpoint(Target("Pod", pod)) for pod in pods]
    return Observation(verb, KubeObject("EndpointSlice", meta, endpoints=ends), when, when, cluster, "")


@dataclass
class Recording:
    """`told` is what a recorder writes; `meant` the same with what it implies: who vanished, when it looked."""

    told: list[Observation] = field(default_factory=list)
    meant: list[Observation] = field(default_factory=list)
    _living: dict[tuple[str, str], KubeObject] = field(default_factory=dict)
    _spans: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def add(self, one: Observation) -> None:
        """Take an observation into both."""
        self.told.append(one)
        self.meant.append(one)
        self._follow(one)

    def _follow(self, one: Observation) -> None:
        kind = one.object.kind
        if one.object.metadata is not None and one.object.metadata.uid:
            key = (kind, one.object.metadata.uid)
            if one.verb in ("DELETED", "VANISHED"):
                self._living.pop(key, None)
            elif one.verb not in ("JOINED", "LEFT"):
                self._living[key] = one.object
        if one.received_us is not None and one.verb not in NO_WATCH:
            low, high = self._spans.get((one.cluster or "", kind), (one.received_us, one.received_us))
            self._spans[one.cluster or "", kind] = (min(low, one.received_us), max(high, one.received_us))

    def relist(self, dice: random.Random, kind: str, when: int, cluster: str) -> None:
        """Nobody looked for a while; a list shows most of what stands. Somebody else's pods are not in it."""
        span = (when - 3 * SECOND, when)
        self.add(Observation("GAP", KubeObject(kind=kind), when, when, cluster, "", span))
        standing = [(uid, thing) for (word, uid), thing in self._living.items() if word == kind]
        gone = {uid for uid, _ in standing if dice.random() < 0.2}
        for uid, thing in standing:
            if uid not in gone:
                self.add(Observation("LISTED", thing, when, when, cluster, ""))
        about = KubeObject(kind=kind, metadata=Meta(resourceVersion="1"))
        done = Observation("RELISTED", about, when, when, cluster, "")
        self.told.append(done)
        self._follow(done)
        for uid in sorted(gone):
            thing = KubeObject(kind=kind, metadata=Meta(uid=uid))
            seen = Observation("VANISHED", thing, when, when, cluster, "")
            self.meant.append(seen)
            self._follow(seen)

    def history(self) -> History:
        """What all of it means, derived from nothing."""
        spans = [
            Observation("WATCHED", KubeObject(kind=kind), high, high, cluster, "", (low, high))
            for (cluster, kind), (low, high) in self._spans.items()
        ]
        return derive([QUIET, *self.meant, *spans])


def recording(seed: int, cluster: str = "one") -> Recording:
    """A recording with relists, bookmarks, and Services whose pods stand in two slices each."""
    dice = random.Random(seed)
    made = Recording()
    slices: dict[str, set[str]] = {}
    apps: dict[str, str] = {}
    for one in simulated(seed, cluster):
        made.add(one)
        when, meta = one.received_us or START, one.object.metadata
        if one.object.kind != "Pod" or meta is None:
            continue
        if meta.labels:
            apps[meta.uid] = meta.labels.get("app", "none")
        if meta.uid in apps and dice.random() < 0.4:
            _member(made, dice, slices, apps[meta.uid], meta.uid, one.verb == "DELETED", when, cluster)
        if dice.random() < 0.02:
            made.relist(dice, dice.choice(["Pod", "Pod", "EndpointSlice"]), when + 1, cluster)
        if dice.random() < 0.05:
            about = KubeObject(kind=dice.choice(["Pod", "Node", "Service"]), metadata=Meta(resourceVersion="9"))
            made.add(Observation("BOOKMARK", about, when + 2, when + 2, cluster, ""))
    return made


def _member(
    made: Recording, dice: random.Random, slices: dict[str, set[str]], app: str, pod: str, gone: bool, when: int,
    cluster: str,
) -> None:  # fmt: skip
    """A slice of one or the other address family gets a pod, or loses it; now and then a slice goes."""
    uid = f"slice-{app}-{dice.choice('46')}"
    verb = "MODIFIED" if uid in slices else "ADDED"
    pods = slices.setdefault(uid, set())
    pods.discard(pod) if gone or pod in pods else pods.add(pod)
    if dice.random() < 0.1:
        slices.pop(uid)
        verb = "DELETED"
    made.add(slice_of(uid, f"svc-{app}", sorted(pods), verb, when + 1, cluster))


def mixed(*several: Recording) -> list[Observation]:
    """Several recordings side by side, as one recorder of several clusters has them."""
    every = [(one.received_us or 0, number, place, one) for number, made in enumerate(several)
             for place, one in enumerate(made.told)]  # fmt: skip
    dice = random.Random(len(every))
    queues = [[one for _, number, _, one in every if number == which] for which in range(len(several))]
    found = []
    while any(queues):
        queue = dice.choice([one for one in queues if one])
        found.append(queue.pop(0))
    return found


View = dict[str, tuple[list[Any], dict[str, Any]]]


def view(history: History) -> View:
    """Everything that a history says, in an order of its own: holds, and who the holders were."""
    return {name: (holds_of(known), entities_of(known)) for name, known in history.clusters.items()}


def holds_of(known: ClusterHistory, ip: bytes | None = None) -> list[Any]:
    """All holds, or those on one address."""
    found = []
    for hold in known.holds:
        if ip is None or hold.ip == ip:
            found.append((hold.ip.hex(), hold.kind, known.entities[hold.entity].uid, *hold[3:8]))
    return sorted(found)


def entities_of(known: ClusterHistory) -> dict[str, Any]:
    """Every holder by UID: names, and labels and Services at their times."""
    found = {}
    for row, one in enumerate(known.entities):
        first, last = known.states.own.first[row : row + 2].tolist()
        found[one.uid] = (*one[:2], *one[4:], [tuple(known.states.versions[place]) for place in range(first, last)])
    return found


def merged(*several: History) -> View:
    """The views of several clusters in one."""
    return {name: told for one in several for name, told in view(one).items()}


def v4(text: str) -> bytes:
    """An IPv4 address in 16 bytes."""
    return MAPPED + bytes(map(int, text.split(".")))


def fresh_view(path: Path) -> View:
    """What somebody knows who reads a store for the first time."""
    stored = StoredHistory(path)
    stored.close()
    return view(stored.history)

"""Tracks one cluster's objects: pods, services, nodes, owners, gaps.

Objects are kept by UID, never by name: two pods of one name are two pods. Memory grows with the number of
objects, not of observations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from enrich.holds.clock_skew import Clocks
from enrich.holds.endpoint_slices import Slices
from enrich.holds.pod_track import PodTrack
from enrich.holds.service_node_track import (
    ThingTrack,
    add_version,
    node_addresses,
    service_addresses,
    update_bounds,
    version_of,
)
from enrich.holds.time_bounds import SECOND, long_silence
from whowas.observation import Observation, Owner, Spec, Status, time_us, version_number
from whowas.timestamps import BEFORE_ALL

LOOKING = frozenset(("BOOKMARK", "RELISTED", "CLOCK", "GAP", "WATCHED", "START"))
# For so long after a silence what comes may still be what was written during it.
CATCHING_UP = 10 * SECOND


@dataclass(slots=True)
class Owned:
    """An object that may stand between a pod and its workload."""

    kind: str
    name: str
    owner: Owner | None


Spans = list[tuple[int, int]]


@dataclass
class ClusterTrack:
    """All that one cluster's evidence has said so far. Spans, gaps and late are by kind, "" = of all kinds.

    late: what happened in such a span was not told before its end.
    """

    name: str
    pods: dict[str, PodTrack] = field(default_factory=dict)
    things: dict[str, ThingTrack] = field(default_factory=dict)
    owners: dict[str, Owned] = field(default_factory=dict)
    members: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    gaps: dict[str, Spans] = field(default_factory=dict)
    spans: dict[str, Spans] = field(default_factory=dict)
    late: dict[str, Spans] = field(default_factory=dict)
    recordings: list[list[int]] = field(default_factory=list)
    slices: Slices = field(default_factory=Slices)
    clocks: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    leases: Clocks = field(default_factory=Clocks)
    _begun: bool = True
    _bookmarked: set[str] = field(default_factory=set)
    _heard: dict[str, int] = field(default_factory=dict)
    _silent: dict[str, Spans] = field(default_factory=dict)
    _behind: dict[str, set[str]] = field(default_factory=dict)

    def observe(self, seen: Observation) -> None:
        """Take in one observation of a recording."""
        if seen.verb == "OFFSET":
            self.leases.offset(self.name, seen)
            return
        if seen.span is not None:
            sort = {"GAP": self.gaps, "LATE": self.late}.get(seen.verb, self.spans)
            sort.setdefault(seen.object.kind, []).append(seen.span)
            return
        self.look(seen)
        self.take(seen)

    def take(self, seen: Observation) -> None:
        """Take in what is said of an object, whoever was looking when."""
        thing, meta = seen.object, seen.object.metadata
        if seen.verb == "CLOCK":
            self.leases.lease(self.name, seen)
            return
        if meta is None or not meta.uid or seen.verb in LOOKING:
            return
        uid = meta.uid
        if seen.verb in ("JOINED", "LEFT"):
            self._member(uid, seen.service, seen.verb == "JOINED", seen.not_before_us)
        elif thing.kind == "Pod":
            track = self.pods.get(uid)
            if track is None:
                track = self.pods[uid] = PodTrack(uid)
            track.observe(seen)
        elif thing.kind in ("Service", "Node"):
            self._thing(uid, seen)
        elif thing.kind == "EndpointSlice":
            for change in self.slices.observe(seen):
                self._member(*change)
        elif seen.verb != "VANISHED":
            owner = next((one for one in meta.ownerReferences or () if one.controller), None)
            self.owners[uid] = Owned(thing.kind, meta.name, owner)

    def take_all(self, several: Iterable[Observation]) -> int:
        """Take in what is said of an object, in its order. Returns: how many."""
        count = 0
        for seen in several:
            self.take(seen)
            count += 1
        return count

    def forget(self, uid: str) -> None:
        """Know nothing of an object any more."""
        self.pods.pop(uid, None)
        self.things.pop(uid, None)
        self.members.pop(uid, None)
        self._behind.pop(uid, None)

    def look(self, seen: Observation) -> None:
        """Remember when somebody was looking."""
        received = seen.received_us
        # A list is a moment, not a watch.
        if received is not None and seen.verb != "LISTED":
            self._silence(seen, received)
            if self._begun:
                self._begun = False
                self.recordings.append([received, received])
            now = self.recordings[-1]
            if received > now[1]:
                now[1] = received
            elif received < now[0]:
                now[0] = received

    def _silence(self, seen: Observation, received: int) -> None:
        """Where a kind has bookmarks, a long silence is out of the ordinary; where it has none, it tells nothing."""
        kind = seen.object.kind
        before = self._heard.get(kind, received)
        silence = long_silence(before, received)
        if silence is not None:
            self._silent.setdefault(kind, []).append(silence)
        self._heard[kind] = max(before, received)
        if seen.verb == "BOOKMARK":
            self._bookmarked.add(kind)
        if kind in self._bookmarked and kind in self._silent:
            self.late.setdefault(kind, []).extend(self._silent.pop(kind))

    def begin(self) -> None:
        """What follows is another recording."""
        self._begun = True
        self._bookmarked.clear()
        self._heard.clear()
        self._silent.clear()

    def watched(self, kind: str) -> Spans:
        """Return when a kind was looked at; gaps not yet taken off."""
        return [*((low, high) for low, high in self.recordings), *self.spans.get("", ()), *self.spans.get(kind, ())]

    def delayed(self, kind: str) -> Spans:
        """Return when what was written about a kind was not told before the end of the span."""
        return sorted([*self.late.get("", ()), *(self.late.get(kind, ()) if kind else ())], key=lambda one: one[1])

    def missed(self, kind: str) -> Spans:
        """Return the gaps in which a kind was not looked at."""
        return sorted([*self.gaps.get("", ()), *(self.gaps.get(kind, ()) if kind else ())])

    def _thing(self, uid: str, seen: Observation) -> None:
        meta = seen.object.metadata
        assert meta is not None
        one = self.things.get(uid)
        if one is None:
            one = self.things[uid] = ThingTrack(uid, seen.object.kind, meta.namespace, meta.name)
            one.created = time_us(meta.creationTimestamp) or BEFORE_ALL
        told = version_number(meta.resourceVersion)
        version = one.version if told is None else told
        if one.gone or version < one.version:
            return
        one.version = version
        one.gone = seen.verb in ("DELETED", "VANISHED")
        since = heard(seen.not_before_us, self.delayed(one.kind))
        spec, status = seen.object.spec or Spec(), seen.object.status or Status()
        if one.kind == "Service":
            now = service_addresses(spec, status)
        else:
            now = node_addresses(one, spec, status, seen.object)
        # What is gone may be shown as it was last, or not at all.
        if not one.gone or (seen.verb == "DELETED" and not one.versions):
            add_version(one, version_of(seen.object), seen, since)
        update_bounds(one, set() if one.gone else now, seen, since)

    def _member(self, pod: str, service: str, joined: bool, when: int) -> None:
        """Membership of pods in Services, as of when it was seen to change."""
        names = self._behind.setdefault(pod, set())
        names.add(service) if joined else names.discard(service)
        self.members.setdefault(pod, []).append((when, ",".join(sorted(name for name in names if name))))


def heard(when: int, late: Spans) -> int:
    """Return since when something may have been so that was told at `when`."""
    for low, high in reversed(late):
        if low < when <= high + CATCHING_UP:
            return low
    return when

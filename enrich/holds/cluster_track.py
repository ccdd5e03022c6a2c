"""What the observations say of one cluster's objects: pods, services, nodes, owners, gaps.

Objects are kept by UID, never by name: two pods of one name are two pods. Memory grows with the number of
objects, not of observations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from enrich.holds.clock_skew import Clocks
from enrich.holds.endpoint_slices import Slices
from enrich.holds.pod_status import AFTER_ALL, BEFORE_ALL, SECOND, address16
from enrich.holds.pod_track import PodTrack
from whowas.observation import KubeObject, Observation, Owner, Spec, Status, time_us, version_number

LOOKING = frozenset(("BOOKMARK", "RELISTED", "CLOCK", "GAP", "WATCHED", "START"))
ZONE = "topology.kubernetes.io/zone"
# Longest way of an event from the apiserver to the recorder: what was not shown deleted stood this long before.
SHOWN_WITHIN = 5 * SECOND
# A watch has a bookmark about every minute. After a longer silence nobody knows when what comes then was written.
SILENT_MOST = 75 * SECOND
# For so long after a silence what comes may still be what was written during it.
CATCHING_UP = 10 * SECOND
TUNNEL_NOTES = (
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4WireguardInterfaceAddr",
    "io.cilium.network.ipv4-cilium-host",
    "io.cilium.network.ipv6-cilium-host",
)


@dataclass(slots=True)
class ThingTrack:
    """A Service or Node: its addresses with [start_min, start_max, end_min, end_max]."""

    uid: str
    kind: str
    namespace: str
    name: str
    zone: str = ""
    created: int = BEFORE_ALL
    holds: dict[bytes, list[int]] = field(default_factory=dict)
    ranges: tuple[str, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()
    node_ports: tuple[tuple[int, str], ...] = ()
    version: int = -1
    gone: bool = False


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
        if received - before > SILENT_MOST:
            self._silent.setdefault(kind, []).append((before, received))
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
        one.zone = (meta.labels or {}).get(ZONE, one.zone)
        spec, status = seen.object.spec or Spec(), seen.object.status or Status()
        now = _service(one, spec, status) if one.kind == "Service" else _node(one, spec, status, seen.object)
        one.gone = seen.verb in ("DELETED", "VANISHED")
        _bound(one, set() if one.gone else now, seen, heard(seen.not_before_us, self.delayed(one.kind)))

    def _member(self, pod: str, service: str, joined: bool, when: int) -> None:
        """Membership of pods in Services, as of when it was seen to change."""
        names = self._behind.setdefault(pod, set())
        names.add(service) if joined else names.discard(service)
        self.members.setdefault(pod, []).append((when, ",".join(sorted(name for name in names if name))))


def _service(one: ThingTrack, spec: Spec, status: Status) -> set[bytes]:
    """The addresses of a Service; `None` (headless) is none."""
    words = [spec.clusterIP, *(spec.clusterIPs or ()), *(spec.externalIPs or ())]
    words += [way.ip for way in (status.loadBalancer.ingress if status.loadBalancer else None) or ()]
    ports = spec.ports or ()
    one.ports = tuple((port.port or 0, (port.protocol or "TCP").lower()) for port in ports)
    one.node_ports = tuple((port.nodePort, (port.protocol or "TCP").lower()) for port in ports if port.nodePort)
    return {ip for ip in map(address16, words) if ip is not None}


def _node(one: ThingTrack, spec: Spec, status: Status, thing: KubeObject) -> set[bytes]:
    """The addresses of a node, the ends of its overlay among them."""
    one.ranges = tuple(dict.fromkeys([*(spec.podCIDRs or ()), *([spec.podCIDR] if spec.podCIDR else [])]))
    words = [way.address for way in status.addresses or () if way.type in ("InternalIP", "ExternalIP")]
    notes = (thing.metadata.annotations if thing.metadata else None) or {}
    words += [notes[name] for name in TUNNEL_NOTES if name in notes]
    if notes.get("flannel.alpha.coreos.com/backend-type") == "vxlan":
        # flannel.1 takes the first address of the node's range.
        words += [cidr.split("/")[0] for cidr in one.ranges]
    return {ip for ip in map(address16, words) if ip is not None}


def heard(when: int, late: Spans) -> int:
    """Return since when something may have been so that was told at `when`."""
    for low, high in reversed(late):
        if low < when <= high + CATCHING_UP:
            return low
    return when


def _bound(one: ThingTrack, now: set[bytes], seen: Observation, since: int) -> None:
    """Open holds on new addresses, close those that are gone. A list says nothing of when that was.

    since: from when on it may have been so.
    """
    at, watched = seen.received_us, seen.verb not in ("LISTED", "VANISHED")
    fresh = not one.holds
    for ip in sorted(now):
        if ip not in one.holds or one.holds[ip][3] != AFTER_ALL:
            # An address there from the first sight on may have been there since the object was made.
            low = one.created if fresh or not watched else max(one.created, since - SHOWN_WITHIN)
            high = one.created + SECOND if fresh and one.created != BEFORE_ALL else (at or seen.not_before_us)
            one.holds[ip] = [low, max(low, high), BEFORE_ALL, AFTER_ALL]
        one.holds[ip][2] = max(one.holds[ip][2], seen.not_before_us)
    for ip in one.holds.keys() - now:
        bounds = one.holds[ip]
        if bounds[3] == AFTER_ALL:
            bounds[2] = max(bounds[2], (since - SHOWN_WITHIN) if at is not None and watched else BEFORE_ALL)
            bounds[3] = at if at is not None else AFTER_ALL - 1

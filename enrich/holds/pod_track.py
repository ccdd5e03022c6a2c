"""Tracks when one pod held which address.

Every bound is derived from what can be proven; docs/architecture-holds.md tells why each is one. Times the
kubelet writes are cut to whole seconds: the truth lies in [t, t + 1 s).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from sys import intern

from enrich.holds.pod_ports import port_words
from enrich.holds.pod_status import PodStatus, read_status
from enrich.holds.segment import UNTOLD, Segment, has_new_run, is_of_another, is_old
from enrich.holds.time_bounds import SECOND, STAMPED, UNSEEN
from enrich.holds.versions import Labels, Line, added
from whowas.observation import Container, KubeObject, Observation, Owner, Status, time_us, version_number
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

# Longest time for which a kubelet's status may stay unpublished: what nobody reported ended this long
# before we last looked had not ended then.
PUBLISHED_WITHIN = 30 * SECOND
Boxes = tuple[tuple[str, ...], tuple[str, ...]]
"""Images of a pod's containers, and words of the ports that it opens on its node."""


@lru_cache(maxsize=1 << 16)
def _shared(labels: Labels) -> Labels:
    """Return one and the same object for equal labels: thousands of pods have the same few."""
    return tuple((intern(name), intern(text)) for name, text in labels)


@lru_cache(maxsize=1 << 16)
def _shared_boxes(boxes: Boxes) -> Boxes:
    return boxes


def _boxes(containers: list[Container], host_network: bool) -> Boxes:
    images = tuple([one.image for one in containers if one.image])
    return _shared_boxes((images, port_words(containers, host_network)))


@dataclass(slots=True)
class PodTrack:
    """Everything known of one pod (one UID)."""

    uid: str
    name: str = ""
    namespace: str = ""
    node: str = ""
    host_network: bool = False
    service_account: str = ""
    owner: Owner | None = None
    labels: Line[Labels] = ()
    boxes: Line[Boxes] = ()
    open: dict[bytes, Segment] = field(default_factory=dict)
    closed: list[Segment] = field(default_factory=list)
    version: int = -1
    received: int = BEFORE_ALL
    deletion: int = AFTER_ALL
    ahead: int = 0
    behind: int = 0
    untold: Segment | None = None
    passed: list[Segment] = field(default_factory=list)
    floor: int = BEFORE_ALL
    old_sandbox: int = BEFORE_ALL
    over: int = AFTER_ALL
    done: bool = False
    gone: bool = False

    def observe(self, seen: Observation) -> None:
        """Take in one observation; one that is older than the last (by resourceVersion) changes nothing."""
        thing = seen.object
        if seen.verb == "VANISHED":
            self._vanished(seen)
            return
        if self._stale(thing, seen):
            return
        self._describe(thing, seen)
        if self.done and (self.open or self.closed):
            # Every hold has ended, and a pod that is over gets no address again.
            self.gone = seen.verb == "DELETED"
            return
        sight = read_status(thing, thing.status or Status(), seen)
        if sight.ahead or sight.behind:
            self.ahead, self.behind = max(self.ahead, sight.ahead), max(self.behind, sight.behind)
        if self.open:
            self._replaced(sight)
        for one in self.closed:
            # What ran in a sandbox before is told of once more, with its end, when the next sandbox runs.
            one.finished |= one.lasted(sight.runs)
        if sight.ips:
            self._appear(sight, seen)
        if self.open:
            self._lost(sight)
            self._prove(sight, seen)
        self._no_address(sight, seen)
        # In a pod that is over no other sandbox follows.
        if sight.sandbox and not sight.sandbox[0] and not sight.terminal:
            self.floor = max(self.floor, sight.sandbox[1] - UNSEEN)
        if sight.terminal:
            self._terminal(sight)
        if seen.verb == "DELETED":
            self._deleted(thing, sight)

    def _vanished(self, seen: Observation) -> None:
        """It went while nobody looked. Whether its containers had ended by then, nobody saw."""
        self.gone = True
        for one in self._all_open():
            if one.told is None:
                one.told = seen.received_us

    def _stale(self, thing: KubeObject, seen: Observation) -> bool:
        """Say whether this is older than what is known already. The same version again is a new sight of it."""
        version = version_number(thing.metadata.resourceVersion) if thing.metadata else None
        received = seen.received_us
        if version is not None and version < self.version and seen.verb != "DELETED":
            # A watch goes forward: versions that go back, later, come from an apiserver that was restored.
            forward = seen.verb == "MODIFIED" and received is not None and received > self.received
            if not forward:
                return True
        if version is not None:
            self.version = version
        if received is not None and received > self.received:
            self.received = received
        return self.gone

    def _describe(self, thing: KubeObject, seen: Observation) -> None:
        meta, spec = thing.metadata, thing.spec
        when = seen.received_us or seen.not_before_us
        if meta is not None:
            if not self.name:
                self.name, self.namespace = meta.name, intern(meta.namespace)
            if self.owner is None and meta.ownerReferences:
                self.owner = next((one for one in meta.ownerReferences if one.controller), None)
            labels = _shared(tuple(sorted(meta.labels.items()))) if meta.labels else ()
            self.labels = added(self.labels, labels, when)
            if meta.deletionTimestamp:
                self.deletion = min(self.deletion, time_us(meta.deletionTimestamp) or AFTER_ALL)
        if spec is not None:
            if spec.nodeName and not self.node:
                self.node = intern(spec.nodeName)
            self.host_network = self.host_network or bool(spec.hostNetwork)
            if spec.serviceAccountName and not self.service_account:
                self.service_account = intern(spec.serviceAccountName)
            if spec.containers:
                self.boxes = added(self.boxes, _boxes(spec.containers, self.host_network), when)

    def _replaced(self, sight: PodStatus) -> None:
        """End what this sight shows to be over: another sandbox, another address, or none."""
        at = sight.sandbox[1] if sight.sandbox else None
        for ip, one in list(self.open.items()):
            if one.ended:
                continue
            anew = one.is_before(sight)
            if not anew and ip in sight.ips:
                continue
            moved = any(len(other) == len(ip) for other in sight.ips if other != ip)
            if sight.terminal and not anew and not moved:
                continue  # 1.27 to 1.30 blank the address on the terminal write; that is handled as the end
            if one.old and moved and not anew:
                del self.open[ip]  # this sandbox never had it: it was the address of the one before
                continue
            if anew and sight.sandbox and not sight.sandbox[0]:
                self._passed(one, sight)
            later = at is not None and one.sandbox_at is not None and at > one.sandbox_at
            one.end_by([sight.upper, at + STAMPED if later and at is not None else None])
            self._close(ip, sight)

    def _passed(self, one: Segment, sight: PodStatus) -> None:
        """Another sandbox came and went after this one, and nobody was told of its address."""
        between = Segment(UNTOLD, max(one.start_min, one.end_min), AFTER_ALL)
        between.end_by([sight.upper])
        self.passed.append(between)

    def _close(self, ip: bytes, sight: PodStatus) -> None:
        """Put a hold away."""
        one = self.open.pop(ip)
        one.finished = one.lasted(sight.runs)
        self.closed.append(one)
        self.floor = max(self.floor, one.end_min)
        self.old_sandbox = max(self.old_sandbox, one.sandbox_at or BEFORE_ALL)

    def _appear(self, sight: PodStatus, seen: Observation) -> None:
        for ip, network in sight.ips.items():
            # One that was over before it was ever shown with its address (1.27 to 1.30 blank it) shows it late.
            fresh = ip not in self.open
            if fresh:
                self._open(ip, network, sight, seen)
            one = self.open[ip]
            if one.old and has_new_run(sight, self.closed):
                one.old, fresh = False, True
            if one.old and sight.sandbox and sight.sandbox[0]:
                one.sandbox_at = sight.sandbox[1]
            if not one.ended and not one.old:
                one.begin(sight, fresh, self.floor, self.old_sandbox)

    def _no_address(self, sight: PodStatus, seen: Observation) -> None:
        """It may have an address that is not told yet, or never will be; `seen`: when nothing had run in it.

        So has one whose sandbox was lost, until the address of the next is told for certain.
        """
        told = any(not one.ended and not one.old and one.lost is None for one in self.open.values())
        if told or self.host_network or not self.node:
            self.untold = None
            return
        if self.untold is None:
            again = sight.sandbox is not None and bool(self.open or self.closed)
            since = sight.sandbox[1] - UNSEEN if again and sight.sandbox else self.floor
            self.untold = Segment(UNTOLD, max(sight.floor, since), AFTER_ALL)
        one = self.untold
        one.start_min = max(one.start_min, sight.floor)
        if not sight.runs and not sight.terminal:
            one.seen = max(one.seen, seen.received_us or seen.not_before_us)

    def _all_open(self) -> list[Segment]:
        return [one for one in (*self.open.values(), self.untold) if one is not None and not one.ended]

    def _open(self, ip: bytes, network: str, sight: PodStatus, seen: Observation) -> None:
        later = any(len(one.ip) == len(ip) for one in self.closed)
        one = Segment(ip, max(sight.floor, self.floor), AFTER_ALL, first=not later, source=seen.source)
        one.network, one.old = intern(network), is_old(ip, sight, self.closed)
        if not one.old and sight.sandbox and is_of_another(sight):
            one.lose(sight.sandbox[1], sight.upper)
        self.open[ip] = one

    def _prove(self, sight: PodStatus, seen: Observation) -> None:
        for one in self.open.values():
            if not one.ended:
                one.prove(sight, seen.received_us or seen.not_before_us)

    def _lost(self, sight: PodStatus) -> None:
        """A sandbox in which containers ran is not ready any more: the next that is will be another."""
        if sight.sandbox and not sight.sandbox[0] and sight.runs and not sight.terminal:
            for one in self.open.values():
                if not one.ended:
                    one.lose(sight.sandbox[1], sight.upper)

    def _terminal(self, sight: PodStatus) -> None:
        """The kubelet gives the address back before it writes the terminal phase."""
        self.done = True
        if sight.upper is not None:
            self.over = min(self.over, sight.upper)
        for one in self._all_open():
            bounds = [sight.upper, self.over]
            last = max(one.finishes(sight.runs), default=None)
            if sight.sandbox and not sight.sandbox[0] and last is not None and sight.sandbox[1] >= last:
                bounds.append(sight.sandbox[1] + STAMPED)
            one.finished = last is not None
            one.end_by(bounds)

    def _deleted(self, thing: KubeObject, sight: PodStatus) -> None:
        """DELETED ends a hold when the kubelet had let go before; a forced delete proves nothing."""
        self.gone = True
        meta = thing.metadata
        graceful = meta is not None and meta.deletionTimestamp is not None and bool(meta.deletionGracePeriodSeconds)
        # Containers that ended in a sandbox that stands: a new one of theirs may start in it, unseen.
        ended = self.done or graceful or (sight.sandbox is not None and not sight.sandbox[0] and not sight.running)
        for one in self._all_open():
            if ended:
                one.end_by([sight.upper])
            else:
                one.told = sight.upper

    def segments(self) -> list[Segment]:
        """Return all holds, oldest first, then those whose address was never told (UNTOLD)."""
        untold = [] if self.untold is None else [self.untold]
        return [*self.closed, *self.open.values(), *self.passed, *untold]

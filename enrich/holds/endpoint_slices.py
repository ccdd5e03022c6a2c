"""Tracks which pods stand behind which Services, from EndpointSlices.

Source: discovery.k8s.io/v1. A slice names all its endpoints every time; what matters is who came and who went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from whowas.observation import Observation, time_us

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass
class Slices:
    """What every slice said last. by_uid: service and pods of each slice."""

    by_uid: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    _behind: dict[str, Counter[str]] = field(default_factory=dict)

    def restore(self, uid: str, service: str, pods: frozenset[str]) -> None:
        """Begin with a slice as it was known before."""
        self.by_uid[uid] = (service, pods)
        for pod in pods:
            self._behind.setdefault(pod, Counter())[service] += 1

    def observe(self, seen: Observation) -> Iterator[tuple[str, str, bool, int]]:
        """Yield (UID of the pod, service, whether it joined, since when in us) for what this slice changes."""
        meta = seen.object.metadata
        assert meta is not None
        known = self.by_uid.get(meta.uid)
        before = known[0] if known else ""
        service = (meta.labels or {}).get(SERVICE_NAME, before)
        old = known[1] if known else frozenset()
        targets = (one.targetRef for one in seen.object.endpoints or ())
        now = frozenset(one.uid for one in targets if one is not None and one.uid and one.kind in (None, "Pod"))
        when = seen.received_us or seen.not_before_us
        if known is None:
            # It stood before we first looked: from its creation on, as far as anybody can tell.
            when = time_us(meta.creationTimestamp) or when
        if seen.verb in ("DELETED", "VANISHED"):
            now = frozenset()
            self.by_uid.pop(meta.uid, None)
        else:
            self.by_uid[meta.uid] = (service, now)
        moved = known is not None and service != before
        for pod in sorted(old if moved else old - now):
            if self._count(pod, before, -1) == 0 and before:
                yield pod, before, False, when
        for pod in sorted(now if moved else now - old):
            if self._count(pod, service, 1) == 1 and service:
                yield pod, service, True, when

    def _count(self, pod: str, service: str, step: int) -> int:
        """A pod with two address families stands in two slices of one Service."""
        counts = self._behind.setdefault(pod, Counter())
        counts[service] += step
        left = counts[service]
        if not left:
            del counts[service]
            if not counts:
                del self._behind[pod]
        return left

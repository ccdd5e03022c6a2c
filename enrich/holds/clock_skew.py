"""Bounds each node's clock skew from the evidence.

Two proofs: a pod's status with times later than its receipt, or earlier than its creation (enrich.holds.pod_status);
and the Lease that every kubelet renews by its own clock, every ten seconds. Source: coordination.k8s.io/v1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enrich.holds.pod_status import node_time, read_status
from enrich.holds.time_bounds import SECOND, UNSEEN
from whowas.observation import KubeObject, Meta, Observation

# So many renewals over so long, some of which came at once, tell the least time they were on their way. What was
# held up comes all at once, and none of it at once: that is no such window.
RENEWALS = 6
WINDOW = 45 * SECOND
BY_PODS, BY_LEASE = 0, 1
PROOFS = ("pods", "lease")
Key = tuple[str, str, int]


@dataclass
class Clocks:
    """What was proven since it was last written down. by_node: ahead and behind in us, by cluster, node and proof.

    By pods, it is the least that the clock is off. By Leases, `behind` is the most; a row says that somebody looked.
    """

    by_node: dict[Key, tuple[int, int]] = field(default_factory=dict)
    _leases: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)

    def pod(self, cluster: str, seen: Observation) -> None:
        """Look at a pod's times."""
        thing = seen.object
        if thing.status is None or not (thing.status.containerStatuses or thing.status.conditions):
            return
        sight = read_status(thing, thing.status, seen)
        if sight.ahead or sight.behind:
            node = thing.spec.nodeName or "" if thing.spec else ""
            self._prove((cluster, node, BY_PODS), sight.ahead, sight.behind)

    def lease(self, cluster: str, seen: Observation) -> None:
        """Look at a renewal: by the node's clock, against when it was received."""
        thing = seen.object
        renewed = node_time(thing.spec.renewTime) if thing.spec else None
        if renewed is None or seen.received_us is None or thing.metadata is None:
            return
        key = (cluster, thing.metadata.name, BY_LEASE)
        late = seen.received_us - renewed
        if late <= -UNSEEN:
            self._prove((cluster, key[1], BY_PODS), -late, 0)
        since = self._leases.setdefault(key[:2], [])
        since.append((seen.received_us, late))
        if len(since) >= RENEWALS and seen.received_us - since[0][0] >= WINDOW:
            least = min(one for _, one in since)
            self._prove(key, max(0, -least), max(0, least))
            since.clear()

    def offset(self, cluster: str, seen: Observation) -> None:
        """Take over what another store had proven."""
        if seen.span is not None and seen.object.metadata is not None:
            proof = PROOFS.index(seen.service) if seen.service in PROOFS else BY_PODS
            self._prove((cluster, seen.object.metadata.name, proof), *seen.span)

    def _prove(self, key: Key, ahead: int, behind: int) -> None:
        known = self.by_node.get(key, (0, 0))
        self.by_node[key] = (max(known[0], ahead), max(known[1], behind))


def proven(cluster: str, node: str, proof: int, ahead: int, behind: int) -> Observation:
    """Return in an observation's words how far a node's clock is off, in us, as one proof says."""
    thing = KubeObject(kind="Node", metadata=Meta(name=node))
    return Observation("OFFSET", thing, None, 0, cluster, "", (ahead, behind), PROOFS[proof])

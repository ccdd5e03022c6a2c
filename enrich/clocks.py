"""How far the clocks of nodes are off, as the evidence proves while it is written.

Two proofs: a pod's status with times later than its receipt, or earlier than its creation (enrich.sights); and
the Lease that every kubelet renews by its own clock, every ten seconds. Source: coordination.k8s.io/v1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enrich.sights import SECOND, take_apart
from whowas.observation import Observation, time_us

# A Lease is on its way for some milliseconds: of less than this nothing is said.
LEAST = SECOND // 2
# So many renewals, some of which came at once, tell the least time they were on their way.
RENEWALS = 6


@dataclass
class Clocks:
    """What was proven since it was last written down. by_node: ahead and behind in us, by cluster and node."""

    by_node: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    _leases: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def pod(self, cluster: str, seen: Observation) -> None:
        """Look at a pod's times."""
        thing = seen.object
        if thing.status is None or not (thing.status.containerStatuses or thing.status.conditions):
            return
        sight = take_apart(thing, thing.status, seen)
        if sight.ahead or sight.behind:
            self._prove(cluster, thing.spec.nodeName or "" if thing.spec else "", sight.ahead, sight.behind)

    def lease(self, cluster: str, seen: Observation) -> None:
        """Look at a renewal: by the node's clock, against when it was received."""
        thing = seen.object
        renewed = time_us(thing.spec.renewTime) if thing.spec else None
        if renewed is None or seen.received_us is None or thing.metadata is None:
            return
        node = thing.metadata.name
        if renewed - seen.received_us >= LEAST:
            self._prove(cluster, node, renewed - seen.received_us, 0)
        since = self._leases.setdefault((cluster, node), [])
        since.append(seen.received_us - renewed)
        if len(since) >= RENEWALS:
            if min(since) >= LEAST:
                self._prove(cluster, node, 0, min(since))
            since.clear()

    def _prove(self, cluster: str, node: str, ahead: int, behind: int) -> None:
        known = self.by_node.get((cluster, node), (0, 0))
        self.by_node[cluster, node] = (max(known[0], ahead), max(known[1], behind))

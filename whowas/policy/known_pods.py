"""What a history adds to flows: all pods of the cluster, with every set of labels and all ports that they had."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from detect.policy.timeline import Timeline
from enrich.history.history import ClusterHistory
from enrich.holds.derive import NODE
from whowas.addresses import spelled
from whowas.policy.seen_flows import WORKLOAD, Party, SeenFlows

Ports = dict[tuple[Party, int, str], str]


class KnownPods:
    """Pods of one cluster. Without a history nothing is known of them."""

    def __init__(self, cluster: ClusterHistory | None = None, timeline: Timeline | None = None) -> None:
        self._cluster = cluster
        self._pods = timeline.pods if timeline else {}

    def on_node(self, uid: str) -> bool:
        """Say whether a pod is on its node's network."""
        line = self._pods.get(uid)
        return any(one.host_network for one in line.values if one is not None) if line else False

    def listens(self, uid: str, port: int, protocol: str) -> bool:
        """Say whether a pod's containers declare a port."""
        line = self._pods.get(uid)
        several = [one.ports or () for one in line.values if one is not None] if line else ()
        return any((one.number, one.protocol) == (port, protocol) for ports in several for one in ports)

    def add_to(self, seen: SeenFlows) -> Ports:
        """Add the pods that flows did not show: selectors are not to select them. Returns: what ports are called."""
        found: dict[tuple[Party, int, str], set[str]] = defaultdict(set)
        for entity in self._cluster.entities if self._cluster else ():
            line = self._pods.get(entity.uid)
            if line is None or self.on_node(entity.uid):
                continue
            party = Party(WORKLOAD, entity.namespace, entity.workload or entity.name, entity.workload_kind)
            for pod in line.values:
                if pod is not None:
                    seen.labels[party].add(frozenset(pod.labels.items()))
                    for port in pod.ports or ():
                        found[party, port.number, port.protocol].add(port.name)
        self._add_addresses(seen)
        return {key: next(iter(names)) for key, names in found.items() if len(names) == 1}

    def _add_addresses(self, seen: SeenFlows) -> None:
        if self._cluster is None:
            return
        for row in np.flatnonzero(self._cluster.kinds != NODE).tolist():
            hold = self._cluster.holds[row]
            if not self.on_node(self._cluster.entities[hold.entity].uid):
                seen.held.add(spelled(hold.ip))

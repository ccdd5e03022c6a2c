"""The adversarial cases by their numbers, each with the setting it needs. Case 32 is in audit.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.churn import cases_cluster as cluster
from bench.churn import cases_network as network
from bench.churn import cases_pods as pods
from bench.churn import cases_watch as watch
from bench.churn.story import Play, Setting, Story


@dataclass(frozen=True)
class Case:
    """A number (0: ordinary churn), a name, what happens, and in which setting."""

    number: int
    name: str
    play: Play
    setting: dict[str, Any] = field(default_factory=dict)

    def place(self, vanishing: bool) -> Setting:
        """The setting; fresh for each run."""
        given: dict[str, Any] = {"vanishing": vanishing, "salt": self.name} | self.setting
        return Setting(**given)


def _nothing(story: Story) -> None:
    """Ordinary churn only."""


def _spread(steps: Any) -> Play:
    return partial(pods.spread, steps=steps)


CASES = (
    Case(0, "ordinary churn, few addresses", _nothing, {"addresses": 4, "rate": 1.2, "stall_every": 60}),
    Case(0, "ordinary churn, plenty of them", _nothing, {"addresses": 24, "rate": 1.0}),
    Case(0, "statuses held back for 20 s", _nothing, {"latest": 20.0, "stall_every": 20}),
    Case(1, "completed Job keeps its IP", _spread(pods.completed_job)),
    Case(2, "successor before DELETED", _spread(pods.successor_first)),
    Case(3, "IP blanked, then restored", _spread(pods.blanked)),
    Case(4, "status 20 s late", _spread(pods.late_status), {"latest": 20.0}),
    Case(5, "slow pull, ready without IP", _spread(pods.slow_pull)),
    Case(6, "lives < 1 s, never published", _spread(pods.short_lived)),
    Case(7, "reuse in the same second", _spread(pods.same_second), {"way": "block"}),
    Case(8, "new sandbox, new IP", _spread(pods.new_sandbox)),
    Case(9, "new sandbox, same IP", _spread(pods.same_address_again)),
    Case(10, "pods swap IPs on reboot", _spread(pods.swap)),
    Case(11, "StatefulSet: same name and IP", _spread(pods.stateful)),
    Case(12, "same name replaced in a gap", watch.replaced_in_gap),
    Case(13, "born and died in a gap", watch.born_and_died_in_gap),
    Case(14, "410 in both forms, twice", watch.expired),
    Case(15, "half-open, cut lines, nulls", watch.broken_stream),
    Case(16, "crash between two writes", watch.crash),
    Case(17, "continue token expires", watch.broken_list),
    Case(18, "etcd restored, versions go back", watch.restored),
    Case(19, "force delete, still sending", _spread(cluster.forced)),
    Case(20, "node lost, and back", cluster.lost_node, {"nodes": 4}),
    Case(21, "long grace, used", _spread(cluster.long_grace)),
    Case(22, "finalizer holds DELETED", _spread(cluster.finalizer)),
    Case(23, "host network shares node IP", network.shared_node_address),
    Case(24, "dual stack, spellings", cluster.dual_stack),
    Case(25, "two clusters, one range", network.two_clusters, {"clusters": 2}),
    Case(26, "ClusterIP reassigned", network.reused_service_address),
    Case(27, "SNAT, node ports", network.masqueraded),
    Case(28, "clocks 5 s off, and stepping", cluster.clock_steps, {"spread": 5.0, "skew": 1.0}),
    Case(28, "clocks 30 s ahead, 2 s behind", watch.busily, {"offsets": (30.0, -2.0, 0.0)}),
    Case(28, "clocks 5 s, 1.5 s behind", watch.busily, {"offsets": (-5.0, -1.5, 0.0)}),
    Case(29, "labels and policies change", _spread(cluster.labels_change)),
    Case(30, "namespace torn down", cluster.namespace_teardown),
    Case(31, "CNI annotation blanked wrongly", _spread(cluster.blanked_annotation), {"way": "block"}),
    Case(33, "ReplicaSet gone, odd names", _spread(cluster.owner_gone)),
    Case(34, "mirror pod made anew", _spread(cluster.mirror)),
)

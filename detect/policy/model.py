"""Policies, pods and connections as the engine knows them, whatever kind of object said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from detect.policy.networks import Block
from detect.policy.selectors import Selector

ADMIN, NETWORK, BASELINE = "Admin", "NetworkPolicy", "Baseline"
ALLOW, DENY, PASS = "Accept", "Deny", "Pass"
INGRESS, EGRESS = "ingress", "egress"
PROTOCOLS = ("tcp", "udp", "sctp")
NAME_LABEL = "kubernetes.io/metadata.name"


class NamedPort(NamedTuple):
    """A port that a container declares. protocol: as in PROTOCOLS."""

    name: str
    number: int
    protocol: str


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod as it was at a moment. ports: None where nobody told which it has."""

    namespace: str
    name: str
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[NamedPort, ...] | None = ()
    host_network: bool = False
    node: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, eq=False)
class End:
    """One end of a connection: a pod, a node, or an address alone. address: 16 bytes, None where it is not known."""

    pod: Pod | None = None
    address: bytes | None = None
    node: str = ""

    @property
    def selectable(self) -> Pod | None:
        """The pod that selectors see: a pod on its node's network is none."""
        return None if self.pod is None or self.pod.host_network else self.pod

    @property
    def on_node(self) -> str:
        """The node whose own address this end has; "" where it is no node's."""
        return self.pod.node if self.pod is not None and self.pod.host_network else self.node


class Connection(NamedTuple):
    """What is judged. port: of the destination, None where the protocol has none. protocol: a small word."""

    source: End
    target: End
    port: int | None
    protocol: str


class PortMatch(NamedTuple):
    """Ports that a rule names. protocol: "" is any that the named port has. low: None is every port of the protocol."""

    protocol: str
    low: int | None = None
    high: int | None = None
    name: str = ""


class Peer(NamedTuple):
    """Who may be at the other end. namespaces: None is the policy's own. unsupported: what we do not judge of it."""

    pods: Selector | None = None
    namespaces: Selector | None = None
    block: Block | None = None
    unsupported: str = ""


class Rule(NamedTuple):
    """A rule of one direction. peers, ports: None is all. number: counts from 1."""

    number: int
    peers: tuple[Peer, ...] | None = None
    ports: tuple[PortMatch, ...] | None = None
    action: str = ALLOW
    name: str = ""


@dataclass(frozen=True, eq=False)
class Policy:
    """One policy. ingress, egress: None where it says nothing of that direction.

    pods, namespaces: whom it is about; of a NetworkPolicy `namespaces` is None: its own. fault: why it could not be
    read; then nobody knows what it does. spec: as it was written.
    """

    kind: str
    namespace: str
    name: str
    tier: str = NETWORK
    priority: int = 0
    pods: Selector | None = None
    namespaces: Selector | None = None
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None
    fault: str = ""
    spec: Any = None

    def rules(self, direction: str) -> tuple[Rule, ...] | None:
        """Return the rules of a direction."""
        return self.ingress if direction == INGRESS else self.egress

    def key(self) -> tuple[str, str, str]:
        """What tells it from all others of a cluster."""
        return self.kind, self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, eq=False)
class Moment:
    """What was in force: policies, and the labels of namespaces by name. A namespace that is not there is not known."""

    policies: tuple[Policy, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # For the NetworkPolicies of a namespace what was asked of them. Moments of the same policies may share it.
    about: dict[tuple[Policy, ...], dict[Any, Any]] = field(default_factory=dict, repr=False)
    _asked: dict[str, dict[Any, Any]] = field(default_factory=dict, repr=False)
    _split: dict[tuple[str, str], tuple[Policy, ...]] = field(default_factory=dict, repr=False)

    def of(self, tier: str, namespace: str = "") -> tuple[Policy, ...]:
        """Return the policies of a tier; of NetworkPolicy those of a namespace."""
        if not self._split:
            self._split["", ""] = ()
            for one in self.policies:
                place = (one.tier, one.namespace if one.tier == NETWORK else "")
                self._split[place] = (*self._split.get(place, ()), one)
        return self._split.get((tier, namespace), ())

    def asked(self, namespace: str) -> dict[Any, Any]:
        """Return what is remembered of a namespace's NetworkPolicies, of pods that they are about."""
        found = self._asked.get(namespace)
        if found is None:
            found = self._asked[namespace] = self.about.setdefault(self.of(NETWORK, namespace), {})
        return found

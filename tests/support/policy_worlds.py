"""Random clusters, policies and connections, as files and apiservers have them, for two engines at once."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

from detect.policy.model import NAME_LABEL, Connection, End, Moment, NamedPort, Pod
from detect.policy.network_policies import network_policy
from whowas.addresses import address16

KEYS, VALUES = ("app", "tier", "env"), ("x", "y", "z")
PORTS = (("http", 80, "TCP"), ("dns", 53, "UDP"), ("sig", 5060, "SCTP"), ("alt", 8080, "TCP"))
NETWORKS = ("10.0.0.0/8", "10.244.0.0/16", "10.244.1.0/24", "192.0.2.0/24", "0.0.0.0/0")
INSIDE = {"10.0.0.0/8": "10.244.1.0/24", "10.244.0.0/16": "10.244.2.0/28", "10.244.1.0/24": "10.244.1.4/30",
          "192.0.2.0/24": "192.0.2.128/25", "0.0.0.0/0": "192.0.2.0/24"}  # fmt: skip


class World:
    """A cluster. policies: as written, defaults left out. Every label key is everywhere, which cyclonus needs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.namespaces = {name: self._labels() | {NAME_LABEL: name} for name in ("a", "b", "c")}
        self.pods = [self._pod(place) for place in range(self.random.randint(3, 8))]
        self.policies = [self._policy(place) for place in range(self.random.randint(1, 6))]

    def _labels(self) -> dict[str, str]:
        return {key: self.random.choice(VALUES) for key in KEYS}

    def _pod(self, place: int) -> tuple[Pod, str]:
        ports = self.random.sample(PORTS, self.random.randint(0, len(PORTS)))
        made = tuple(NamedPort(name, number, protocol.lower()) for name, number, protocol in ports)
        namespace = self.random.choice(list(self.namespaces))
        return Pod(namespace, f"p{place}", f"u{place}", self._labels(), made), f"10.244.{place % 3}.{place + 1}"

    def selector(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.random.random() < 0.5:
            keys = self.random.sample(KEYS, self.random.randint(1, 2))
            found["matchLabels"] = {key: self.random.choice(VALUES) for key in keys}
        if self.random.random() < 0.4:
            found["matchExpressions"] = [self._expression() for _ in range(self.random.randint(1, 2))]
        return found

    def _expression(self) -> dict[str, Any]:
        operator = self.random.choice(("In", "NotIn", "Exists", "DoesNotExist"))
        found: dict[str, Any] = {"key": self.random.choice(KEYS), "operator": operator}
        if operator in ("In", "NotIn"):
            found["values"] = self.random.sample(VALUES, self.random.randint(1, 2))
        return found

    def _policy(self, place: int) -> dict[str, Any]:
        spec: dict[str, Any] = {"podSelector": self.selector()}
        for way, peers in (("ingress", "from"), ("egress", "to")):
            if self.random.random() < 0.6:
                spec[way] = [self._rule(peers) for _ in range(self.random.randint(0, 3))]
        if self.random.random() < 0.6:
            spec["policyTypes"] = self.random.choice((["Ingress"], ["Egress"], ["Ingress", "Egress"], ["Egress"]))
        namespace = self.random.choice(list(self.namespaces))
        return {"metadata": {"name": f"np{place}", "namespace": namespace}, "spec": spec}

    def _rule(self, peers: str) -> dict[str, Any]:
        rule: dict[str, Any] = {}
        if self.random.random() < 0.8:
            rule[peers] = [self._peer() for _ in range(self.random.randint(0, 3))]
        if self.random.random() < 0.6:
            rule["ports"] = [self._port() for _ in range(self.random.randint(0, 3))]
        return rule

    def _peer(self) -> dict[str, Any]:
        what = self.random.choice(("pods", "namespaces", "both", "block", "block"))
        if what == "block":
            cidr = self.random.choice(NETWORKS)
            return {"ipBlock": {"cidr": cidr} | ({"except": [INSIDE[cidr]]} if self.random.random() < 0.4 else {})}
        found = {"podSelector": self.selector()} if what != "namespaces" else {}
        return found | ({"namespaceSelector": self.selector()} if what != "pods" else {})

    def _port(self) -> dict[str, Any]:
        name, number, protocol = self.random.choice(PORTS)
        found: dict[str, Any] = {} if protocol == "TCP" and self.random.random() < 0.5 else {"protocol": protocol}
        what = self.random.random()
        if what < 0.4:
            return found | {"port": number}
        if what < 0.6:
            return found | {"port": name}
        if what < 0.8:
            low = self.random.choice((1, 50, 80, 5000))
            return found | {"port": low, "endPort": low + self.random.choice((0, 30, 4000))}
        return found

    def _end(self) -> tuple[Pod | None, str]:
        if self.random.random() < 0.2:
            return None, self.random.choice(("192.0.2.7", "192.0.2.200", "198.51.100.1", "10.96.0.1"))
        return self.random.choice(self.pods)

    def asks(self, count: int) -> list[tuple[tuple[Pod | None, str], tuple[Pod | None, str], int, str]]:
        """Return connections of two ends, one of them a pod at least, never a pod with itself."""
        found = []
        while len(found) < count:
            source, target = self._end(), self._end()
            if source[1] != target[1] and (source[0] or target[0]):
                _, number, protocol = self.random.choice((*PORTS, ("", 4711, "TCP"), ("", 53, "TCP")))
                found.append((source, target, number, protocol))
        return found

    # For each engine

    def moment(self) -> Moment:
        made = [
            network_policy(one["metadata"]["namespace"], one["metadata"]["name"], one["spec"]) for one in self.policies
        ]
        return Moment(tuple(made), self.namespaces)

    def filled(self) -> list[dict[str, Any]]:
        """The policies as an apiserver would have stored them, written apart from what is tested."""
        found = deepcopy(self.policies)
        for one in found:
            spec = one["spec"]
            spec.setdefault("policyTypes", ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
            for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
                for port in rule.get("ports", ()):
                    port.setdefault("protocol", "TCP")
        return found

    def told(self, end: tuple[Pod | None, str]) -> dict[str, Any]:
        pod, address = end
        if pod is None:
            return {"ip": address}
        return {
            "ip": address, "namespace": pod.namespace, "namespaceLabels": self.namespaces[pod.namespace],
            "labels": dict(pod.labels),
        }  # fmt: skip


def connection(ask: tuple[tuple[Pod | None, str], tuple[Pod | None, str], int, str]) -> Connection:
    source, target, port, protocol = ask
    return Connection(
        End(source[0], address16(source[1])), End(target[0], address16(target[1])), port, protocol.lower()
    )


def port_name(target: Pod | None, port: int, protocol: str) -> str:
    """What the destination's containers call a port."""
    ports = (target.ports or ()) if target else ()
    return next((one.name for one in ports if (one.number, one.protocol) == (port, protocol.lower())), "")

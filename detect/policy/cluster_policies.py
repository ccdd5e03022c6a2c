"""Reads policies of administrators: ClusterNetworkPolicy, and the older AdminNetworkPolicy and its Baseline.

Source: network-policy-api v0.3.0: policy.networking.k8s.io/v1beta1 and v1alpha2 have the same fields; v1alpha1 has the
older kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detect.policy.fields import Unreadable, as_list, as_map, as_number, as_text, one_key
from detect.policy.model import ADMIN, ALLOW, BASELINE, DENY, PASS, PROTOCOLS, Peer, Policy, PortMatch, Rule
from detect.policy.network_policies import MOST_PORT
from detect.policy.networks import Block, read_network
from detect.policy.selectors import EVERYTHING, Selector, read_selector

ACTIONS = {"Accept": ALLOW, "Allow": ALLOW, "Deny": DENY, "Pass": PASS}
PEERS = ("namespaces", "pods", "networks", "nodes", "domainNames")
OLDER = ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy")
MOST_PRIORITY = 1000
Ports = tuple[PortMatch, ...] | None


def cluster_policy(kind: str, name: str, spec: Any) -> Policy:
    """Read one. kind: ClusterNetworkPolicy, AdminNetworkPolicy or BaselineAdminNetworkPolicy. Raises: Unreadable."""
    told = as_map(spec, "spec")
    namespaces, pods = _subject(told.get("subject"), "spec.subject")
    tier = _tier(kind, told)
    fixed = kind == "BaselineAdminNetworkPolicy"
    return Policy(
        kind, "", name, tier, 0 if fixed else as_number(told.get("priority"), "spec.priority", 0, MOST_PRIORITY),
        pods, namespaces,
        _rules(told.get("ingress"), "spec.ingress", "from", kind),
        _rules(told.get("egress"), "spec.egress", "to", kind),
    )  # fmt: skip


def _tier(kind: str, spec: dict[str, Any]) -> str:
    if kind in OLDER:
        return BASELINE if kind.startswith("Baseline") else ADMIN
    tier = as_text(spec.get("tier"), "spec.tier")
    if tier not in (ADMIN, BASELINE):
        raise Unreadable(f"spec.tier is '{tier[:40]}', neither Admin nor Baseline")
    return tier


def _subject(told: Any, where: str) -> tuple[Selector, Selector]:
    """Return the selectors of namespaces and of pods."""
    key = one_key(told, ("namespaces", "pods"), where)
    if key == "namespaces":
        return read_selector(told[key], f"{where}.namespaces"), EVERYTHING
    if key != "pods":
        raise Unreadable(f"{where}.{key[:40]} is neither namespaces nor pods")
    return _pods(told[key], f"{where}.pods")


def _pods(told: Any, where: str) -> tuple[Selector, Selector]:
    one = as_map(told, where)
    return (
        read_selector(one.get("namespaceSelector"), f"{where}.namespaceSelector"),
        read_selector(one.get("podSelector"), f"{where}.podSelector"),
    )


def _rules(told: Any, where: str, peers: str, kind: str) -> tuple[Rule, ...] | None:
    ports = _older_ports if kind in OLDER else _protocols
    found = enumerate(as_list(told, where))
    return tuple(_rule(one, place + 1, f"{where}[{place}]", peers, ports) for place, one in found) or None


def _rule(told: Any, number: int, where: str, peers: str, ports: Callable[[dict[str, Any], str], Ports]) -> Rule:
    one = as_map(told, where)
    action = as_text(one.get("action"), f"{where}.action")
    if action not in ACTIONS:
        raise Unreadable(f"{where}.action is '{action[:40]}', not one of {', '.join(ACTIONS)}")
    found = [
        peer
        for place, each in enumerate(as_list(one.get(peers), f"{where}.{peers}"))
        for peer in _peer(each, f"{where}.{peers}[{place}]")
    ]
    if not found:
        raise Unreadable(f"{where}.{peers} names nobody")
    return Rule(number, tuple(found), ports(one, where), ACTIONS[action], str(one.get("name") or ""))


def _peer(told: Any, where: str) -> list[Peer]:
    key = one_key(told, PEERS, where)
    if key == "namespaces":
        return [Peer(EVERYTHING, read_selector(told[key], f"{where}.namespaces"))]
    if key == "pods":
        namespaces, pods = _pods(told[key], f"{where}.pods")
        return [Peer(pods, namespaces)]
    if key == "networks":
        several = as_list(told[key], f"{where}.networks")
        return [Peer(block=Block(read_network(one, f"{where}.networks"))) for one in several]
    # Of the experimental channel: nodes by their labels, names by what DNS said.
    return [Peer(unsupported=f"a peer of the kind '{key[:40]}'")]


def _protocols(rule: dict[str, Any], where: str) -> Ports:
    """Read `protocols` of a ClusterNetworkPolicy; absent is every protocol, ICMP as well."""
    found = as_list(rule.get("protocols"), f"{where}.protocols")
    return tuple(_protocol(one, f"{where}.protocols[{place}]") for place, one in enumerate(found)) or None


def _protocol(told: Any, where: str) -> PortMatch:
    key = one_key(told, (*PROTOCOLS, "destinationNamedPort"), where)
    if key == "destinationNamedPort":
        return PortMatch("", name=as_text(told[key], f"{where}.{key}"))
    if key not in PROTOCOLS:
        raise Unreadable(f"{where}.{key[:40]} is not one of {', '.join(PROTOCOLS)}")
    port = as_map(as_map(told[key], f"{where}.{key}").get("destinationPort"), f"{where}.{key}.destinationPort")
    inside = one_key(port, ("number", "range"), f"{where}.{key}.destinationPort")
    if inside == "number":
        number = as_number(port["number"], f"{where}.{key}.destinationPort.number", 1, MOST_PORT)
        return PortMatch(key, number, number)
    return _range(key, as_map(port.get("range"), where), f"{where}.{key}.destinationPort.range")


def _range(protocol: str, told: dict[str, Any], where: str) -> PortMatch:
    low = as_number(told.get("start"), f"{where}.start", 1, MOST_PORT)
    return PortMatch(protocol, low, as_number(told.get("end"), f"{where}.end", low, MOST_PORT))


def _older_ports(rule: dict[str, Any], where: str) -> Ports:
    """Read `ports` of the older kinds."""
    found = as_list(rule.get("ports"), f"{where}.ports")
    return tuple(_older_port(one, f"{where}.ports[{place}]") for place, one in enumerate(found)) or None


def _older_port(told: Any, where: str) -> PortMatch:
    key = one_key(told, ("portNumber", "portRange", "namedPort"), where)
    if key == "namedPort":
        return PortMatch("", name=as_text(told[key], f"{where}.namedPort"))
    one = as_map(told[key], f"{where}.{key}")
    protocol = as_text(one.get("protocol") or "TCP", f"{where}.{key}.protocol").lower()
    if protocol not in PROTOCOLS:
        raise Unreadable(f"{where}.{key}.protocol is '{protocol[:20]}', not TCP, UDP or SCTP")
    if key == "portRange":
        return _range(protocol, one, f"{where}.{key}")
    number = as_number(one.get("port"), f"{where}.{key}.port", 1, MOST_PORT)
    return PortMatch(protocol, number, number)

"""Reads a NetworkPolicy as git or an apiserver has it: defaults filled in or not. Source: networking.k8s.io/v1."""

from __future__ import annotations

from typing import Any

from detect.policy.fields import Unreadable, as_list, as_map, as_number, as_text
from detect.policy.model import PROTOCOLS, Peer, Policy, PortMatch, Rule
from detect.policy.networks import read_block
from detect.policy.selectors import read_selector

MOST_PORT = 65_535


def network_policy(namespace: str, name: str, spec: Any) -> Policy:
    """Read one. spec: its `spec`, null as well. Raises: Unreadable."""
    told = as_map(spec, "spec")
    directions = policy_types(told)
    return Policy(
        "NetworkPolicy",
        namespace,
        name,
        pods=read_selector(told.get("podSelector"), "spec.podSelector"),
        ingress=_rules(told.get("ingress"), "spec.ingress", "from") if "Ingress" in directions else None,
        egress=_rules(told.get("egress"), "spec.egress", "to") if "Egress" in directions else None,
    )


def policy_types(spec: dict[str, Any]) -> tuple[str, ...]:
    """Return the directions it isolates: as it says, or as the apiserver would write in. Raises: Unreadable."""
    told = as_list(spec.get("policyTypes"), "spec.policyTypes")
    for one in told:
        if one not in ("Ingress", "Egress"):
            raise Unreadable(f"spec.policyTypes has {str(one)[:40]!r}, which is neither Ingress nor Egress")
    if told:
        return tuple(told)
    return ("Ingress", "Egress") if as_list(spec.get("egress"), "spec.egress") else ("Ingress",)


def _rules(told: Any, where: str, peers: str) -> tuple[Rule, ...]:
    return tuple(
        _rule(one, place + 1, f"{where}[{place}]", peers) for place, one in enumerate(as_list(told, where))
    )  # fmt: skip


def _rule(told: Any, number: int, where: str, peers: str) -> Rule:
    """An empty list of peers or ports is stored as none, and so means all."""
    one = as_map(told, where)
    found = as_list(one.get(peers), f"{where}.{peers}")
    ports = as_list(one.get("ports"), f"{where}.ports")
    return Rule(
        number,
        tuple(_peer(each, f"{where}.{peers}[{place}]") for place, each in enumerate(found)) or None,
        tuple(_port(each, f"{where}.ports[{place}]") for place, each in enumerate(ports)) or None,
    )


def _peer(told: Any, where: str) -> Peer:
    one = as_map(told, where)
    pods, namespaces, block = one.get("podSelector"), one.get("namespaceSelector"), one.get("ipBlock")
    if block is not None:
        if pods is not None or namespaces is not None:
            raise Unreadable(f"{where} has ipBlock and a selector, which do not go together")
        return Peer(block=read_block(block, f"{where}.ipBlock"))
    if pods is None and namespaces is None:
        raise Unreadable(f"{where} names nobody: no podSelector, namespaceSelector or ipBlock")
    return Peer(
        read_selector(pods, f"{where}.podSelector"),
        None if namespaces is None else read_selector(namespaces, f"{where}.namespaceSelector"),
    )


def _port(told: Any, where: str) -> PortMatch:
    one = as_map(told, where)
    protocol = as_text(one.get("protocol") or "TCP", f"{where}.protocol").lower()
    if protocol not in PROTOCOLS:
        raise Unreadable(f"{where}.protocol is '{protocol[:20]}', not TCP, UDP or SCTP")
    port, end = one.get("port"), one.get("endPort")
    if end is not None and (isinstance(port, str) or port is None):
        raise Unreadable(f"{where}.endPort stands without a port that is a number")
    if port is None:
        return PortMatch(protocol)
    if isinstance(port, str):
        return PortMatch(protocol, name=port)
    low = as_number(port, f"{where}.port", 1, MOST_PORT)
    return PortMatch(protocol, low, low if end is None else as_number(end, f"{where}.endPort", low, MOST_PORT))

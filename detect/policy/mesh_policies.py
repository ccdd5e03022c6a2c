"""Reads Istio's AuthorizationPolicy and PeerAuthentication, as far as they speak of connections.

Source: security.istio.io/v1. What asks about requests (methods, paths, tokens) is kept by name, and not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from detect.policy.fields import Unreadable, as_list, as_map, as_text
from detect.policy.model import Policy
from detect.policy.networks import Network, read_network
from detect.policy.selectors import Selector, read_selector

MESH = "Mesh"
ALLOW, DENY, CUSTOM, AUDIT = ACTIONS = ("ALLOW", "DENY", "CUSTOM", "AUDIT")
STRICT, PERMISSIVE, DISABLE, UNSET = MODES = ("STRICT", "PERMISSIVE", "DISABLE", "UNSET")
# What of the attributes of `when` is known of a connection, by what it asks about.
CONDITIONS = {
    "source.ip": "ipBlocks", "source.namespace": "namespaces", "source.principal": "principals",
    "destination.ip": "destinations", "destination.port": "ports",
}  # fmt: skip
SOURCE = ("principals", "namespaces", "ipBlocks")
OPERATION = ("ports",)


class Asks(NamedTuple):
    """One thing that a rule asks: any of `values`, where there are some, and none of `refused`.

    about: principals, namespaces, ipBlocks, destinations or ports.
    """

    about: str
    values: tuple[str | Network, ...]
    refused: tuple[str | Network, ...]


class Part(NamedTuple):
    """A source, an operation or a condition: all it asks. unsupported: what it asks beside, of requests."""

    asks: tuple[Asks, ...]
    unsupported: str = ""


class Rule(NamedTuple):
    """A rule: one of the sources, one of the operations and all conditions. None: any."""

    number: int
    sources: tuple[Part, ...] | None
    operations: tuple[Part, ...] | None
    conditions: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Authorization(Policy):
    """An AuthorizationPolicy. targeted: it is bound to a gateway or Service, where requests are judged."""

    action: str = ALLOW
    asked: tuple[Rule, ...] = ()
    targeted: bool = False


@dataclass(frozen=True, eq=False)
class PeerAuthentication(Policy):
    """A PeerAuthentication. mode: one of MODES; ports: modes of single ports. all: it has no selector."""

    mode: str = UNSET
    ports: Mapping[int, str] = field(default_factory=dict)
    all: bool = True


def authorization(namespace: str, name: str, spec: Any) -> Authorization:
    """Read an AuthorizationPolicy. spec: its `spec`, null as well: it allows nothing. Raises: Unreadable."""
    told = as_map(spec, "spec")
    action = as_text(told.get("action") or ALLOW, "spec.action")
    if action not in ACTIONS:
        raise Unreadable(f"spec.action is '{action[:40]}', not one of {', '.join(ACTIONS)}")
    several = as_list(told.get("rules"), "spec.rules")
    return Authorization(
        "AuthorizationPolicy", namespace, name, MESH, pods=_selector(told), spec=spec, action=action,
        asked=tuple(_rule(one, place + 1, f"spec.rules[{place}]") for place, one in enumerate(several)),
        targeted=bool(told.get("targetRef") or told.get("targetRefs")),
    )  # fmt: skip


def peer_authentication(namespace: str, name: str, spec: Any) -> PeerAuthentication:
    """Read a PeerAuthentication. Raises: Unreadable."""
    told = as_map(spec, "spec")
    ports = as_map(told.get("portLevelMtls"), "spec.portLevelMtls")
    pods = _selector(told)
    return PeerAuthentication(
        "PeerAuthentication", namespace, name, MESH, pods=pods, spec=spec,
        mode=_mode(told.get("mtls"), "spec.mtls"),
        ports={_port(port): _mode(one, f"spec.portLevelMtls.{port}") for port, one in ports.items()},
        all=not pods.requirements,
    )  # fmt: skip


READERS = {"AuthorizationPolicy": authorization, "PeerAuthentication": peer_authentication}


def mesh_or_fault(kind: str, namespace: str, name: str, spec: Any) -> Policy:
    """Read one of READERS; what cannot be read is a policy with a fault, of which nobody knows what it does."""
    try:
        return READERS[kind](namespace, name, spec)
    except Unreadable as error:
        if kind == "AuthorizationPolicy":
            return Authorization(kind, namespace, name, MESH, fault=str(error), spec=spec)
        return PeerAuthentication(kind, namespace, name, MESH, fault=str(error), spec=spec)


def _selector(told: dict[str, Any]) -> Selector:
    """Istio's selectors know matchLabels alone."""
    found = as_map(told.get("selector"), "spec.selector")
    return read_selector({"matchLabels": found.get("matchLabels")}, "spec.selector")


def _mode(told: Any, where: str) -> str:
    mode = as_text(as_map(told, where).get("mode") or UNSET, f"{where}.mode")
    if mode not in MODES:
        raise Unreadable(f"{where}.mode is '{mode[:40]}', not one of {', '.join(MODES)}")
    return mode


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= 65_535):
        raise Unreadable(f"spec.portLevelMtls has '{text[:20]}', which is no port")
    return int(text)


def _rule(told: Any, number: int, where: str) -> Rule:
    one = as_map(told, where)
    odd = sorted(set(one) - {"from", "to", "when"})
    if odd:
        raise Unreadable(f"{where} has '{odd[0][:40]}', which is none of from, to, when")
    sources = _parts(one.get("from"), f"{where}.from", "source", SOURCE)
    operations = _parts(one.get("to"), f"{where}.to", "operation", OPERATION)
    when = as_list(one.get("when"), f"{where}.when")
    conditions = tuple(_condition(each, f"{where}.when[{place}]") for place, each in enumerate(when))
    return Rule(number, sources or None, operations or None, conditions)


def _parts(told: Any, where: str, name: str, known: tuple[str, ...]) -> tuple[Part, ...]:
    found = []
    for place, one in enumerate(as_list(told, where)):
        here = f"{where}[{place}].{name}"
        found.append(_part(as_map(as_map(one, f"{where}[{place}]").get(name), here), here, known))
    return tuple(found)


def _part(told: dict[str, Any], where: str, known: tuple[str, ...]) -> Part:
    if not any(told.values()):
        raise Unreadable(f"{where} asks nothing")
    asks = []
    for about in known:
        refusing = f"not{about[0].upper()}{about[1:]}"
        asks.append(_asks(about, told.get(about), told.get(refusing), where))
    mine = {one for about in known for one in (about, f"not{about[0].upper()}{about[1:]}")}
    beside = sorted(name for name, value in told.items() if value and name not in mine)
    return Part(tuple(one for one in asks if one.values or one.refused), ", ".join(beside))


def _condition(told: Any, where: str) -> Part:
    one = as_map(told, where)
    key = as_text(one.get("key"), f"{where}.key")
    if not one.get("values") and not one.get("notValues"):
        raise Unreadable(f"{where} asks nothing")
    if key not in CONDITIONS:
        return Part((), key)
    return Part((_asks(CONDITIONS[key], one.get("values"), one.get("notValues"), where),))


def _asks(about: str, values: Any, refused: Any, where: str) -> Asks:
    both = [
        tuple(_value(about, one, where) for one in as_list(several, f"{where}.{about}"))
        for several in (values, refused)
    ]
    return Asks(about, both[0], both[1])


def _value(about: str, told: Any, where: str) -> str | Network:
    text = as_text(told, f"{where}.{about}")
    if about in ("ipBlocks", "destinations"):
        return read_network(text if "/" in text else f"{text}/{128 if ':' in text else 32}", f"{where}.{about}")
    if about == "ports" and not (text.isascii() and text.isdigit()):
        raise Unreadable(f"{where}.ports has '{text[:20]}', which is no port")
    return text

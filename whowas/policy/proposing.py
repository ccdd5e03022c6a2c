"""Least-privilege policies out of flows: what is proposed for each workload, what is left out, and why."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from detect.policy.model import EGRESS, INGRESS, NAME_LABEL
from whowas.policy.seen_flows import ADDRESS, WORKLOAD, Edge, Left, Party, SeenFlows, Tally
from whowas.policy.workload_labels import WorkloadLabels
from whowas.timestamps import rfc3339

# Default deny there may take a cluster's DNS away: only where it is asked for by name.
APART = ("kube-system",)
DNS = 53
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DIRECTIONS = (INGRESS, EGRESS)
NAMES_SHOWN = 4


@dataclass
class Options:
    """What is asked for. namespaces: () is every one of which a workload was seen, but for APART."""

    namespaces: tuple[str, ...] = ()
    at_least: int = 1
    fan_in: int = 20
    ranges: Mapping[str, str] = field(default_factory=dict)


class Ruling(NamedTuple):
    """One rule: who may be at the other end, on which ports, and what was seen of it."""

    peers: tuple[Party, ...]
    ports: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]


@dataclass
class Subject:
    """What is proposed for one workload. name: of its policy. selector: as the API has it."""

    party: Party
    name: str
    selector: dict[str, Any]
    rules: dict[str, list[Ruling]]


@dataclass
class Proposal:
    """All that is proposed for one cluster. edges: what it admits, with what was seen of each (0 flows: goes with it).

    crowded: (service, port, callers) with more callers than addresses tell apart well. silent: workloads that get no
    policy of their own, and are denied everything.
    """

    cluster: str
    flows: int
    spaces: tuple[str, ...]
    subjects: list[Subject]
    edges: dict[Edge, Tally]
    left: dict[Left, Tally]
    crowded: list[tuple[str, str, int]]
    silent: list[str]
    labels: WorkloadLabels
    options: Options
    unreadable: list[tuple[str, str]]

    def made_of(self) -> int:
        """How many flows it is made of."""
        return sum(one.flows for one in self.edges.values())

    def cidr(self, party: Party) -> str:
        """Return the network that stands for an address."""
        return self.options.ranges.get(party.name) or f"{party.name}/{128 if ':' in party.name else 32}"

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        edges = sorted(self.edges.items())
        return {
            "cluster": self.cluster, "flows": self.flows, "made_of": self.made_of(), "namespaces": list(self.spaces),
            "workloads": [str(one.party) for one in self.subjects], "denied_everything": self.silent,
            "admits": [_said(edge) | tally.to_json() for edge, tally in edges if tally.flows],
            "left_out": [one._asdict() | tally.to_json() for one, tally in in_order(self.left)],
            "many_callers": [{"to": to, "port": port, "callers": count} for to, port, count in self.crowded],
            "unreadable": [{"path": path, "reason": why} for path, why in self.unreadable],
        }  # fmt: skip


def _said(edge: Edge) -> dict[str, Any]:
    return {"from": str(edge.source), "to": str(edge.target), "port": edge.port, "protocol": edge.protocol}


def in_order(left: Mapping[Left, Tally]) -> list[tuple[Left, Tally]]:
    """Return what is left out, by why, the most flows first."""
    return sorted(left.items(), key=lambda pair: (pair[0].why, -pair[1].flows, pair[0].source, pair[0].target))


def propose(seen: SeenFlows, labels: WorkloadLabels, ports: Mapping[tuple[Party, int, str], str], options: Options) -> Proposal:  # noqa: E501  # fmt: skip
    """Make policies of what was seen. ports: by workload, number and protocol what its containers call the port."""
    left = {one: tally for one, tally in seen.left.items() if _is_asked_for(one, options)}
    edges = _wanted(seen, labels, options, left)
    spaces = _spaces(edges, options)
    mine = {edge: tally for edge, tally in edges.items() if {edge.source.namespace, edge.target.namespace} & {*spaces}}
    # An answer that does not fit into a datagram is asked for again over TCP.
    for edge in [one for one in mine if one.port == DNS and one.protocol in ("udp", "tcp")]:
        mine.setdefault(edge._replace(protocol="tcp" if edge.protocol == "udp" else "udp"), Tally())
    parties = sorted({end for edge in mine for end in edge[:2] if end.kind == WORKLOAD and end.namespace in spaces})
    found = Proposal(
        seen.cluster, seen.flows, spaces, [], mine, left, _crowded(mine, options.fan_in),
        sorted(str(one) for one in {*seen.labels} - {*parties} if one.namespace in spaces), labels, options,
        seen.unreadable,
    )  # fmt: skip
    names = _names(parties)
    for party in parties:
        selector = labels.of(party)
        assert isinstance(selector, dict)
        rules = {way: _rules(found, party, way, seen, ports) for way in DIRECTIONS}
        found.subjects.append(Subject(party, names[party], selector, rules))
    return found


def _is_asked_for(one: Left, options: Options) -> bool:
    """Say whether what is left out is about a namespace that is asked for, or may be."""
    spaces = [end.partition("/")[0] for end in (one.source, one.target) if "/" in end]
    return not options.namespaces or not spaces or any(space in options.namespaces for space in spaces)


def _wanted(
    seen: SeenFlows, labels: WorkloadLabels, options: Options, left: dict[Left, Tally]
) -> dict[Edge, Tally]:  # fmt: skip
    """Return the connections that a proposal is made of; the others go to what is left out."""
    found = {}
    for edge, tally in seen.edges.items():
        why = _why_not(edge, tally, seen, labels, options)
        if why:
            one = Left(str(edge.source), str(edge.target), edge.port, edge.protocol, why)
            left |= {one: tally} if _is_asked_for(one, options) else {}
        else:
            found[edge] = tally
    return found


def _why_not(edge: Edge, tally: Tally, seen: SeenFlows, labels: WorkloadLabels, options: Options) -> str:
    if tally.flows < options.at_least:
        return f"seen less than {options.at_least} times"
    for end in edge[:2]:
        if end.kind == ADDRESS and end.name in seen.held:
            return f"{end.name} is an address that pods or Services hold at other times"
        told = labels.of(end) if end.kind == WORKLOAD else {}
        if isinstance(told, str):
            return told
    return ""


def _spaces(edges: Iterable[Edge], options: Options) -> tuple[str, ...]:
    if options.namespaces:
        return tuple(dict.fromkeys(options.namespaces))
    ends = {end.namespace for edge in edges for end in edge[:2] if end.kind == WORKLOAD}
    return tuple(sorted(ends - {*APART}))


def _crowded(edges: Iterable[Edge], most: int) -> list[tuple[str, str, int]]:
    callers: dict[tuple[Party, int, str], set[Party]] = defaultdict(set)
    for edge in edges:
        if edge.target.kind == WORKLOAD:
            callers[edge.target, edge.port, edge.protocol].add(edge.source)
    return sorted(
        (str(to), f"{port}/{protocol}", len(several))
        for (to, port, protocol), several in callers.items()
        if len(several) > most
    )


def _names(parties: Collection[Party]) -> dict[Party, str]:
    """Name the policies: a workload's own name, where it can be one and is one workload's alone."""
    found: dict[Party, str] = {}
    used: set[tuple[str, str]] = set()
    for one in parties:
        name = f"allow-{one.name}"
        if not NAME.fullmatch(name) or (one.namespace, name) in used:
            name = f"allow-{hashlib.sha256(repr(one).encode()).hexdigest()[:12]}"
        used.add((one.namespace, name))
        found[one] = name
    return found


def _rules(
    found: Proposal, party: Party, way: str, seen: SeenFlows, names: Mapping[tuple[Party, int, str], str]
) -> list[Ruling]:  # fmt: skip
    """Return the rules of one direction: who is let in on the same ports shares one."""
    by_peer: dict[Party, dict[tuple[str, int], tuple[Edge, Tally]]] = defaultdict(dict)
    for edge, tally in found.edges.items():
        own, other = (edge.target, edge.source) if way == INGRESS else (edge.source, edge.target)
        if own == party:
            by_peer[other][edge.protocol, edge.port] = edge, tally
    by_ports: dict[tuple[tuple[str, int], ...], list[Party]] = defaultdict(list)
    for peer, several in by_peer.items():
        by_ports[tuple(sorted(several))].append(peer)
    return [
        Ruling(tuple(sorted(peers)), ports, _notes(sorted(peers), by_peer, seen, names))
        for ports, peers in sorted(by_ports.items())
    ]


def _notes(peers: list[Party], by_peer: Any, seen: SeenFlows, names: Mapping[tuple[Party, int, str], str]) -> tuple[str, ...]:  # noqa: E501  # fmt: skip
    """Say of each peer and port what was seen."""
    lines = []
    for peer in peers:
        called = {*seen.called.get(peer, ()), *(name for _, one in by_peer[peer].values() for name in one.names)}
        shown = sorted(called)[:NAMES_SHOWN] if peer.kind == ADDRESS else []
        title = f"{peer} ({', '.join(shown)})" if shown else str(peer)
        for (protocol, port), (edge, tally) in sorted(by_peer[peer].items()):
            word = names.get((edge.target, port, protocol))
            port_said = f"{port}/{protocol}" + (f" ({word})" if word else "")
            lines.append(f"{title} {port_said}: {_counted(tally)}")
    return tuple(lines)


def _counted(tally: Tally) -> str:
    if not tally.flows:
        return "not seen; DNS goes over both"
    times = f"{rfc3339(tally.first_us)[:19]}Z .. {rfc3339(tally.last_us)[:19]}Z"
    return f"{tally.flows:,} flow{'' if tally.flows == 1 else 's'}, {times}"


def in_namespace(party: Party) -> dict[str, Any]:
    """Return the selector of a workload's namespace: its name is a label that the apiserver sees to."""
    return {"matchLabels": {NAME_LABEL: party.namespace}}

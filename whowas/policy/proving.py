"""Proves a proposal: it admits what it was made of, and nothing else between the workloads that were seen."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from detect.policy.model import NAME_LABEL, PROTOCOLS, Connection, End, Moment, Peer, Pod, Policy
from detect.policy.selectors import Selector
from detect.policy.verdicts import decide
from whowas.addresses import address16
from whowas.policy.proposing import Proposal
from whowas.policy.seen_flows import ADDRESS, WORKLOAD, Edge, Party, SeenFlows
from whowas.policy.workload_labels import Labels

# Of addresses that nobody has (RFC 5737, 3849) those that no rule names stand for all others.
OUTSIDE = tuple(f"203.0.113.{n}" for n in range(1, 250)) + tuple(f"2001:db8:ffff::{n:x}" for n in range(1, 250))
FAULTS_MOST = 20
NEW = "198.18.0.1"  # of RFC 2544: no network has it


Net = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proof(NamedTuple):
    """What was tried. faults: in words, [] where it holds."""

    admitted: int
    refused: int
    faults: list[str]


class Tried(NamedTuple):
    """An end to try. twin: another pod of the same workload, None where there is none to try."""

    party: Party
    end: End
    twin: End | None = None


def prove(found: Proposal, seen: SeenFlows, policies: list[Policy]) -> Proof:
    """Judge every pair of ends on every port that tells anything by policies as they were read back from the text."""
    ends = [*_pods(seen, policies), *_newcomers(found), *_addresses(found, policies)]
    spaces = {one.party.namespace for one in ends if one.party.namespace} | {*found.spaces}
    moment = Moment(tuple(policies), {name: {NAME_LABEL: name} for name in spaces})
    wanted = _Wanted(found, policies, ends)
    faults: list[str] = []
    counts = [0, 0]
    for source, target in product(ends, ends):
        if WORKLOAD not in (source.party.kind, target.party.kind):
            continue
        other = target.twin if source is target else target.end
        if other is None:
            continue
        for port, protocol in wanted.ports(source.party, target.party):
            want = wanted.passes(source, target, port, protocol)
            counts[not want] += 1
            told = decide(moment, Connection(source.end, other, port, protocol))
            if told.passes() != want and len(faults) < FAULTS_MOST:
                should = "is to pass" if want else "is not to pass"
                faults.append(f"{source.party} -> {target.party} {port}/{protocol} {should}, and is {told.word}: {told.reason}")  # noqa: E501  # fmt: skip
    return Proof(counts[0], counts[1], faults)


class _Wanted:
    """What is to pass, and what is tried: the ports of the connections wanted, and those that the policies name."""

    def __init__(self, found: Proposal, policies: Iterable[Policy], ends: Iterable[Tried]) -> None:
        self._spaces = {*found.spaces}
        self._edges = {edge for edge in found.edges if ADDRESS not in (edge.source.kind, edge.target.kind)}
        self._blocks: dict[tuple[Party, str, int, str], list[Net]] = defaultdict(list)
        # Of each end, by direction: what a rule about it may tell from all other ports.
        self._told: dict[tuple[Party, str], set[tuple[int, str]]] = defaultdict(set)
        for edge in found.edges:
            for way, own, other in (("from", edge.source, edge.target), ("to", edge.target, edge.source)):
                self._told[own, way].add((edge.port, edge.protocol))
                if other.kind == ADDRESS:
                    self._blocks[own, way, edge.port, edge.protocol].append(ipaddress.ip_network(found.cidr(other)))
        self._add_named([*policies], ends)
        used = {port for several in self._told.values() for port, _ in several}
        self._unused = next(port for port in range(1, 65_536) if port not in used)

    def _add_named(self, policies: list[Policy], ends: Iterable[Tried]) -> None:
        for one in ends:
            pod = one.end.pod
            for policy in policies if pod is not None else ():
                if pod is None or policy.namespace != pod.namespace:
                    continue
                if policy.pods is not None and policy.pods.selects(pod.labels):
                    for way, rules in (("from", policy.egress), ("to", policy.ingress)):
                        named = (port for rule in rules or () for port in rule.ports or ())
                        self._told[one.party, way] |= {(port.low, port.protocol) for port in named if port.low}

    def ports(self, source: Party, target: Party) -> Iterator[tuple[int, str]]:
        """Yield what may be judged otherwise: ports of rules about either, and one of no rule, which stands for all."""
        yield from sorted(self._told.get((source, "from"), set()) | self._told.get((target, "to"), set()))
        yield from ((self._unused, one) for one in PROTOCOLS)

    def passes(self, source: Tried, target: Tried, port: int, protocol: str) -> bool:
        """Say whether a connection is to pass: one that is of no namespace of the proposal always is."""
        if not {source.party.namespace, target.party.namespace} & self._spaces:
            return True
        if source.party.kind == WORKLOAD and target.party.kind == WORKLOAD:
            return Edge(source.party, target.party, port, protocol) in self._edges
        own, other, way = (source, target, "from") if source.party.kind == WORKLOAD else (target, source, "to")
        address = ipaddress.ip_address(other.party.name)
        return any(address in net for net in self._blocks.get((own.party, way, port, protocol), ()))


def _pods(seen: SeenFlows, policies: Iterable[Policy]) -> Iterator[Tried]:
    """Yield a pod of each workload; several where selectors tell its pods apart."""
    selectors = list(dict.fromkeys(_selectors(policies)))
    for party, several in sorted(seen.labels.items()):
        alike: dict[tuple[bool, ...], Labels] = {}
        for labels in sorted(several, key=sorted):
            alike.setdefault(tuple(one.selects(dict(labels)) for one in selectors), labels)
        for number, labels in enumerate(alike.values()):
            first, second = (_end(seen.addresses, party, labels, f"{number}-{twin}") for twin in "ab")
            yield Tried(party, first, second)


def _newcomers(found: Proposal) -> Iterator[Tried]:
    """Yield for each namespace a pod that nobody has seen yet: it is denied by default."""
    for space in found.spaces:
        party = Party(WORKLOAD, space, "(a pod that comes later)")
        yield Tried(party, *(_end({}, party, frozenset(), twin) for twin in "ab"))


def _end(addresses: Mapping[Party, str], party: Party, labels: Labels, word: str) -> End:
    name = f"{party.name}-{word}"
    pod = Pod(party.namespace, name, f"{party.workload_kind} {party} {word}", dict(labels))
    return End(pod, address16(addresses.get(party, NEW)))


def _selectors(policies: Iterable[Policy]) -> Iterator[Selector]:
    for policy in policies:
        if policy.pods is not None:
            yield policy.pods
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            yield from (peer.pods for peer in rule.peers or () if peer.pods is not None)


def _addresses(found: Proposal, policies: Iterable[Policy]) -> Iterator[Tried]:
    """Yield every address that the proposal was made of, and one of each family that no rule names."""
    named = sorted({end for edge in found.edges for end in edge[:2] if end.kind == ADDRESS})
    blocks = [peer.block for peer in _peers(policies) if peer.block is not None]
    for party in named:
        yield Tried(party, End(None, address16(party.name)))
    for four in (True, False):
        for text in OUTSIDE:
            address = address16(text)
            if address is not None and (":" not in text) == four and not any(one.holds(address) for one in blocks):
                yield Tried(Party(ADDRESS, "", text), End(None, address))
                break


def _peers(policies: Iterable[Policy]) -> Iterator[Peer]:
    for policy in policies:
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            yield from rule.peers or ()

"""Writes a proposal as NetworkPolicies: YAML with what was seen as comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from detect.policy.model import EGRESS, INGRESS
from whowas.errors import MissingExtra
from whowas.policy.proposing import Proposal, Ruling, Subject, in_namespace, in_order
from whowas.policy.seen_flows import ADDRESS, Party
from whowas.safe_text import clean

LEFT_SHOWN = 200
DENY = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
PEERS = {INGRESS: "from", EGRESS: "to"}


def network_policies(found: Proposal) -> str:
    """Return the text of a proposal. Raises: MissingExtra without PyYAML."""
    documents = [_document(space, "default-deny", DENY) for space in found.spaces]
    documents += [_subject(found, one) for one in found.subjects]
    return "---\n".join(["".join(_comments(_head(found))), *documents]) + "".join(_comments(_left(found)))


def _document(namespace: str, name: str, spec: dict[str, Any]) -> str:
    return _yaml({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })  # fmt: skip


def _subject(found: Proposal, one: Subject) -> str:
    spec: dict[str, Any] = {"podSelector": one.selector, "policyTypes": ["Ingress", "Egress"]}
    text = "".join(_comments([f"{one.party.workload_kind or 'Workload'} {one.party}"]))
    text += _document(one.party.namespace, one.name, spec)
    for way, rules in one.rules.items():
        if rules:
            text += f"  {way}:\n" + "".join(_rule(found, one.party, way, rule) for rule in rules)
    return text


def _rule(found: Proposal, own: Party, way: str, rule: Ruling) -> str:
    peers = [_peer(found, own, one) for one in rule.peers]
    ports = [{"protocol": protocol.upper(), "port": port} for protocol, port in rule.ports]
    distinct = [one for place, one in enumerate(peers) if one not in peers[:place]]
    text = "".join(_comments(rule.notes)) + _yaml([{PEERS[way]: distinct, "ports": ports}])
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


def _peer(found: Proposal, own: Party, other: Party) -> dict[str, Any]:
    if other.kind == ADDRESS:
        return {"ipBlock": {"cidr": found.cidr(other)}}
    pods = {"podSelector": found.labels.of(other)}
    return pods if other.namespace == own.namespace else {"namespaceSelector": in_namespace(other)} | pods


def _head(found: Proposal) -> Iterator[str]:
    yield f"Proposed from {found.made_of():,} of {found.flows:,} flows of cluster {found.cluster or '(not named)'}."
    yield "Proven: it admits each of these, and nothing else between the workloads that were seen."
    yield "It is added to the policies that are there: 'whowas policy simulate FILE --only' tries it without them."
    for one in found.silent[:LEFT_SHOWN]:
        yield f"{one} is denied everything: nothing that is certain was seen of it."
    for to, port, callers in found.crowded:
        yield f"{to} {port} has {callers} callers: rules by identity (a mesh) would say it better than these by labels."


def _left(found: Proposal) -> Iterator[str]:
    if not found.left:
        return
    count = sum(one.flows for one in found.left.values())
    yield f"Left out, {count:,} flow{'' if count == 1 else 's'}:"
    several = in_order(found.left)
    for one, tally in several[:LEFT_SHOWN]:
        port = "" if one.port is None else f" {one.port}"
        yield f"{one.source} -> {one.target}{port}/{one.protocol}: {tally.flows:,}, {one.why}"
    if len(several) > LEFT_SHOWN:
        yield f"and {len(several) - LEFT_SHOWN:,} lines more: --json has them all"


def _comments(lines: Iterable[str]) -> Iterator[str]:
    """Names are strangers' words: what would end a comment is escaped."""
    for one in lines:
        yield f"# {clean(one)}\n"


def _yaml(value: Any) -> str:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("yaml", "rules") from None
    return str(yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=120))

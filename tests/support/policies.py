"""Small clusters for policies: pods, namespaces, policies written as the API has them, and questions."""

from __future__ import annotations

from typing import Any

import msgspec

from detect.policy.kinds import read_policy
from detect.policy.model import NAME_LABEL, Connection, End, Moment, NamedPort, Pod, Policy
from detect.policy.verdicts import Verdict, decide
from whowas.addresses import address16
from whowas.observation import KubeObject, Observation

SECOND = 1_000_000
EPOCH = 1_795_168_800 * SECOND

NAMESPACES = {"a": {"team": "red"}, "b": {"team": "blue"}, "c": {}}


def pod(namespace: str = "a", name: str = "x", ports: str = "", **labels: str) -> Pod:
    """A pod; its UID is its name. ports: `http=8080/tcp web=80/tcp`."""
    found = []
    for word in ports.split():
        called, _, rest = word.partition("=")
        number, _, protocol = rest.partition("/")
        found.append(NamedPort(called, int(number), protocol or "tcp"))
    return Pod(namespace, name, f"{namespace}/{name}", labels, tuple(found), node="n1")


def at(one: Pod | None, address: str = "10.244.1.5", node: str = "") -> End:
    return End(one, address16(address), node)


def moment(*policies: Policy, namespaces: dict[str, dict[str, str]] | None = None) -> Moment:
    told = NAMESPACES if namespaces is None else namespaces
    return Moment(policies, {name: {NAME_LABEL: name, **labels} for name, labels in told.items()})


def np(spec: Any, namespace: str = "a", name: str = "p") -> Policy:
    return read_policy("NetworkPolicy", namespace, name, spec)


def ingress(*rules: Any, pods: Any = None) -> Policy:
    """A NetworkPolicy of namespace a on ingress."""
    return np({"podSelector": pods or {}, "policyTypes": ["Ingress"], "ingress": list(rules)})


def asked(
    source: End, target: End, port: int | None = 80, protocol: str = "tcp", *policies: Policy,
    namespaces: dict[str, dict[str, str]] | None = None,
) -> Verdict:  # fmt: skip
    return decide(moment(*policies, namespaces=namespaces), Connection(source, target, port, protocol))


def told(verb: str, kind: str, name: str, at: int, spec: Any = None, created: str = "", **labels: str) -> Observation:
    """What was said of an object so many seconds after EPOCH, 10:00 of 20 November 2026. Its UID is its name."""
    meta = {"name": name, "namespace": "" if kind == "Namespace" else "shop", "uid": name, "labels": labels}
    if created:
        meta["creationTimestamp"] = created
    raw = msgspec.json.encode({"kind": kind, "metadata": meta, "spec": spec or {}})
    when = EPOCH + at * SECOND
    return Observation(verb, msgspec.json.decode(raw, type=KubeObject), when, when, None, "test")

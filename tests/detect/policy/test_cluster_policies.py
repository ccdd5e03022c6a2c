"""Tiers of administrators: which decides, what passes on, what nobody says."""

from __future__ import annotations

from typing import Any

import pytest
from support.policies import asked, at, np, pod

from detect.policy.fields import Unreadable
from detect.policy.kinds import read_or_fault, read_policy
from detect.policy.model import Policy

TARGET = at(pod("a", "target", "http=8080"), "10.244.1.9")
FRIEND = at(pod("b", "friend", app="c"), "10.244.1.5")
OUTSIDE = at(None, "192.0.2.7")
EVERYBODY = [{"namespaces": {}}]


def cnp(
    name: str, action: str, tier: str = "Admin", priority: int = 10, way: str = "ingress", **more: Any
) -> Policy:  # fmt: skip
    peers = {"from" if way == "ingress" else "to": more.pop("peers", EVERYBODY)}
    spec = {
        "tier": tier,
        "priority": priority,
        "subject": {"namespaces": {}},
        way: [{"action": action, **peers, **more}],
    }
    return read_policy("ClusterNetworkPolicy", "", name, spec)


NP_ALLOWS = np({"ingress": [{}]})
NP_DENIES = np({})


@pytest.mark.parametrize(
    ("policies", "want", "by"),
    [
        ([cnp("d", "Deny"), NP_ALLOWS], "denied", "d rule 1"),
        ([cnp("a", "Accept"), NP_DENIES], "allowed", "a rule 1"),
        ([cnp("p", "Pass", priority=1), cnp("d", "Deny", priority=2)], "open", None),
        ([cnp("p", "Pass", priority=1), cnp("d", "Deny", priority=2), NP_ALLOWS], "allowed", "a/p rule 1"),
        ([cnp("p", "Pass"), NP_ALLOWS, cnp("b", "Deny", "Baseline")], "allowed", "a/p rule 1"),
        ([cnp("b", "Deny", "Baseline")], "denied", "b rule 1"),
        ([cnp("b", "Deny", "Baseline"), NP_ALLOWS], "allowed", "a/p rule 1"),
        ([cnp("b", "Accept", "Baseline"), NP_DENIES], "denied", "a/p"),
        ([cnp("a", "Accept", priority=1), cnp("d", "Deny", priority=2)], "allowed", "a rule 1"),
        ([cnp("d", "Deny", priority=2), cnp("a", "Accept", priority=1)], "allowed", "a rule 1"),
        ([cnp("a", "Accept"), cnp("d", "Deny")], "undefined", "a rule 1"),
        ([cnp("d", "Deny"), cnp("e", "Deny")], "denied", "d rule 1"),
        ([], "open", None),
    ],
)
def test_tiers(policies: list[Policy], want: str, by: str | None) -> None:
    verdict = asked(FRIEND, TARGET, 80, "tcp", *policies)
    assert (verdict.word, next(iter(verdict.ingress.decided), None)) == (want, by)


def test_without_protocols_icmp_is_meant_too() -> None:
    on_80 = [{"tcp": {"destinationPort": {"number": 80}}}]
    assert asked(FRIEND, TARGET, None, "icmp", cnp("d", "Deny")).word == "denied"
    assert asked(FRIEND, TARGET, None, "icmp", cnp("d", "Deny", protocols=on_80)).word == "open"


def test_outside_sources_match_no_ingress_rule() -> None:
    assert asked(OUTSIDE, TARGET, 80, "tcp", cnp("d", "Deny")).word == "open"


@pytest.mark.parametrize(
    ("port", "protocol", "told", "want"),
    [
        (80, "tcp", {"tcp": {"destinationPort": {"number": 80}}}, "denied"),
        (81, "tcp", {"tcp": {"destinationPort": {"number": 80}}}, "open"),
        (80, "udp", {"tcp": {"destinationPort": {"number": 80}}}, "open"),
        (85, "udp", {"udp": {"destinationPort": {"range": {"start": 80, "end": 90}}}}, "denied"),
        (8080, "tcp", {"destinationNamedPort": "http"}, "denied"),
        (8081, "tcp", {"destinationNamedPort": "http"}, "open"),
    ],
)
def test_protocols(port: int, protocol: str, told: dict[str, Any], want: str) -> None:
    assert asked(FRIEND, TARGET, port, protocol, cnp("d", "Deny", protocols=[told])).word == want


def test_networks_and_what_is_not_judged() -> None:
    to_net = cnp("d", "Deny", way="egress", peers=[{"networks": ["192.0.2.0/24"]}])
    assert asked(TARGET, OUTSIDE, 80, "tcp", to_net).word == "denied"
    to_nodes = cnp("d", "Deny", way="egress", peers=[{"nodes": {}}])
    verdict = asked(TARGET, OUTSIDE, 80, "tcp", to_nodes)
    assert (verdict.word, "'nodes'" in verdict.reason) == ("unsupported", True)
    by_name = cnp("d", "Deny", way="egress", peers=[{"domainNames": ["*.example.org"]}])
    before = cnp("a", "Accept", priority=1, way="egress", peers=[{"networks": ["0.0.0.0/0"]}])
    assert asked(TARGET, OUTSIDE, 80, "tcp", before, by_name).word == "allowed"


def test_subjects() -> None:
    spec = {"tier": "Admin", "priority": 1, "ingress": [{"action": "Deny", "from": EVERYBODY}]}
    for subject, want in (
        ({"namespaces": {"matchLabels": {"team": "red"}}}, "denied"),
        ({"namespaces": {"matchLabels": {"team": "blue"}}}, "open"),
        ({"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "c"}}}}, "open"),
    ):
        policy = read_policy("ClusterNetworkPolicy", "", "d", spec | {"subject": subject})
        assert asked(FRIEND, TARGET, 80, "tcp", policy).word == want


def test_the_older_kinds() -> None:
    admin = {"priority": 5, "subject": {"namespaces": {}}, "ingress": [
        {"action": "Deny", "from": EVERYBODY, "ports": [{"portNumber": {"protocol": "TCP", "port": 80}},
                                                        {"portRange": {"protocol": "UDP", "start": 1, "end": 9}},
                                                        {"namedPort": "http"}]}]}  # fmt: skip
    older = read_policy("AdminNetworkPolicy", "", "anp", admin)
    several = ((80, "tcp"), (9, "udp"), (8080, "tcp"), (80, "udp"))
    words = [asked(FRIEND, TARGET, port, protocol, older).word for port, protocol in several]
    assert words == ["denied", "denied", "denied", "open"]
    base = {"subject": {"namespaces": {}}, "ingress": [{"action": "Deny", "from": EVERYBODY}]}
    below = read_policy("BaselineAdminNetworkPolicy", "", "default", base)
    assert asked(FRIEND, TARGET, 80, "udp", older, below).word == "denied"
    assert asked(FRIEND, TARGET, 80, "tcp", older, cnp("a", "Accept")).word == "undefined"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tier": "admin"}, "neither Admin nor Baseline"),
        ({"priority": 1001}, "not between 0 and 1000"),
        ({"subject": {}}, "has 0 keys"),
        ({"subject": {"namespaces": {}, "pods": {}}}, "has 2 keys"),
        ({"ingress": [{"action": "Reject", "from": EVERYBODY}]}, "'Reject'"),
        ({"ingress": [{"action": "Deny", "from": []}]}, "names nobody"),
        ({"ingress": [{"action": "Deny", "from": EVERYBODY, "protocols": [{"tcp": {}}]}]}, "has 0 keys"),
        ({"ingress": [{"action": "Deny", "from": EVERYBODY, "protocols": [{"icmp": {}}]}]}, "icmp"),
        ({"egress": [{"action": "Deny", "to": [{"networks": ["x"]}]}]}, "no network"),
    ],
)
def test_refused_by_field(change: dict[str, Any], says: str) -> None:
    spec = {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}} | change
    with pytest.raises(Unreadable, match=says):
        read_policy("ClusterNetworkPolicy", "", "x", spec)


def test_a_policy_that_cannot_be_read_makes_no_verdict() -> None:
    broken = read_or_fault("NetworkPolicy", "a", "broken", {"policyTypes": ["Sideways"]})
    verdict = asked(FRIEND, TARGET, 80, "tcp", broken)
    assert (verdict.word, "a/broken" in verdict.reason) == ("unsupported", True)
    # What another one denies for certain may still be allowed by it; what is allowed stays so.
    assert asked(FRIEND, TARGET, 80, "tcp", broken, NP_DENIES).word == "unsupported"
    assert asked(FRIEND, TARGET, 80, "tcp", broken, NP_ALLOWS).word == "allowed"
    assert asked(TARGET, at(pod("b", "z")), 80, "tcp").word == "open"

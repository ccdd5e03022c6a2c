"""NetworkPolicy as engines judge it: corners that were run on them, and the truth tables of Kubernetes' own tests."""

from __future__ import annotations

from typing import Any

import pytest
from support.policies import asked, at, ingress, np, pod

from detect.policy.fields import Unreadable
from detect.policy.model import Policy

TARGET = at(pod("a", "target", "http=8080 http=9090/tcp dns=53/udp"), "10.244.1.9")
FRIEND = at(pod("a", "friend", app="c"), "10.244.1.5")
OTHER = at(pod("b", "other", k="y"), "10.244.2.5")
BARE = at(pod("c", "bare"), "10.244.3.5")
OUTSIDE = at(None, "192.0.2.7")


def word(policy: Policy, source: Any, port: int | None = 80, protocol: str = "tcp") -> str:
    return asked(source, TARGET, port, protocol, policy).word


@pytest.mark.parametrize(
    ("spec", "source", "port", "protocol", "want"),
    [
        ({"ports": [{"protocol": "TCP", "port": 80}]}, FRIEND, 80, "tcp", "allowed"),
        ({"ports": [{"protocol": "TCP", "port": 80}]}, FRIEND, 80, "udp", "denied"),
        ({"ports": [{"protocol": "TCP", "port": 80}]}, FRIEND, 80, "sctp", "denied"),
        ({"ports": [{"port": 80}]}, FRIEND, 81, "tcp", "denied"),
        ({"ports": [{}]}, FRIEND, 4711, "tcp", "allowed"),
        ({"ports": [{}]}, FRIEND, 4711, "udp", "denied"),
        ({"ports": [{"protocol": "SCTP"}]}, FRIEND, 4711, "sctp", "allowed"),
        ({"ports": [{"port": 80, "endPort": 80}]}, FRIEND, 80, "tcp", "allowed"),
        ({"ports": [{"port": 80, "endPort": 90}]}, FRIEND, 90, "tcp", "allowed"),
        ({"ports": [{"port": 80, "endPort": 90}]}, FRIEND, 91, "tcp", "denied"),
        ({"ports": [{"port": "http"}]}, FRIEND, 8080, "tcp", "allowed"),
        ({"ports": [{"port": "http"}]}, FRIEND, 9090, "tcp", "allowed"),
        ({"ports": [{"port": "http"}]}, FRIEND, 80, "tcp", "denied"),
        ({"ports": [{"port": "dns", "protocol": "UDP"}]}, FRIEND, 53, "udp", "allowed"),
        ({"ports": [{"port": "dns"}]}, FRIEND, 53, "udp", "denied"),
        ({}, OUTSIDE, 80, "tcp", "allowed"),
        ({"from": [], "ports": []}, OUTSIDE, 80, "udp", "allowed"),
        ({"from": [{"podSelector": {}}]}, FRIEND, 80, "tcp", "allowed"),
        ({"from": [{"podSelector": {}}]}, OTHER, 80, "tcp", "denied"),
        ({"from": [{"namespaceSelector": {}}]}, OTHER, 80, "tcp", "allowed"),
        ({"from": [{"namespaceSelector": {}}]}, OUTSIDE, 80, "tcp", "denied"),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]}, OTHER, 80, "tcp", "allowed"),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]}, FRIEND, 80, "tcp", "denied"),
        ({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "c"}}}]}, BARE, 80, "tcp",
         "allowed"),
        # Both in one peer must hold; two peers are an alternative.
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k": "y"}}}]}, OTHER, 80, "tcp",
         "allowed"),
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k": "y"}}}]}, FRIEND, 80, "tcp",
         "denied"),
        ({"from": [{"namespaceSelector": {}}, {"podSelector": {"matchLabels": {"k": "y"}}}]}, BARE, 80, "tcp",
         "allowed"),
        # A key that is absent meets NotIn, and no equality with an empty value.
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["x"]}]},
                    "namespaceSelector": {}}]}, BARE, 80, "tcp", "allowed"),
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["x"]}]},
                    "namespaceSelector": {}}]}, OTHER, 80, "tcp", "allowed"),
        ({"from": [{"podSelector": {"matchLabels": {"k": ""}}}]}, FRIEND, 80, "tcp", "denied"),
        ({"from": [{"podSelector": {"matchLabels": {"k": ""}}}]}, at(pod("a", "e", k="")), 80, "tcp", "allowed"),
        ({"from": [{"namespaceSelector": {"matchExpressions": [
            {"key": "team", "operator": "NotIn", "values": ["red"]}]}}]}, BARE, 80, "tcp", "allowed"),
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]}, FRIEND, 80, "tcp",
         "allowed"),
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}]}, FRIEND, 80,
         "tcp", "denied"),
        # Networks are of addresses, pods' too.
        ({"from": [{"ipBlock": {"cidr": "10.244.1.0/24"}}]}, FRIEND, 80, "tcp", "allowed"),
        ({"from": [{"ipBlock": {"cidr": "10.244.1.0/24", "except": ["10.244.1.5/32"]}}]}, FRIEND, 80, "tcp", "denied"),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, OUTSIDE, 80, "tcp", "allowed"),
        ({"from": [{"ipBlock": {"cidr": "10.244.1.77/24"}}]}, FRIEND, 80, "tcp", "allowed"),
        ({"from": [{"ipBlock": {"cidr": "010.244.001.0/24"}}]}, FRIEND, 80, "tcp", "allowed"),
        ({"from": [{"ipBlock": {"cidr": "::ffff:10.244.1.0/120"}}]}, FRIEND, 80, "tcp", "allowed"),
        ({"from": [{"ipBlock": {"cidr": "2001:DB8:0::/48"}}]}, at(None, "2001:db8::1"), 80, "tcp", "allowed"),
        ({"from": [{"ipBlock": {"cidr": "::/0"}}]}, FRIEND, 80, "tcp", "denied"),
        ({}, FRIEND, None, "icmp", "undefined"),
        ({}, FRIEND, None, "icmpv6", "undefined"),
    ],
)  # fmt: skip
def test_a_rule_of_ingress(spec: Any, source: Any, port: int | None, protocol: str, want: str) -> None:
    assert word(ingress(spec), source, port, protocol) == want


@pytest.mark.parametrize(
    ("spec", "into", "out"),
    [
        ({}, "denied", "open"),
        (None, "denied", "open"),
        ({"policyTypes": []}, "denied", "open"),
        ({"policyTypes": None, "egress": []}, "denied", "open"),
        ({"egress": [{}]}, "denied", "allowed"),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, "open", "denied"),
        ({"policyTypes": ["Ingress", "Egress"]}, "denied", "denied"),
        ({"ingress": [{}]}, "allowed", "open"),
        ({"podSelector": None}, "denied", "open"),
        ({"podSelector": {"matchLabels": {"app": "nobody"}}}, "open", "open"),
    ],
)
def test_policy_types_as_the_apiserver_fills_them_in(spec: Any, into: str, out: str) -> None:
    assert asked(OTHER, TARGET, 80, "tcp", np(spec)).word == into
    assert asked(TARGET, OTHER, 80, "tcp", np(spec)).word == out


def test_both_directions_must_let_it() -> None:
    into = ingress({"from": [{"namespaceSelector": {}}]})
    out = np({"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 443}]}]}, "b", "out")
    assert asked(OTHER, TARGET, 80, "tcp", into, out).word == "denied"
    verdict = asked(OTHER, TARGET, 443, "tcp", into, out)
    assert (verdict.word, verdict.ingress.decided, verdict.egress.decided) == (
        "allowed", ("a/p rule 1",), ("b/out rule 1",),
    )  # fmt: skip


def test_policies_add_up_and_their_order_does_not_matter() -> None:
    none, some = ingress(), ingress({"from": [{"podSelector": {"matchLabels": {"app": "c"}}}]})
    for policies in ((none, some), (some, none)):
        assert asked(FRIEND, TARGET, 80, "tcp", *policies).word == "allowed"
        assert asked(BARE, TARGET, 80, "tcp", *policies).word == "denied"


def test_a_named_port_of_egress_is_the_destinations() -> None:
    out = np({"policyTypes": ["Egress"], "egress": [{"ports": [{"port": "http"}]}]}, "b")
    assert asked(OTHER, TARGET, 8080, "tcp", out).word == "allowed"
    assert asked(OTHER, FRIEND, 8080, "tcp", out).word == "denied"
    assert asked(OTHER, OUTSIDE, 8080, "tcp", out).word == "denied"


def test_a_service_range_allows_the_address_and_not_the_pod_behind_it() -> None:
    out = np({"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.96.0.0/16"}}]}]}, "b")
    assert asked(OTHER, at(None, "10.96.0.7"), 80, "tcp", out).word == "allowed"
    assert asked(OTHER, TARGET, 80, "tcp", out).word == "denied"


def test_a_pod_on_its_nodes_network_is_no_pod_to_policies() -> None:
    host = at(type(pod())("a", "host", "a/host", {"app": "c"}, (), True, "n2"), "192.0.2.2")
    by_label = ingress({"from": [{"podSelector": {"matchLabels": {"app": "c"}}}]})
    assert word(by_label, host) == "denied"
    assert word(ingress({"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}), host) == "allowed"
    assert asked(FRIEND, host, 80, "tcp", np({"policyTypes": ["Ingress"]})).word == "open"


def test_what_cannot_be_blocked_is_allowed_with_its_reason() -> None:
    nothing = np({"policyTypes": ["Ingress", "Egress"]})
    for one, other in ((TARGET, TARGET), (at(None, "192.0.2.1", "n1"), TARGET), (TARGET, at(None, "192.0.2.1", "n1"))):
        verdict = asked(one, other, 80, "tcp", nothing)
        assert (verdict.word, bool(verdict.reason)) == ("allowed", True)
    assert asked(at(None, "192.0.2.2", "n2"), TARGET, 80, "tcp", nothing).word == "denied"


def test_icmp_is_undefined_only_where_something_isolates() -> None:
    assert asked(FRIEND, OTHER, None, "icmp").word == "open"
    assert asked(FRIEND, OTHER, None, "icmp", ingress({})).word == "open"
    assert asked(OTHER, FRIEND, None, "icmp", ingress({})).word == "undefined"


def test_labels_of_a_namespace_that_nobody_told_are_not_guessed() -> None:
    by_team = ingress({"from": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]})
    by_name = ingress({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "b"}}}]})
    assert asked(OTHER, TARGET, 80, "tcp", by_team, namespaces={}).word == "indeterminate"
    assert asked(OTHER, TARGET, 80, "tcp", by_name, namespaces={}).word == "allowed"
    assert asked(OTHER, TARGET, 80, "tcp", by_team, ingress({}), namespaces={}).word == "allowed"


def test_ports_that_nobody_told_are_not_guessed() -> None:
    silent = at(type(pod())("a", "silent", "s", {}, None), "10.244.1.7")
    assert asked(FRIEND, silent, 8080, "tcp", ingress({"ports": [{"port": "http"}]})).word == "indeterminate"
    assert asked(FRIEND, silent, 8080, "tcp", ingress({"ports": [{"port": "http"}]}, {})).word == "allowed"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ([], "spec is no mapping"),
        ({"podSelector": {"matchLabels": {"a": True}}}, "put it in quotes"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}}, "'Like'"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "no values"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}, "values"),
        ({"policyTypes": ["ingress"]}, "neither Ingress nor Egress"),
        ({"ingress": {}}, "no list"),
        ({"ingress": [{"from": [{}]}]}, "names nobody"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]}, "do not go together"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]}, "no network"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}]}, "no network"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]}, "strictly inside"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}]}, "strictly inside"),
        ({"ingress": [{"ports": [{"endPort": 80}]}]}, "endPort stands without"),
        ({"ingress": [{"ports": [{"port": "http", "endPort": 80}]}]}, "endPort stands without"),
        ({"ingress": [{"ports": [{"port": 80, "endPort": 79}]}]}, "not between 80"),
        ({"ingress": [{"ports": [{"port": 80, "protocol": "ICMP"}]}]}, "not TCP, UDP or SCTP"),
        ({"ingress": [{"ports": [{"port": 0}]}]}, "not between 1"),
    ],
)
def test_what_no_apiserver_would_take_is_refused_by_field(spec: Any, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        np(spec)

"""Istio's policies: the reference's words as cases, a table of unknowns, and a naive judge over random worlds."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from support.policies import at, pod

from detect.policy.mesh import NOT_KNOWN, Call, authorized, mtls_mode
from detect.policy.mesh_policies import READERS, Authorization, PeerAuthentication, authorization, mesh_or_fault
from detect.policy.mesh_policies import peer_authentication as peers
from whowas.spiffe import Account, SpiffeId, of_account

DB = pod("data", "db", app="db")
WEB = of_account("corp.example", Account("shop", "web"))
ADDRESS = at(None, "10.244.1.5").address


def call(caller: SpiffeId | None = WEB, port: int | None = 5432, root: str = "istio-system") -> Call:
    own = at(None, "10.244.1.9").address
    return Call(DB, caller, "nobody knows it", ADDRESS, own, port, root)


def word(*specs: Any, of: Call | None = None) -> str:
    """The verdict of policies of namespace data; a pair is (namespace, spec)."""
    several = [one if isinstance(one, tuple) else ("data", one) for one in specs]
    policies = [authorization(space, f"p{place}", spec) for place, (space, spec) in enumerate(several)]
    return authorized(policies, of or call()).verdict


def source(**asks: Any) -> dict[str, Any]:
    return {"rules": [{"from": [{"source": asks}]}]}


def operation(**asks: Any) -> dict[str, Any]:
    return {"rules": [{"to": [{"operation": asks}]}]}


def when(key: str, *values: str, refused: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"rules": [{"when": [{"key": key, "values": list(values), "notValues": list(refused)}]}]}


ALL: dict[str, Any] = {"rules": [{}]}
DENY_ALL: dict[str, Any] = {"action": "DENY", "rules": [{}]}

CASES = [
    # Without an ALLOW that is about it all passes; with one nothing else does. `{}` allows nothing, `[{}]` all.
    ([], "open"),
    ([{}], "denied"),
    ([None], "denied"),
    ([ALL], "allowed"),
    ([{"action": "DENY"}], "open"),
    ([DENY_ALL], "denied"),
    ([ALL, DENY_ALL], "denied"),
    ([{"action": "AUDIT", "rules": [{}]}], "open"),
    ([{"action": "CUSTOM", "provider": {"name": "x"}, "rules": [{}]}], "unsupported"),
    ([{"action": "CUSTOM", "rules": [{"to": [{"operation": {"ports": ["80"]}}]}]}, ALL], "allowed"),
    ([{"action": "CUSTOM", "rules": [{}]}, DENY_ALL], "denied"),
    ([{"action": "CUSTOM", "rules": [{}]}, {}], "denied"),
    # About whom: its own namespace, or from the root namespace everybody; labels all together.
    ([("shop", {})], "open"),
    ([("istio-system", {})], "denied"),
    ([{"selector": {"matchLabels": {"app": "db"}}}], "denied"),
    ([{"selector": {"matchLabels": {"app": "db", "tier": "x"}}}], "open"),
    ([("istio-system", {"selector": {"matchLabels": {"app": "web"}}})], "open"),
    # Principals: exact, prefix, suffix, presence; cluster.local is the mesh's own domain, whatever it is called.
    ([source(principals=["corp.example/ns/shop/sa/web"])], "allowed"),
    ([source(principals=["cluster.local/ns/shop/sa/web"])], "allowed"),
    ([source(principals=["cluster.local/ns/shop/sa/web2"])], "denied"),
    ([source(principals=["cluster.local/ns/shop/sa/we"])], "denied"),
    ([source(principals=["cluster.local/ns/Shop/sa/web"])], "denied"),
    ([source(principals=["spiffe://corp.example/ns/shop/sa/web"])], "denied"),
    ([source(principals=["corp.example/ns/shop/*"])], "allowed"),
    ([source(principals=["*/sa/web"])], "allowed"),
    ([source(principals=["*"])], "allowed"),
    ([source(principals=["old.example/ns/shop/sa/web"])], "indeterminate"),
    ([source(principals=["old.example/ns/shop/sa/other"])], "denied"),
    ([source(notPrincipals=["cluster.local/ns/shop/sa/web"])], "denied"),
    ([source(notPrincipals=["cluster.local/ns/shop/sa/web2"])], "allowed"),
    ([source(namespaces=["shop"])], "allowed"),
    ([source(namespaces=["sho*"])], "allowed"),
    ([source(namespaces=["data"])], "denied"),
    ([source(namespaces=["shop"], notPrincipals=["*/sa/web"])], "denied"),
    ([source(ipBlocks=["10.244.0.0/16"])], "allowed"),
    ([source(ipBlocks=["10.244.1.5"])], "allowed"),
    ([source(ipBlocks=["10.1.0.0/16"])], "denied"),
    ([source(notIpBlocks=["10.244.1.5"])], "denied"),
    ([source(ipBlocks=["2001:db8::1"])], "denied"),
    ([operation(ports=["5432"])], "allowed"),
    ([operation(ports=["80", "443"])], "denied"),
    ([operation(notPorts=["5432"])], "denied"),
    ([when("source.principal", "*/ns/shop/*")], "denied"),
    ([when("source.principal", "*/sa/web")], "allowed"),
    ([when("source.namespace", "shop")], "allowed"),
    ([when("source.ip", "10.244.1.0/24")], "allowed"),
    ([when("destination.ip", "10.244.1.9")], "allowed"),
    ([when("destination.port", "5432")], "allowed"),
    ([when("destination.port", refused=("5432",))], "denied"),
    # What asks about requests is not judged, unless what else it asks does not match.
    ([operation(methods=["GET"])], "unsupported"),
    ([operation(ports=["80"], methods=["GET"])], "denied"),
    ([operation(paths=["/x"]), ALL], "allowed"),
    ([source(requestPrincipals=["*"])], "unsupported"),
    ([source(remoteIpBlocks=["10.0.0.0/8"])], "unsupported"),
    ([source(serviceAccounts=["shop/web"])], "unsupported"),
    ([when("request.headers[x]", "y")], "unsupported"),
    ([{"action": "DENY"} | operation(paths=["/admin"]), ALL], "unsupported"),
    ([{"action": "DENY"} | operation(paths=["/admin"])], "unsupported"),
    ([{"targetRefs": [{"kind": "Service", "name": "db"}]}], "unsupported"),
    ([{"targetRefs": [{"kind": "Service", "name": "db"}]}, ALL], "allowed"),
    # One of several sources; all of what one of them asks; rules beside each other.
    ([{"rules": [{"from": [{"source": {"namespaces": ["x"]}}, {"source": {"namespaces": ["shop"]}}]}]}], "allowed"),
    ([{"rules": [{"from": [{"source": {"namespaces": ["shop"]}}], "to": [{"operation": {"ports": ["1"]}}]}]}],
     "denied"),
    ([{"rules": [{"to": [{"operation": {"ports": ["1"]}}]}, {"from": [{"source": {"namespaces": ["shop"]}}]}]}],
     "allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("specs", "expected"), CASES)
def test_authorization(specs, expected):
    assert word(*specs) == expected


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([source(namespaces=["shop"])], "indeterminate"),
        ([{"action": "DENY"} | source(namespaces=["shop"])], "indeterminate"),
        ([{"action": "DENY"} | source(notNamespaces=["shop"])], "indeterminate"),
        ([source(namespaces=["shop"]), ALL], "allowed"),
        ([source(namespaces=["shop"]) | {"action": "DENY"}, ALL], "indeterminate"),
        ([source(namespaces=["shop"]), DENY_ALL], "denied"),
        ([operation(ports=["5432"])], "allowed"),
        ([operation(ports=["80"])], "denied"),
    ],
)
def test_a_caller_that_nobody_knows(specs, expected):
    assert word(*specs, of=call(None)) == expected


def test_the_reason_names_the_rule():
    side = authorized([authorization("data", "deep", operation(ports=["5432"], paths=["/x"]))], call())
    assert (side.verdict, side.reason) == (
        "unsupported", "AuthorizationPolicy data/deep rule 1 asks for paths, which no connection shows",
    )  # fmt: skip


def test_the_walk_tells_each_policy_once():
    policies = [
        authorization("data", "deny", {"action": "DENY"} | operation(ports=["80"])),
        authorization("data", "allow", {"rules": [{"to": [{"operation": {"ports": [one]}}]} for one in ("1", "5432")]}),
        authorization("data", "deep", operation(methods=["GET"])),
        authorization("shop", "other", {}),
    ]
    side = authorized(policies, call())
    assert (side.verdict, side.decided) == ("allowed", ("data/allow rule 2",))
    assert [(str(one.policy), one.rule, one.said.partition(":")[0]) for one in side.walk] == [
        ("data/deny", 0, "is about it; none of its rules matches"), ("data/allow", 2, "allows it"),
        ("data/deep", 1, "may be it (allows it)"),
    ]  # fmt: skip


FAULTS = [
    {"action": "allow"}, {"action": 1}, {"rules": {}}, {"rules": [1]}, {"rules": [{"From": []}]},
    {"rules": [{"from": [{"source": {}}]}]}, {"rules": [{"to": [{}]}]}, {"rules": [{"when": [{"values": ["x"]}]}]},
    {"rules": [{"when": [{"key": "source.ip"}]}]}, {"selector": {"matchLabels": {"a": 1}}}, {"selector": "x"},
    source(ipBlocks=["x"]), source(principals="x"), source(principals=[1]), operation(ports=["http"]), [], "x",
]  # fmt: skip


@pytest.mark.parametrize("spec", FAULTS)
def test_what_cannot_be_read_may_be_anything(spec):
    """Nothing is allowed beside it, for it may deny; what another one denies stays denied."""
    odd = mesh_or_fault("AuthorizationPolicy", "data", "odd", spec)
    assert isinstance(odd, Authorization)
    assert odd.fault
    for beside, expected in ([], "unsupported"), ([ALL], "unsupported"), ([{}], "unsupported"), ([DENY_ALL], "denied"):
        assert authorized([odd, *(authorization("data", "b", one) for one in beside)], call()).verdict == expected


def test_mtls():
    strict, loose, unset = ({"mtls": {"mode": one}} for one in ("STRICT", "PERMISSIVE", "UNSET"))
    own = {"selector": {"matchLabels": {"app": "db"}}}
    other = {"selector": {"matchLabels": {"app": "web"}}}
    ports = {"portLevelMtls": {"5432": {"mode": "DISABLE"}}}
    cases: list[tuple[list[tuple[str, Any]], str]] = [
        ([], "PERMISSIVE"),
        ([("data", strict)], "STRICT"),
        ([("shop", strict)], "PERMISSIVE"),
        ([("istio-system", strict)], "STRICT"),
        ([("istio-system", strict), ("data", loose)], "PERMISSIVE"),
        ([("istio-system", strict), ("data", unset)], "STRICT"),
        ([("istio-system", strict), ("data", {})], "STRICT"),
        ([("data", strict), ("data", own | loose)], "PERMISSIVE"),
        ([("data", strict), ("data", other | loose)], "STRICT"),
        ([("data", own | strict | ports)], "DISABLE"),
        ([("data", own | unset | {"portLevelMtls": {"80": {"mode": "DISABLE"}}}), ("data", strict)], "STRICT"),
        # Ports count with a selector alone; a selector in the root namespace counts for nobody elsewhere.
        ([("data", strict | ports)], "STRICT"),
        ([("istio-system", own | strict)], "PERMISSIVE"),
        ([("data", strict), ("data", loose)], NOT_KNOWN),
        ([("data", {"mtls": {"mode": "strict"}})], NOT_KNOWN),
        ([("data", own | {"portLevelMtls": {"x": {}}})], NOT_KNOWN),
    ]
    for told, expected in cases:
        several = [mesh_or_fault("PeerAuthentication", space, "p", spec) for space, spec in told]
        assert all(isinstance(one, PeerAuthentication) for one in several)
        assert mtls_mode(several, DB, 5432, "istio-system") == expected, told
    assert peers("data", "p", own | ports).ports == {5432: "DISABLE"}


def naive(specs: list[Any], caller: SpiffeId, port: int) -> str:
    """The reference's four sentences, over specs of which all is known."""

    def matches(rule: dict[str, Any]) -> bool:
        inside = [one["source"] for one in rule.get("from", [])]
        outside = [one["operation"] for one in rule.get("to", [])]
        space = caller.path.split("/")[2]
        from_ok = not inside or any(
            space in one.get("namespaces", [space]) and space not in one.get("notNamespaces", []) for one in inside
        )
        return from_ok and (not outside or any(str(port) in one["ports"] for one in outside))

    def any_of(action: str) -> bool:
        return any(matches(rule) for one in specs if one["action"] == action for rule in one.get("rules", []))

    if any_of("DENY"):
        return "denied"
    if not any(one["action"] == "ALLOW" for one in specs):
        return "open"
    return "allowed" if any_of("ALLOW") else "denied"


def test_random_worlds():
    draw = random.Random(17)
    spaces, words = ("shop", "batch", "data"), set()

    def rule() -> dict[str, Any]:
        made: dict[str, Any] = {}
        if draw.random() < 0.7:
            made["from"] = [
                {"source": {draw.choice(["namespaces", "notNamespaces"]): draw.sample(spaces, draw.randint(1, 2))}}
                for _ in range(draw.randint(1, 2))
            ]
        if draw.random() < 0.6:
            made["to"] = [{"operation": {"ports": draw.sample(["80", "443", "5432"], draw.randint(1, 2))}}]
        return made

    for _ in range(1_500):
        specs = [
            {"action": draw.choice(["ALLOW", "DENY", "AUDIT"]), "rules": [rule() for _ in range(draw.randint(0, 2))]}
            for _ in range(draw.randint(0, 4))
        ]
        for space, port in product(spaces, (80, 5432)):
            caller = of_account("td", Account(space, "x"))
            assert caller is not None
            found = word(*specs, of=call(caller, port))
            assert found == naive(specs, caller, port), (specs, space, port)
            words.add(found)
    assert words == {"allowed", "denied", "open"}


def test_readers_take_anything():
    """Damaged specs are read, or become a fault: nothing else comes out."""
    draw = random.Random(4)
    pieces: list[Any] = [None, 1, "x", [], {}, True, ["x"], {"x": 1}, "STRICT", -1, "80"]
    names = ["rules", "action", "selector", "from", "to", "when", "source", "operation", "ports", "principals",
             "mtls", "mode", "portLevelMtls", "matchLabels", "key", "values", "ipBlocks", "targetRef"]  # fmt: skip

    def make(depth: int) -> Any:
        if depth == 0 or draw.random() < 0.2:
            return draw.choice(pieces)
        if draw.random() < 0.4:
            return [make(depth - 1) for _ in range(draw.randint(0, 3))]
        return {draw.choice(names): make(depth - 1) for _ in range(draw.randint(0, 4))}

    faults = 0
    for _ in range(5_000):
        one = mesh_or_fault(draw.choice(list(READERS)), "data", "p", make(5))
        faults += bool(one.fault)
        if isinstance(one, Authorization):
            assert authorized([one], call()).verdict
        else:
            assert isinstance(one, PeerAuthentication)
            assert mtls_mode([one], DB, 80, "r")
    assert 500 < faults < 5_000

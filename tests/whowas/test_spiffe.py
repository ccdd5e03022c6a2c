"""SPIFFE ids against the standard's words: what is one, what is none, and which are the same."""

from __future__ import annotations

import random
import string

import pytest

from whowas.spiffe import (
    Account,
    NoSpiffeId,
    account_of,
    linkerd_account,
    linkerd_name,
    of_account,
    parse,
    same,
    trust_domain,
)

SHOP = Account("shop", "web")

# From SPIFFE-ID, sections 2.1 to 2.4: its own examples, and one for each of its musts.
IDS = [
    ("spiffe://staging.example.com/payments/mysql", "staging.example.com", "/payments/mysql"),
    ("spiffe://k8s-west.example.com/ns/staging/sa/default", "k8s-west.example.com", "/ns/staging/sa/default"),
    ("spiffe://example.com/9eebccd2-12bf-40a6-b262-65fe0487d453", "example.com", None),
    ("spiffe://example.com", "example.com", ""),
    ("SPIFFE://Example.COM/Case/stays", "example.com", "/Case/stays"),
    ("spiffe://10.0.0.1/a", "10.0.0.1", "/a"),
    ("spiffe://-a_b.c/._-", "-a_b.c", "/._-"),
    ("spiffe://td/.../..a", "td", "/.../..a"),
]
NONE = [
    "", "spiffe", "spiffe:", "spiffe:/", "spiffe://", "spiffe:///path", "http://example.com/a", "//example.com/a",
    "spiffe://example.com/", "spiffe://example.com//a", "spiffe://example.com/a/", "spiffe://example.com/./a",
    "spiffe://example.com/a/..", "spiffe://example.com/a?q=1", "spiffe://example.com/a#f", "spiffe://example.com?q",
    "spiffe://user@example.com/a", "spiffe://user:word@example.com/a", "spiffe://example.com:8443/a",
    "spiffe://exa%6Dple.com/a", "spiffe://example.com/%61", "spiffe://example.com/a b", "spiffe://example.com/a\n",
    "spiffe://example.com/a\x00", "spiffe://exämple.com/a", "spiffe://example.com/ä", "spiffe://example.com/a\\b",
    " spiffe://example.com/a", "spiffe://[::1]/a", "spiffe://example.com/a:b", "spiffe://\u017f/a",
    "spiffe://\u212a/a", "\u017fpiffe://k/a",
]  # fmt: skip


@pytest.mark.parametrize(("text", "domain", "path"), IDS)
def test_ids(text, domain, path):
    found = parse(text)
    assert found.trust_domain == domain
    assert path is None or found.path == path
    assert parse(str(found)) == found


@pytest.mark.parametrize("text", NONE)
def test_none(text):
    with pytest.raises(NoSpiffeId):
        parse(text)


def test_bounds():
    assert parse("spiffe://" + "a" * 255).path == ""
    with pytest.raises(NoSpiffeId, match="255"):
        parse("spiffe://" + "a" * 256)
    whole = "spiffe://a/" + "b" * (2048 - 11)
    assert str(parse(whole)) == whole
    with pytest.raises(NoSpiffeId, match="2048"):
        parse(whole + "b")


def test_every_character():
    """Each of the first 0x2000 characters, alone, in both parts: only those of the standard are taken."""
    path = set(string.ascii_letters + string.digits + "._-/")
    domain = set(string.ascii_letters + string.digits + "._-/")
    for one in map(chr, range(0x2000)):
        for text, allowed in ((f"spiffe://td/x{one}x", path), (f"spiffe://x{one}x", domain)):
            if one in allowed:
                assert parse(text)
            else:
                with pytest.raises(NoSpiffeId):
                    parse(text)


def test_same():
    assert same("spiffe://A.b/Ns", "Spiffe://a.B/Ns")
    assert not same("spiffe://a.b/Ns", "spiffe://a.b/ns")
    assert not same("spiffe://a.b/ns/x/sa/y", "spiffe://a.b/ns/x/sa/y.z")


def test_trust_domain():
    assert trust_domain("Cluster.Local") == "cluster.local"
    for text in ("", "a/b", "spiffe://a", "a:1", "a b", "x" * 256):
        with pytest.raises(NoSpiffeId):
            trust_domain(text)


def test_accounts():
    made = of_account("cluster.local", SHOP)
    assert str(made) == "spiffe://cluster.local/ns/shop/sa/web"
    assert account_of(made) == SHOP
    # An account's name may hold dots: parts of the path are compared whole.
    assert account_of(parse("spiffe://td/ns/a/sa/b.c")) == Account("a", "b.c")
    for other in ("", "/ns/a/sa", "/ns/a/sa/b/c", "/sa/a/ns/b", "/payments/mysql", "/NS/a/sa/b"):
        assert account_of(parse(f"spiffe://td{other}")) is None


@pytest.mark.parametrize("odd", ["", "a/b", "a b", "..", "-a", "A", "a\n", "a..b", "a" * 300, "ä", "*"])
def test_names_that_no_apiserver_takes(odd):
    assert of_account("td", Account("shop", odd)) is None
    assert of_account("td", Account(odd, "web")) is None
    assert linkerd_name("td", Account("shop", odd), "linkerd") is None
    assert linkerd_name("td", SHOP, odd) is None


def test_linkerd():
    name = linkerd_name("cluster.local", Account("shop", "web.v2"), "linkerd")
    assert name == "web.v2.shop.serviceaccount.identity.linkerd.cluster.local"
    assert linkerd_account(name.upper(), "cluster.local", "linkerd") == Account("shop", "web.v2")
    assert linkerd_account(name, "other.local", "linkerd") is None
    assert linkerd_account("shop.serviceaccount.identity.linkerd.cluster.local", "cluster.local", "linkerd") is None


def test_damaged():
    """What is taken is told again the same; all else raises one kind of error."""
    draw = random.Random(17)
    whole = "spiffe://cluster.local/ns/shop/sa/web"
    taken = 0
    for _ in range(20_000):
        text = list(whole)
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(text) + 1)
            text[place : place + draw.randint(0, 2)] = draw.choice(["", "/", ".", "%", "A", "\x00", "é", ":", "//"])
        try:
            found = parse("".join(text))
        except NoSpiffeId:
            continue
        taken += 1
        assert parse(str(found)) == found
    assert 1_000 < taken < 15_000

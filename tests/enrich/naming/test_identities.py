"""SPIFFE ids of both ends: derived where a mesh or SPIRE issues such, and the end's name is certain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.cluster_story import Story, batch, complete, flow, live, named

from enrich import History, Namer, NamingOptions, load_issuers
from enrich.naming.identities import NOBODY, Issuer, account_identity
from whowas.errors import ConfigError
from whowas.spiffe import Account

IP, PEER, PLAIN = "10.244.1.5", "10.244.1.9", "10.244.1.10"
ISTIO = Issuer("istio", "cluster.local")
SIDECAR = {"security.istio.io/tlsMode": "istio"}
WEB = "spiffe://cluster.local/ns/shop/sa/default"


def mesh() -> History:
    """`web` has a sidecar until 100; its address is then `old`'s, which has none. `plain` never had one."""
    story = Story()
    live(story, "peer", PEER, born=-30, labels=SIDECAR)
    live(story, "plain", PLAIN, born=-30)
    complete(story, live(story, "web", IP, labels=SIDECAR), finished=100, told=101)
    live(story, "next", IP, born=110)
    return story.history()


def ids(known: History, *issuers: Issuer, start: float = 50, end: float | None = None, src: str = IP):
    (row,) = named(known, flow(src, PEER, start, end), issuers=issuers)
    return row["src_spiffe_id"], row["dst_spiffe_id"]


def test_marked_pods_have_ids():
    known = mesh()
    assert ids(known, ISTIO) == (WEB, WEB)
    assert ids(known) == (None, None)
    assert ids(known, ISTIO, src=PLAIN) == (None, WEB)
    assert ids(known, replace(ISTIO, cluster="other")) == (None, None)


def test_as_of_the_moment():
    known = mesh()
    assert ids(known, ISTIO, start=150) == (None, WEB)


def test_never_for_what_is_not_certain():
    known = mesh()
    assert ids(known, ISTIO, start=50, end=150) == (None, WEB)
    assert ids(known, ISTIO, start=105) == (None, WEB)
    assert ids(known, ISTIO, src="198.51.100.7") == (None, WEB)


def test_chosen_by_namespace_and_labels():
    known = mesh()
    assert (
        ids(known, Issuer("spire", "example.org", ("sh*",)), src=PLAIN)
        == ("spiffe://example.org/ns/shop/sa/default",) * 2
    )
    assert ids(known, Issuer("spire", "example.org", ("data",)), src=PLAIN) == (None, None)
    chosen = Issuer("spire", "example.org", ("*",), tuple(SIDECAR.items()))
    assert ids(known, chosen, src=PLAIN)[0] is None
    assert ids(known, chosen)[0] == "spiffe://example.org/ns/shop/sa/default"


def test_issuers_that_do_not_agree():
    known = mesh()
    assert ids(known, ISTIO, Issuer("spire", "example.org", ("*",))) == (None, None)
    assert ids(known, ISTIO, Issuer("spire", "cluster.local", ("*",))) == (WEB, WEB)


def test_linkerd_beside_it():
    story = Story()
    live(story, "peer", PEER, born=-30, labels={"linkerd.io/control-plane-ns": "l5d"})
    issuers = (Issuer("linkerd", "cluster.local"), Issuer("spire", "cluster.local", ("shop",)))
    (row,) = named(story.history(), flow(PEER, "198.51.100.1", 50), issuers=issuers)
    assert row["src_dns_identity"] == "default.shop.serviceaccount.identity.l5d.cluster.local"
    assert row["src_spiffe_id"] == WEB
    assert (row["dst_dns_identity"], row["dst_spiffe_id"]) == (None, None)


def test_nodes_and_pods_on_their_network_have_none():
    story = Story()
    live(story, "agent", "192.0.2.1", born=-30, host=True, labels=SIDECAR)
    (row,) = named(story.history(), flow("192.0.2.1", PEER, 50), issuers=(replace(ISTIO, namespaces=("*",)),))
    assert row["src_spiffe_id"] is None


@pytest.mark.parametrize(
    ("issuer", "labels", "found"),
    [
        (ISTIO, {"sidecar.istio.io/inject": "true"}, False),
        (ISTIO, {"istio-injection": "enabled"}, False),
        (ISTIO, {"security.istio.io/tlsMode": "disabled"}, False),
        (replace(ISTIO, namespaces=("shop",)), {}, True),
        (replace(ISTIO, namespaces=("shop",)), {"sidecar.istio.io/inject": "false"}, False),
        (replace(ISTIO, namespaces=("shop",)), {"istio.io/dataplane-mode": "none"}, False),
        (replace(ISTIO, namespaces=("data",)), SIDECAR, False),
        (replace(ISTIO, labels=(("app", "web"),)), SIDECAR, False),
        (Issuer("linkerd", "td", ("shop",)), {"linkerd.io/inject": "disabled"}, False),
    ],
)
def test_who_is_issued_one(issuer, labels, found):
    """That a pod asks to be taken in is no proof: the mesh's own mark is, or what the site says."""
    assert issuer.issues_to("shop", labels) is found


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\nb", "A", "x" * 300])
def test_hostile_names_have_none(name):
    issuers = (Issuer("istio", "td", ("*",)), Issuer("linkerd", "td", ("*",)))
    assert account_identity(issuers, "c", Account("shop", name), {}) == NOBODY
    assert account_identity(issuers, "c", Account(name, "web"), {}) == NOBODY


def test_null_costs_nothing():
    found = Namer(mesh(), NamingOptions()).name(batch(*(flow(IP, PEER, 50) for _ in range(1_000))))
    for side in ("src", "dst"):
        for name in ("spiffe_id", "dns_identity"):
            column = found[f"{side}_{name}"]
            assert column.null_count == 1_000
            assert len(column.dictionary) <= 1


def written(folder: Path, text: str) -> str:
    path = folder / "identities.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file(tmp_path):
    text = """
    [[issuer]]
    kind = "istio"
    trust_domain = "Cluster.Local"
    [[issuer]]
    kind = "spire"
    trust_domain = "example.org"
    namespaces = ["data-*"]
    labels = { "spiffe.io/spire-managed-identity" = "true" }
    cluster = "prod"
    """
    assert load_issuers(written(tmp_path, text)) == (
        ISTIO,
        Issuer("spire", "example.org", ("data-*",), (("spiffe.io/spire-managed-identity", "true"),), "prod"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no tables"),
        ("issuer = 1", "no tables"),
        ("issuer = []", "no tables"),
        ("issuer = [1]", "issuer 1 is no table"),
        ("[[issuer]]\n[other]", "others beside"),
        ('[[issuer]]\nkind = "istio"', "trust_domain is absent"),
        ('[[issuer]]\nkind = "envoy"\ntrust_domain = "a"', "say one of istio"),
        ('[[issuer]]\nkind = "istio"\ntrust_domain = "a/b"', "trust_domain cannot be used"),
        ('[[issuer]]\nkind = "istio"\ntrust_domain = "a"\nnamespace = ["x"]', "'namespace'"),
        ('[[issuer]]\nkind = "istio"\ntrust_domain = "a"\nnamespaces = "x"', "no list of names"),
        ('[[issuer]]\nkind = "istio"\ntrust_domain = "a"\nlabels = { a = 1 }', "no table of texts"),
        ('[[issuer]]\nkind = "spire"\ntrust_domain = "a"', "SPIRE marks no pods"),
        ('[[issuer]]\nkind = "linkerd"\ntrust_domain = "a"\ncontrol_plane = "a.b"', "control_plane"),
        ("[[issuer", "identities.toml"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        load_issuers(written(tmp_path, text))

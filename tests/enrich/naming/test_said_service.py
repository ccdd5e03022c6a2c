"""The Service that a client names itself: evidence beside the name, a contradiction told and nothing changed."""

from __future__ import annotations

import pytest

from enrich.naming.said_service import conflict, service_in


@pytest.mark.parametrize(("sni", "host", "said", "where"), [
    ("api.shop.svc.cluster.local", None, "shop/api", "the server name of TLS"),
    ("db-0.db.data.svc", None, "data/db", "the server name of TLS"),
    ("outbound_.8443_.v2_.api.shop.svc.cluster.local", None, "shop/api",
     "an Istio sidecar's server name, port 8443, subset v2"),
    ("outbound_.80_._.api.shop.svc.cluster.local", "x.y.svc", "shop/api", "an Istio sidecar's server name, port 80"),
    (None, "api.shop.svc:8080", "shop/api", "the Host of HTTP"),
    ("example.com", "api.shop.svc", "shop/api", "the Host of HTTP"),
])  # fmt: skip
def test_services_by_their_own_words(sni: str | None, host: str | None, said: str, where: str) -> None:
    found = service_in(sni, host)
    assert found is not None
    assert (f"{found.namespace}/{found.name}", found.where) == (said, where)


@pytest.mark.parametrize(("sni", "host"), [
    (None, None), ("example.com", None), ("api.shop", "api"), ("outbound_.443_._.httpbin.org", None), ("svc", ".svc"),
    (None, "api.shop.svc.evil\\x1b"), ("api.shop.svc.cluster.local" + "x" * 300 + "_", None),
])  # fmt: skip
def test_what_names_no_service_of_a_cluster(sni: str | None, host: str | None) -> None:
    assert service_in(sni, host) is None


@pytest.mark.parametrize(("confidence", "namespace", "services", "told"), [
    ("exact", "shop", "api", None),
    ("exact", "shop", "api, api-canary", None),
    ("likely", "dev", None, "it names shop/api; the address is in namespace dev"),
    ("service", "shop", "cart", "it names shop/api; the address serves cart"),
    ("exact", "shop", None, None),
    ("ambiguous", "dev", "cart", None),
    ("external", None, None, None),
    (None, None, None, None),
])  # fmt: skip
def test_only_a_sure_name_is_contradicted(
    confidence: str | None, namespace: str | None, services: str | None, told: str | None
) -> None:
    said = service_in("api.shop.svc.cluster.local", None)
    assert said is not None
    assert conflict(said, confidence, namespace, services) == told

"""Istio's policies on a real kube-apiserver: followed where it serves them, absent without harm where it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.cluster.watching import QUICK, watched
from support.servers import pods
from support.servers.control_plane import ControlPlane, wait_until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HERE = "/apis/security.istio.io/v1/namespaces/default"
ISTIO = replace(QUICK, istio=True)
RULES = [{"from": [{"source": {"namespaces": ["shop"]}}]}]


def definition(kind: str, plural: str) -> dict[str, Any]:
    """Istio's own is not here: this one takes any spec."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.security.istio.io"},
        "spec": {
            "group": "security.istio.io",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def policy(kind: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": {"name": "one"}, "spec": spec}


@pytest.mark.long
def test_from_the_day_that_the_server_knows_them(control_plane: ControlPlane) -> None:
    api = control_plane.api()
    with watched(control_plane.kubeconfig(), options=ISTIO) as told:
        mesh = [one for kind, one in told.watch.states.items() if kind in ("AuthorizationPolicy", "PeerAuthentication")]
        wait_until(lambda: all(one.state == "absent" for one in mesh))
        assert all(one.optional for one in mesh)
        # What is asked for in vain keeps nobody else.
        pods.run(api, pods.small("web"), "10.0.0.1")
        wait_until(lambda: told.names("Pod", "ADDED") == ["web"])
        api.create(CRDS, definition("AuthorizationPolicy", "authorizationpolicies"))
        api.create(CRDS, definition("PeerAuthentication", "peerauthentications"))
        wait_until(lambda: all(one.state == "watching" for one in mesh))
        api.create(f"{HERE}/authorizationpolicies", policy("AuthorizationPolicy", action="DENY", rules=RULES))
        api.create(f"{HERE}/peerauthentications", policy("PeerAuthentication", mtls={"mode": "STRICT"}))
        wait_until(lambda: told.of("AuthorizationPolicy", "ADDED", "LISTED") and told.of("PeerAuthentication", "ADDED"))
        api.delete(f"{HERE}/authorizationpolicies/one")
        wait_until(lambda: told.of("AuthorizationPolicy", "DELETED"))
    (seen,) = told.of("AuthorizationPolicy", "ADDED", "LISTED")
    assert seen.object.spec is not None
    assert (seen.object.spec.action, seen.object.spec.rules) == ("DENY", RULES)
    (seen,) = told.of("PeerAuthentication", "ADDED")
    assert seen.object.spec is not None
    assert seen.object.spec.mtls == {"mode": "STRICT"}


def test_nobody_asks_for_them_unless_told(control_plane: ControlPlane) -> None:
    with watched(control_plane.kubeconfig()) as told:
        assert not {"AuthorizationPolicy", "PeerAuthentication"} & set(told.watch.states)

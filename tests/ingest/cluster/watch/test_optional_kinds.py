"""Policies of administrators on a real apiserver: kinds that come, go, and are served by one version or another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.cluster.watching import Watched, bind, watched
from support.servers.control_plane import ControlPlane, wait_until

GROUP = "policy.networking.k8s.io"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KIND = "ClusterNetworkPolicy"
SPEC = {
    "tier": "Admin", "priority": 5, "subject": {"namespaces": {}},
    "ingress": [{"name": "no-batch", "action": "Deny", "from": [{"namespaces": {"matchLabels": {"team": "batch"}}}]}],
}  # fmt: skip


def define(cluster: ControlPlane, version: str) -> str:
    """Define ClusterNetworkPolicy, no more of it than that it takes any spec. Return the path of its objects."""
    schema = {
        "type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }  # fmt: skip
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": KIND, "plural": "clusternetworkpolicies", "singular": "clusternetworkpolicy"}
    api = cluster.api()
    # The group belongs to the project: without the note of an approval the server does not serve it.
    notes = {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/network-policy-api/pull/1"}
    api.create(CRDS, {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"clusternetworkpolicies.{GROUP}", "annotations": notes},
        "spec": {"group": GROUP, "names": names, "scope": "Cluster", "versions": [served]},
    })  # fmt: skip
    path = f"/apis/{GROUP}/{version}/clusternetworkpolicies"
    wait_until(lambda: api.request("GET", path).status == 200)
    return path


def undefine(cluster: ControlPlane, path: str) -> None:
    api = cluster.api()
    api.delete(f"{CRDS}/clusternetworkpolicies.{GROUP}")
    wait_until(lambda: api.request("GET", path).status == 404)


def policy(name: str) -> dict[str, Any]:
    return {"kind": KIND, "metadata": {"name": name}, "spec": SPEC}


def verbs(told: Watched) -> list[str]:
    return [one.verb for one in told.of(KIND) if one.verb != "BOOKMARK"]


def test_a_kind_is_absent_comes_and_goes_without_harm(control_plane: ControlPlane) -> None:
    bind(control_plane, "recorder")
    api = control_plane.api()
    with watched(control_plane.kubeconfig("recorder")) as told:
        kind = told.watch.states[KIND]
        wait_until(lambda: kind.state == "absent" and told.watch.states["Pod"].state == "watching")
        assert (kind.optional, kind.last_error, told.of(KIND)) == (True, "", [])
        path = define(control_plane, "v1beta1")
        api.create(path, policy("first") | {"apiVersion": f"{GROUP}/v1beta1"})
        wait_until(lambda: set(verbs(told)) & {"LISTED", "ADDED"})
        seen = next(one for one in told.of(KIND) if one.verb in ("LISTED", "ADDED"))
        spec = seen.object.spec
        assert spec is not None
        assert (seen.object.kind, spec.tier, spec.priority, spec.ingress) == (KIND, "Admin", 5, SPEC["ingress"])
        wait_until(lambda: kind.state == "watching")
        undefine(control_plane, path)
        wait_until(lambda: verbs(told)[-1] in ("DELETED", "RELISTED") and told.standing(KIND) == set())
        wait_until(lambda: kind.state == "absent")
    assert told.watch.states["AdminNetworkPolicy"].gaps == 0


def test_an_older_version_does_and_what_went_while_nobody_looked_is_gone(control_plane: ControlPlane) -> None:
    bind(control_plane, "recorder")
    path = define(control_plane, "v1alpha2")
    control_plane.api().create(path, policy("second") | {"apiVersion": f"{GROUP}/v1alpha2"})
    kubeconfig: Path = control_plane.kubeconfig("recorder")
    with watched(kubeconfig) as told:
        wait_until(lambda: len(told.standing(KIND)) == 1 and told.watch.states[KIND].version)
        resume = told.resume()
    undefine(control_plane, path)
    with watched(kubeconfig, resume) as again:
        # Believed only after some refusals: a server that starts serves nothing for a moment.
        wait_until(lambda: verbs(again)[-1:] == ["RELISTED"])
        assert verbs(again) == ["GAP", "RELISTED"]
        assert again.watch.states[KIND].objects == 0

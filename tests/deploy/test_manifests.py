"""deploy/ on a real apiserver: every manifest is taken, the rights are just enough, and a missing one is named."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.recorder.manifests import ACCOUNT, DEPLOY, NAMESPACE, apply, documents, grant, path_of
from support.servers.api import ApiError
from support.servers.control_plane import ControlPlane, wait_until

from ingest.cluster.watch.cluster_watch import connect, missing_rights

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}


@pytest.mark.parametrize("thing", documents(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_the_apiserver_takes_every_manifest(thing: dict[str, Any], cluster: ControlPlane) -> None:
    api = cluster.api()
    grant(api)
    if thing["kind"] == "ServiceMonitor":
        _define_service_monitors(cluster)
    assert apply(api, thing, dry=True)["metadata"]["name"] == thing["metadata"]["name"]


def _define_service_monitors(cluster: ControlPlane) -> None:
    """The operator's own definition is not here: this one checks the place and the name, not the fields."""
    api = cluster.api()
    api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
    wait_until(lambda: api.request("GET", "/apis/monitoring.coreos.com/v1/servicemonitors").status == 200)


def test_the_recorders_pod_passes_the_strictest_profile(cluster: ControlPlane) -> None:
    api = cluster.api()
    grant(api)
    pod = _pod()
    path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All&fieldValidation=Strict"
    assert api.create(path, pod)["metadata"]["name"] == "recorder"
    loose = copy.deepcopy(pod)
    del loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
    with pytest.raises(ApiError, match="allowPrivilegeEscalation"):
        api.create(path, loose)


def _pod() -> dict[str, Any]:
    """The pod that the StatefulSet would make."""
    stateful = next(one for one in documents("recorder.yaml") if one["kind"] == "StatefulSet")
    template = copy.deepcopy(stateful["spec"]["template"])
    template["spec"]["volumes"] += [
        {"name": one["metadata"]["name"], "persistentVolumeClaim": {"claimName": f"{one['metadata']['name']}-x-0"}}
        for one in stateful["spec"]["volumeClaimTemplates"]
    ]
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "recorder"}}


def test_the_recorder_runs_with_the_options_of_its_manifest(tmp_path: Path) -> None:
    """What the container is told is what the command line knows: it fails for want of a cluster, not of an option."""
    words = [one.replace("/history/", f"{tmp_path}/") for one in _pod()["spec"]["containers"][0]["args"]]
    nowhere = {"HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-m", "whowas", *words], capture_output=True, text=True, env=nowhere)
    assert done.returncode == 2
    assert "cannot connect to a cluster: no kubeconfig" in done.stderr


def test_kustomize_takes_everything_but_what_needs_the_operator() -> None:
    told = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    there = {path.name for path in DEPLOY.glob("*.yaml")} - {"kustomization.yaml", "servicemonitor.yaml"}
    assert set(told["resources"]) == there


def test_the_role_grants_reading_of_nothing_more_than_is_watched() -> None:
    from ingest.cluster.watch.rbac import ALL

    granted = {
        f"{one}.{group}".rstrip(".")
        for role in documents("rbac.yaml")
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for one in rule["resources"]
    }
    verbs = {verb for role in documents("rbac.yaml") for rule in role.get("rules", ()) for verb in rule["verbs"]}
    assert granted == {one.name for one in ALL}
    assert verbs == {"get", "list", "watch"}


def check(kubeconfig: Path, *more: str) -> tuple[int, str]:
    words = [sys.executable, "-m", "whowas", "watch", "--check", "--kubeconfig", str(kubeconfig), *more]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_check_finds_everything_under_the_role_of_deploy(cluster: ControlPlane, kubeconfig: Path) -> None:
    code, text = check(kubeconfig)
    assert (code, "missing" in text) == (0, False), text
    assert "v1.36" in text
    assert "everything the recorder needs is granted" in text
    code, text = check(kubeconfig, "--json", "--cluster", "prod")
    told = json.loads(text)
    assert (code, told["cluster"], told["ok"], told["missing"]) == (0, "prod", True, [])
    assert told["rights"]["pods"] == ["get", "list", "watch"]


RULES = [
    (role["metadata"]["name"], role["kind"], number)
    for role in documents("rbac.yaml")
    if role["kind"] in ("ClusterRole", "Role")
    for number, _ in enumerate(role["rules"])
]


@pytest.mark.parametrize(("name", "kind", "number"), RULES)
def test_a_rule_that_is_taken_away_is_named(
    name: str, kind: str, number: int, cluster: ControlPlane, kubeconfig: Path
) -> None:
    api = cluster.api()
    role = next(one for one in documents("rbac.yaml") if (one["kind"], one["metadata"]["name"]) == (kind, name))
    lesser = copy.deepcopy(role)
    taken = lesser["rules"].pop(number)
    names = [f"{one}.{taken['apiGroups'][0]}".rstrip(".") for one in taken["resources"]]
    optional = kind == "Role" or taken["apiGroups"][0] in ("policy.networking.k8s.io", "security.istio.io")
    where = (" in namespace kube-node-lease" if kind == "Role" else "") + (" (optional)" if optional else "")
    expected = {f"{verb} {name}{where}" for verb in taken["verbs"] for name in names}
    connection = connect(str(kubeconfig), None)
    try:
        api.call("PUT", path_of(lesser), lesser)
        wait_until(lambda: set(missing_rights(connection, istio=True)) == expected)
        code, text = check(kubeconfig, "--istio")
        assert code == (0 if optional else 1)
        costs = [one.split(": ", 1)[1] for one in text.splitlines() if one.startswith("  without ")]
        assert len(costs) == len(names)
        assert all(len(one) > 20 for one in costs)
        assert all(f"missing: {one}" in text for one in expected), text
    finally:
        api.call("PUT", path_of(role), role)
        wait_until(lambda: missing_rights(connection, istio=True) == [])


def test_somebody_without_rights_is_told_all_of_them(cluster: ControlPlane) -> None:
    code, text = check(cluster.kubeconfig("nobody"))
    assert code == 1
    assert text.count("\n  missing: ") == 39
    assert "deploy/rbac.yaml" in text


def test_a_cluster_that_does_not_answer_is_said(cluster: ControlPlane) -> None:
    code, text = check(cluster.kubeconfig("admin", server="https://127.0.0.1:1"))
    assert code == 2
    assert "cannot connect to 'https://127.0.0.1:1'" in text
    assert "Traceback" not in text


def test_one_of_two_clusters_that_does_not_answer_does_not_hide_the_other(cluster: ControlPlane) -> None:
    dead, well = cluster.kubeconfig("admin", server="https://127.0.0.1:1"), cluster.kubeconfig("admin")
    code, text = check(dead, "--kubeconfig", str(well), "--cluster", "dead", "--cluster", "well")
    assert code == 1
    assert "dead: cannot connect" in text
    assert "everything the recorder needs is granted" in text


def test_the_account_is_the_one_that_the_recorder_runs_as() -> None:
    assert _pod()["spec"]["serviceAccountName"] == ACCOUNT

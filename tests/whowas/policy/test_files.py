"""Policies from files as people have them, and as nobody should."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.policies import EPOCH, told
from support.policy_story import DENY_ALL, evidence, pod, thing

from detect.policy.timeline import Timeline
from enrich.holds.cluster_track import ClusterTrack
from ingest.cluster import EvidenceReport, read_observations
from whowas.errors import InputError, WhowasError
from whowas.policy.files import read_files
from whowas.policy.loading import load, watched

V1 = "networking.k8s.io/v1"


def made(name: str = "x", namespace: str | None = "shop", spec: Any = None, **more: Any) -> dict[str, Any]:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": V1, "kind": "NetworkPolicy", "metadata": meta, "spec": spec or {}} | more


def names(path: Path | str, **more: Any) -> list[str]:
    return [str(one) for one in read_files([str(path)], **more).policies]


def test_documents_lists_and_what_is_no_policy(tmp_path: Path) -> None:
    documents = [
        made("a"), None, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
        {"apiVersion": "v1", "kind": "List", "items": [made("b"), {"apiVersion": "v1", "kind": "Service"}]},
        {"apiVersion": V1, "kind": "NetworkPolicyList", "items": [{"metadata": {"name": "c", "namespace": "data"}}]},
        made("d", None),
        {"apiVersion": "policy.networking.k8s.io/v1beta1", "kind": "ClusterNetworkPolicy", "metadata": {"name": "e"},
         "spec": {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}}},
    ]  # fmt: skip
    (tmp_path / "all.yaml").write_text("# kustomize\n" + yaml.safe_dump_all(documents))
    assert names(tmp_path / "all.yaml", namespace="own") == ["shop/a", "shop/b", "data/c", "own/d", "e"]
    found = read_files([str(tmp_path)])
    assert (len(found.policies), found.passed, found.others) == (5, 2, [])


def test_what_kustomize_and_helm_write_and_what_they_read(tmp_path: Path) -> None:
    """Comments, empty documents, defaults left out, unknown fields of metadata; beside it the kustomization itself."""
    (tmp_path / "kustomization.yaml").write_text("resources: [built.yaml]\nnamespace: shop\n")
    (tmp_path / "built.yaml").write_text(
        "---\n# Source: shop/templates/np.yaml\n---\n# nothing\n---\napiVersion: networking.k8s.io/v1\n"
        "kind: NetworkPolicy\nmetadata:\n  annotations:\n    internal.config.kubernetes.io/index: '0'\n"
        "  creationTimestamp: null\n  name: a\n  namespace: shop\nspec:\n  egress:\n  - ports:\n    - port: 53\n"
        "  podSelector: {}\nstatus: {}\n---\n"
    )
    found = read_files([str(tmp_path)])
    assert [str(one) for one in found.policies] == ["shop/a"]
    one = found.policies[0]
    assert one.ingress == ()
    assert one.egress is not None
    assert one.egress[0].ports == (("tcp", 53, 53, ""),)
    with pytest.raises(InputError, match="it is no object of Kubernetes"):
        read_files([str(tmp_path / "kustomization.yaml")])


def test_json_and_byte_order_marks(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"kind": "List", "items": [made("a")]}))
    (tmp_path / "b.yml").write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(made("b")).encode())
    (tmp_path / "c.txt").write_text("neither")
    assert names(tmp_path) == ["shop/a", "shop/b"]


def test_kinds_that_are_not_judged_are_named(tmp_path: Path) -> None:
    several = [
        {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "c", "namespace": "shop"}},
        {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": {"name": "k", "namespace": "shop"}},
        {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "i"}},
    ]
    (tmp_path / "others.yaml").write_text(yaml.safe_dump_all(several))
    found = read_files([str(tmp_path / "others.yaml")])
    assert found.policies == []
    assert [one.split()[0] for one in found.others] == ["CiliumNetworkPolicy", "NetworkPolicy", "AuthorizationPolicy"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "it is not YAML: did not find"),
        ("- x\n- y\n", "document 1: it is no object"),
        ("just text", "document 1: it is no object"),
        ("x: &a [1]\ny: *a\n", "line 2: a YAML alias"),
        ("[" * 200, "nested deeper"),
        ('{"kind": "NetworkPolicy"} trailing', "it is not YAML"),
        (json.dumps(made("a", spec={"policyTypes": ["Out"]})), "document 1: spec.policyTypes has 'Out'"),
        ("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n", "has no name"),
        (yaml.safe_dump_all([made("a"), made("a")]), "document 2: it is in"),
        (
            "kind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {matchLabels: {on: yes}}}\n",
            "no mapping of words",
        ),
        (
            "kind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {matchLabels: {v: 1.0}}}\n",
            "put it in quotes",
        ),
        ("!!python/object/apply:os.system ['true']", "it is not YAML"),
    ],
)
def test_what_cannot_be_used_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError) as told_:
        read_files([str(tmp_path / "x.yaml")])
    assert says in str(told_.value)
    assert "x.yaml" in str(told_.value)


def test_files_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"kind: \xe9\n")
    (tmp_path / "empty").mkdir()
    for path, says in (("none.yaml", "No such file"), ("latin.yaml", "at byte 6"), ("empty", "no file in it")):
        with pytest.raises(InputError, match=says):
            read_files([str(tmp_path / path)])


def test_damaged_files_are_refused_and_nothing_worse(tmp_path: Path) -> None:
    rolls = random.Random(17)
    whole = yaml.safe_dump_all(
        [made("a", spec=DENY_ALL), made("b", spec={"ingress": [{"ports": [{"port": 80}]}]})]
    ).encode()
    path, refused = tmp_path / "x.yaml", 0
    for _ in range(400):
        raw = bytearray(whole)
        for _ in range(rolls.randint(1, 6)):
            raw[rolls.randrange(len(raw))] = rolls.choice(b" :-[]{}&*!\n\x00\xff0a")
        path.write_bytes(raw[: rolls.randint(1, len(raw))])
        try:
            read_files([str(path)])
        except WhowasError:
            refused += 1
    assert 0 < refused < 400


# What a history says of policies


def test_a_policy_is_kept_whole_from_evidence_to_store_and_back(tmp_path: Path) -> None:
    from whowas.history.import_export import import_files

    path = evidence(tmp_path)
    report = EvidenceReport()
    before = [one for one in read_observations([str(path)], None, report) if one.object.kind == "NetworkPolicy"]
    assert report.refused == {}
    assert before[0].object.spec is not None
    assert before[0].object.spec.ingress[0]["ports"] == [{"port": "sql", "protocol": "TCP"}]
    import_files(str(tmp_path / "s.db"), [str(path)])
    for known in (load(str(path)), load(str(tmp_path / "s.db"))):
        specs = {
            str(line.values[0]): line.values[0].spec
            for line in known.timeline("prod").policies.values()
            if line.values[0]
        }
        assert specs["data/deny-all"] == DENY_ALL
        assert specs["data/to-db"]["ingress"][0]["from"][0]["namespaceSelector"] == {"matchLabels": {"team": "shop"}}


def test_what_was_recorded_in_part_is_never_taken_for_everything() -> None:
    known = Timeline()
    known.take(told("ADDED", "NetworkPolicy", "np", 0, {"policyTypes": ["Ingress"]}))
    line = known.policies["np"]
    assert line.values[0] is not None
    assert line.values[0].fault == "it was recorded in part"


def test_a_gap_in_policies_of_administrators_counts_where_there_are_any() -> None:
    track, timeline = ClusterTrack("prod"), Timeline()
    track.spans["NetworkPolicy"] = [(EPOCH, EPOCH + 100)]
    track.gaps["ClusterNetworkPolicy"] = [(EPOCH + 10, EPOCH + 20)]
    assert watched(track, timeline) == [(EPOCH, EPOCH + 100)]
    timeline.take(told("ADDED", "ClusterNetworkPolicy", "fence", 0, {"tier": "Admin", "priority": 1}))
    timeline.now_watched(watched(track, timeline), {})
    assert timeline.looked(EPOCH + 1, EPOCH + 9)
    assert not timeline.looked(EPOCH + 12, EPOCH + 15)
    assert timeline.looked(EPOCH + 21, EPOCH + 100)


def test_a_list_taken_at_a_time_is_known_then(tmp_path: Path) -> None:
    items = [pod("data/db-0") | {"apiVersion": "v1"}, thing("NetworkPolicy", "deny-all", "data", DENY_ALL)]
    (tmp_path / "now.json").write_text(json.dumps({"kind": "List", "items": items}))
    known = load(f"{tmp_path / 'now.json'}@2026-11-20T10:00:00Z")
    timeline = known.timeline("default")
    assert timeline.looked(EPOCH + 500_000, EPOCH + 500_000)
    assert not timeline.looked(EPOCH + 60_000_000, EPOCH + 60_000_000)

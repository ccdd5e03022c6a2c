"""Istio's policies out of a history: recorded in files, lists and stores, and judged as of the moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.mesh_story import ALLOW_SHOP, ISSUER, meshed, story
from support.policy_story import PODS, SPACES, conn, evidence, line, thing

import whowas
from detect.policy.moments import Asked, Judge
from ingest.cluster import EvidenceReport, read_observations
from whowas.cli import group
from whowas.errors import ConfigError
from whowas.history.import_export import import_files
from whowas.policy.ends import holders, read_target
from whowas.policy.explaining import Explained, explain
from whowas.policy.loading import load
from whowas.policy.meshes import mesh_judge
from whowas.timestamps import moment_us


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(group, list(map(str, words)))


def told(path: Path, source: str, at: str, target: str = "data/db:5432", issued: bool = True) -> list[Explained]:
    known = load(path)
    cluster = known.history.cluster(None)
    mesh = mesh_judge(known, cluster.name, str(path.parent / "identities.toml") if issued else None)
    judge = Judge(known.timeline(cluster.name))
    return explain(cluster, judge, source, read_target(target), moment_us(f"2026-11-20T{at}Z"), mesh)


def words(path: Path, source: str, at: str, **more: Any) -> tuple[str, str]:
    (one,) = told(path, source, at, **more)
    assert one.mesh is not None
    return one.mesh.side.verdict, one.mesh.mode


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story(tmp_path_factory.mktemp("mesh"))


def test_as_of_the_moment(path):
    assert words(path, "shop/web-1", "10:30:00") == ("allowed", "PERMISSIVE")
    assert words(path, "batch/job-1", "10:30:00") == ("denied", "PERMISSIVE")
    assert words(path, "shop/web-1", "11:00:00.5") == ("indeterminate", "PERMISSIVE")
    assert words(path, "shop/web-1", "11:10:00") == ("denied", "PERMISSIVE")
    assert words(path, "batch/job-1", "11:10:00") == ("open", "PERMISSIVE")
    assert words(path, "batch/job-1", "11:40:00") == ("open", "STRICT")
    assert words(path, "batch/job-1", "11:30:00.2") == ("open", "unknown")


def test_both_ids_are_told_and_the_verdict_is_not_touched(path):
    (one,) = told(path, "shop/web-1", "10:30:00")
    assert one.mesh is not None
    assert (one.mesh.caller, one.mesh.target) == (
        "spiffe://corp.example/ns/shop/sa/web", "spiffe://corp.example/ns/data/sa/db",
    )  # fmt: skip
    assert one.verdict.word == "open"


def test_nobody_knows_who_is_in_the_mesh(path):
    verdict, mode = words(path, "shop/web-1", "10:30:00", issued=False)
    assert (verdict, mode) == ("indeterminate", "unknown")
    verdict, _ = words(path, "192.0.2.7", "10:30:00")
    assert verdict == "indeterminate"


def test_a_store_says_the_same(path, tmp_path):
    store = tmp_path / "cluster.db"
    import_files(str(store), [str(path)])
    (tmp_path / "identities.toml").write_text(ISSUER)
    for source, at in (("shop/web-1", "10:30:00"), ("batch/job-1", "10:30:00"), ("shop/web-1", "11:10:00")):
        assert words(store, source, at)[0] == words(path, source, at)[0]


def test_lists_tell_of_their_own_moment(tmp_path):
    items = [*map(meshed, PODS), *(thing("Namespace", name) for name in SPACES)]
    items.append(thing("AuthorizationPolicy", "to-db", "data", ALLOW_SHOP))
    path = tmp_path / "list.jsonl"
    told_ = {"kind": "List", "apiVersion": "v1", "items": items, "received": "2026-11-20T10:30:00Z", "cluster": "prod"}
    path.write_text(json.dumps(told_))
    (tmp_path / "identities.toml").write_text(ISSUER)
    assert words(path, "batch/job-1", "10:30:00")[0] == "denied"
    (one,) = told(path, "batch/job-1", "10:29:00")
    assert one.mesh is None or one.mesh.side.verdict == "indeterminate"


def test_selectors_of_others_are_not_kept(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(line("ADDED", "10:00:00", thing("Service", "db", "data", {"selector": {"app": "db"}})))
    (seen,) = [one for one in read_observations([str(path)], None, EvidenceReport()) if one.verb == "ADDED"]
    assert seen.object.spec is not None
    assert seen.object.spec.selector is None


def test_a_cluster_without_a_mesh_is_told_as_before(tmp_path):
    path = evidence(tmp_path)
    (one, *_) = told(path, "shop/web-1", "10:30:00", issued=False)
    assert one.mesh is None
    assert one.to_json(0)["mesh"] is None


def test_who_is_no_pod_is_not_judged(path):
    known = load(path)
    cluster = known.history.cluster(None)
    when = moment_us("2026-11-20T10:30:00Z")
    (source,) = holders(cluster, "shop/web-1", when)
    (target,) = holders(cluster, "192.0.2.7", when)
    assert mesh_judge(known, cluster.name, None).authorized(Asked(source, target, 443, "tcp", when, when)) is None


def test_flows_have_ids_and_modes(path, tmp_path):
    """At 10:10, 10:30 and 11:30; STRICT came at 11:30:00, and within a second of that nobody knows."""
    text = "".join(
        conn(at, source, target, port)
        for at in (10, 30, 90, 100)
        for source in ("shop/web-1", "192.0.2.7")
        for target, port in (("data/db-0", 5432), ("192.0.2.9", 443))
    )
    (tmp_path / "conn.log").write_text(text)
    rows = whowas.replay(tmp_path / "conn.log", path, identities=str(path.parent / "identities.toml")).to_pylist()
    of_db = [one for one in rows if one["dst_pod"] == "db-0"]
    assert len(rows) == 16
    assert len(of_db) == 8
    for one in rows:
        minute = (one["start_time"] - datetime(2026, 11, 20, 10, tzinfo=UTC)).seconds // 60
        in_mesh = one["dst_pod"] == "db-0"
        mode = {10: "permissive", 30: "permissive", 90: None, 100: "strict"}[minute] if in_mesh else None
        assert one["mtls_mode"] == mode
        assert one["dst_spiffe_id"] == ("spiffe://corp.example/ns/data/sa/db" if in_mesh else None)
        assert one["src_spiffe_id"] == (
            "spiffe://corp.example/ns/shop/sa/web" if one["src_ip"] == "10.244.1.5" else None
        )  # fmt: skip
    plain = whowas.replay(tmp_path / "conn.log", path).to_pylist()
    assert {(one["mtls_mode"], one["src_spiffe_id"], one["dst_spiffe_id"]) for one in plain} == {(None, None, None)}


def test_who_has_an_id_from_somebody_else_is_in_no_mesh(path, tmp_path):
    """SPIRE issues ids to pods before which no proxy of Istio's stands: no mode of theirs is known."""
    (tmp_path / "conn.log").write_text(conn(10, "shop/web-1", "data/db-0", 5432))
    spire = ISSUER.replace("istio", "spire")
    (tmp_path / "spire.toml").write_text(spire)
    (tmp_path / "both.toml").write_text(spire + ISSUER.replace('"data"', '"shop"'))
    for name in ("spire.toml", "both.toml"):
        (row,) = whowas.replay(tmp_path / "conn.log", path, identities=str(tmp_path / name)).to_pylist()
        assert row["dst_spiffe_id"] == "spiffe://corp.example/ns/data/sa/db"
        assert row["mtls_mode"] is None


def test_the_command(path, tmp_path):
    words_ = ("policy", "explain", "--from", "shop/web-1", "--to", "data/db:5432", "--at", "2026-11-20T10:30:00Z",
              "-H", path, "--identities", path.parent / "identities.toml")  # fmt: skip
    shown = run(*words_)
    assert "Istio: allowed" in shown.stdout
    assert (
        "spiffe://corp.example/ns/shop/sa/web -> spiffe://corp.example/ns/data/sa/db, mTLS permissive" in shown.stdout
    )
    (found,) = json.loads(run(*words_, "--json").stdout)
    assert found["mesh"]["authorization"]["decided"] == ["data/to-db rule 1"]
    assert found["mesh"]["from_spiffe_id"] == "spiffe://corp.example/ns/shop/sa/web"
    (tmp_path / "bad.toml").write_text("[[issuer]]")
    bad = run(*words_[:-1], tmp_path / "bad.toml")
    assert isinstance(bad.exception, ConfigError)
    assert "kind is absent" in str(bad.exception)

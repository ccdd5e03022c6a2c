"""`whowas policy` over a recorded story: from evidence files and from a store, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.policy_story import DENY_ALL, evidence, line, log, thing

import whowas
from whowas.batch.replay import open_flows
from whowas.cli import group

BEFORE, AFTER = "2026-11-20T10:30:00Z", "2026-11-20T11:30:00Z"


@pytest.fixture(scope="module", name="folder")
def folder_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from whowas.history.import_export import import_files

    folder = tmp_path_factory.mktemp("policy")
    whowas.replay(log(folder), evidence(folder), out=folder / "named", cluster="prod")
    import_files(str(folder / "store.db"), [str(folder / "history.jsonl")])
    (folder / "none").mkdir()
    evidence(folder / "none", policies=False)
    return folder


def run(*words: str | Path, piped: str | None = None) -> Result:
    return CliRunner().invoke(group, ["policy", *map(str, words)], input=piped)


def told(*words: str | Path, piped: str | None = None) -> Any:
    found = run(*words, "--json", piped=piped)
    assert found.exit_code in (0, 1), found.output
    return json.loads(found.stdout)


def ask(folder: Path, source: str, target: str, at: str, *more: str | Path, history: str = "history.jsonl") -> Any:
    return told("explain", "--from", source, "--to", target, "--at", at, "-H", folder / history, *more)


@pytest.mark.parametrize("history", ["history.jsonl", "store.db"])
def test_the_verdict_is_of_its_moment(folder: Path, history: str) -> None:
    for source, target, at, want in (
        ("shop/web", "data/db:5432", BEFORE, "allowed"), ("shop/web", "data/db:sql", BEFORE, "allowed"),
        ("batch/job", "data/db:5432", BEFORE, "denied"), ("shop/web-1", "data/db-0:22", BEFORE, "denied"),
        ("shop/web", "data/cache:6379", BEFORE, "open"), ("shop/web", "data/cache:6379", AFTER, "denied"),
        ("shop/web", "data/cache:6379", "2026-11-20T11:00:00.500Z", "indeterminate"),
        ("shop/web", "192.0.2.7:443", BEFORE, "open"), ("192.0.2.7", "data/db:5432", BEFORE, "denied"),
        ("10.244.1.5", "10.244.1.9:5432", BEFORE, "allowed"), ("shop/web", "[2001:db8::1]:443", BEFORE, "open"),
        ("shop/web", "data/cache:6379", "2026-11-20T14:00:00Z", "indeterminate"),
    ):  # fmt: skip
        found = ask(folder, source, target, at, history=history)
        assert [one["policy_verdict"] for one in found] == [want], (source, target, at, found)


def test_the_walk_names_rule_and_policy_as_of_then(folder: Path) -> None:
    found = ask(folder, "shop/web", "data/db:5432", BEFORE)[0]
    assert [pair["from"]["name"] for pair in found["pairs"]] == ["shop/web-1", "shop/web-2"]
    walk = found["ingress"]["walk"]
    assert [(one["policy"], one["rule"], one["said"]) for one in walk] == [("data/to-db", 1, "allows it")]
    assert walk[0]["spec"]["ingress"][0]["ports"] == [{"port": "sql", "protocol": "TCP"}]
    assert found["ingress"]["decided"] == ["data/to-db rule 1"]
    shown = run("explain", "--from", "batch/job", "--to", "data/db:5432", "--at", AFTER, "-H", folder / "history.jsonl",
                "--spec")  # fmt: skip
    assert shown.exit_code == 0
    for part in ("denied", "data/deny-all", "data/to-db", '"podSelector"', "egress of the source: open"):
        assert part in shown.output


def test_a_policy_that_is_tried(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "np.yaml").write_text(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: to-db, namespace: data}\n"
    )
    found = ask(folder, "shop/web", "data/db:5432", BEFORE, "--with", tmp_path / "np.yaml")[0]
    assert (found["policy_verdict"], found["ingress"]["decided"]) == ("denied", ["data/to-db"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "shop/nobody", "--to", "data/db:5432"), "no pod or workload of that name"),
        (("--from", "shop/web", "--to", "data/db"), "names no port"),
        (("--from", "shop/web", "--to", "10.0.0.1"), "names no port"),
        (("--from", "shop/web", "--to", "data/db:99999"), "is no port"),
        (("--from", "shop/web", "--to", "data/db:80/icmp"), "has no ports"),
        (("--from", "shop/web", "--to", "data/db:nosuch"), "calls one so"),
        (("--from", "web", "--to", "data/db:5432"), "namespace/pod"),
    ],
)
def test_ends_that_nobody_was(folder: Path, words: tuple[str, ...], says: str) -> None:
    found = run("explain", *words, "--at", BEFORE, "-H", folder / "history.jsonl")
    assert (type(found.exception).__name__, says in str(found.exception)) == ("ConfigError", True), found.exception


def test_a_history_without_policies_answers_nothing(folder: Path) -> None:
    found = run("explain", "--from", "shop/web", "--to", "data/db:5432", "--at", BEFORE, "-H", folder / "none")
    assert "nobody looked at them" in str(found.exception)


@pytest.mark.parametrize("history", ["history.jsonl", "store.db"])
def test_coverage(folder: Path, history: str) -> None:
    found = told("coverage", "--at", BEFORE, "-H", folder / history)
    spaces = {one["namespace"]: one for one in found["namespaces"]}
    assert {name: (one["pods"], one["isolated_ingress"], one["open"]) for name, one in spaces.items()} == {
        "batch": (1, 0, 1), "data": (2, 1, 1), "shop": (2, 0, 2),
    }  # fmt: skip
    assert spaces["data"]["default_deny"] == {"ingress": None, "egress": None}
    assert found["select_nothing"] == ["NetworkPolicy shop/idle"]
    later = told("coverage", "--at", AFTER, "-H", folder / history)
    data = next(one for one in later["namespaces"] if one["namespace"] == "data")
    assert (data["isolated_ingress"], data["default_deny"]["ingress"]) == (2, "data/deny-all")
    assert run("coverage", "--at", AFTER, "-H", folder / history).exit_code == 0
    assert run("coverage", "--at", "2026-11-21T00:00:00Z", "-H", folder / history).exit_code == 1


def test_coverage_for_people(folder: Path) -> None:
    shown = run("coverage", "--at", AFTER, "-H", folder / "history.jsonl", "--pods").output
    assert "data/deny-all, data/to-db" in shown.replace("data/to-db, data/deny-all", "data/deny-all, data/to-db")
    assert "selects no pod: NetworkPolicy shop/idle" in shown


def test_what_would_be_cut(folder: Path, tmp_path: Path) -> None:
    meta = {"name": "deny", "namespace": "data"}
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": DENY_ALL}
    (tmp_path / "deny.yaml").write_text(json.dumps(made))
    words = ("simulate", tmp_path / "deny.yaml", "-f", folder / "named", "-H", folder / "history.jsonl")
    found = told(*words)
    cut = {(one["source"], one["target"], one["port"]): one for one in found["cut"]}
    assert set(cut) == {("shop/web", "data/cache", 6379), ("batch/job", "data/cache", 6379)}
    web = cut["shop/web", "data/cache", 6379]
    # Of 11:30 they were denied already.
    assert (web["flows"], web["before"], web["after"]) == (4, "open", "denied")
    assert (web["first"], web["last"]) == ("2026-11-20T10:10:00.000000Z", "2026-11-20T10:30:00.000000Z")
    assert (found["flows"], found["unjudged"], found["allowed"]) == (27, 0, [])
    shown = run(*words)
    assert shown.exit_code == 1
    assert "6 flows would be cut" in shown.output
    assert "shop/web -> data/cache 6379/tcp" in shown.output


def test_the_columns_of_a_replay(folder: Path) -> None:
    """The same verdicts as explain gives: of the database, of its cache before and after deny-all."""
    rows = open_flows(folder / "named").to_table().sort_by("start_time").to_pylist()
    told = {
        (one["src_pod"], one["dst_pod"] or "outside", one["start_time"].hour): one["policy_verdict"] for one in rows
    }
    assert told["web-1", "db-0", 10] == told["web-2", "db-0", 11] == "allowed"
    assert told["job-1", "db-0", 10] == told["web-1", "cache-0", 11] == "denied"
    assert told["web-1", "cache-0", 10] == told["web-1", "outside", 11] == "open"
    one = next(row for row in rows if row["src_pod"] == "web-1" and row["dst_pod"] == "db-0")
    assert (one["policy_ingress"], one["policy_egress"]) == ("data/to-db rule 1", None)
    assert one["policy_reason"] == "ingress: data/to-db rule 1 allows it"


def test_from_a_store_the_columns_are_the_same(folder: Path) -> None:
    kept = ["src_pod", "dst_pod", "start_time", "policy_verdict", "policy_ingress", "policy_egress", "policy_reason"]
    table = whowas.replay(folder / "conn.log", folder / "store.db", cluster="prod")
    stored = table.select(kept).to_pylist()
    assert sorted(map(str, stored)) == sorted(map(str, open_flows(folder / "named").to_table(kept).to_pylist()))


def test_without_policies_the_columns_are_null(folder: Path) -> None:
    table = whowas.replay(folder / "conn.log", folder / "none", cluster="prod")
    assert table["policy_verdict"].null_count == table.num_rows > 0


def test_where_nobody_watched_what_was_seen_is_tried(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "np.json").write_text(json.dumps({"kind": "NetworkPolicy", "metadata": {
        "name": "x", "namespace": "data"}, "spec": DENY_ALL}))  # fmt: skip
    found = told("simulate", tmp_path / "np.json", "-f", folder / "named", "-H", folder / "none")
    assert {one["watched"] for one in found["cut"]} == {False}
    assert sum(one["flows"] for one in found["cut"]) == 18


def test_what_would_be_let_pass(folder: Path) -> None:
    words = ("simulate", "--remove", "data/deny-all", "-f", folder / "named", "-H", folder / "store.db")
    found = told(*words)
    assert {(one["source"], one["target"]) for one in found["allowed"]} == {
        ("shop/web", "data/cache"), ("batch/job", "data/cache"),
    }  # fmt: skip
    assert found["cut"] == []
    assert run(*words).exit_code == 0


def test_only_what_the_files_say(folder: Path) -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n"
        "  metadata: {name: out, namespace: shop}\n  spec: {podSelector: {}, policyTypes: [Egress]}\n---\n# nothing\n"
    )
    found = told("simulate", "-", "--only", "-f", folder / "named", "-H", folder / "none", piped=text)
    assert {one["source"] for one in found["cut"]} == {"shop/web"}
    assert sum(one["flows"] for one in found["cut"]) == 18


def test_nothing_to_simulate(folder: Path) -> None:
    assert run("simulate", "-f", folder / "named", "-H", folder / "store.db").exit_code == 2
    words = ("simulate", "--remove", "nobody", "-f", folder / "named", "-H", folder / "store.db")
    assert run(*words).exit_code == 2


def test_policies_of_administrators_are_kept_and_judged(folder: Path, tmp_path: Path) -> None:
    spec = {"tier": "Admin", "priority": 5, "subject": {"namespaces": {}},
            "ingress": [{"name": "no-batch", "action": "Deny", "from": [
                {"namespaces": {"matchLabels": {"team": "batch"}}}]}]}  # fmt: skip
    story = (folder / "history.jsonl").read_text()
    path = tmp_path / "h.jsonl"
    path.write_text(story + line("ADDED", "11:59:59", thing("ClusterNetworkPolicy", "fence", "", spec)))
    from whowas.history.import_export import import_files

    import_files(str(tmp_path / "s.db"), [str(path)])
    for history in (path, tmp_path / "s.db"):
        found = told("explain", "--from", "batch/job", "--to", "shop/web:80", "--at", BEFORE, "-H", history)[0]
        assert (found["policy_verdict"], found["ingress"]["decided"]) == ("denied", ["fence rule 1"])

"""`whowas policy propose`: what is proposed, what is left out and why, and that nothing is printed without a proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from support.policy_flows import candidate, end
from support.policy_story import evidence, log
from support.seen_cluster import SeenCluster, pod_end, write

import whowas
from detect.policy.verdicts import Verdict
from whowas.cli import group
from whowas.policy import proving
from whowas.policy.files import read_text
from whowas.policy.proposing import Options, propose
from whowas.policy.seen_flows import seen_flows
from whowas.policy.workload_labels import WorkloadLabels

WEB = {"app": "web", "pod-template-hash": "h1", "batch.kubernetes.io/job-name": "j"}
DB = {"app": "db", "statefulset.kubernetes.io/pod-name": "db-0", "apps.kubernetes.io/pod-index": "0"}


def web(address: str = "10.244.1.5", **more: str) -> dict[str, Any]:
    return pod_end("shop", "web", address, WEB | more)


def db(address: str = "10.244.1.9") -> dict[str, Any]:
    return pod_end("data", "db", address, DB)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(group, ["policy", "propose", *map(str, words)])


def proposed(folder: Path, *words: str | Path) -> dict[str, Any]:
    """Return the specs by namespace/name."""
    found = run("-f", folder, *words)
    assert found.exit_code == 0, (found.output, found.exception)
    documents = [one for one in yaml.safe_load_all(found.stdout) if one]
    return {f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["spec"] for one in documents}


def left(folder: Path, *words: str | Path) -> dict[str, int]:
    """Return what is left out: how many flows of which why."""
    found = json.loads(run("-f", folder, "--json", *words).stdout)
    return {one["why"]: one["flows"] for one in found["left_out"]}


def test_each_end_gets_its_half_and_each_namespace_denies(tmp_path: Path) -> None:
    found = proposed(
        write(tmp_path, {"src": web(), "dst": db()}, {"src": web("10.244.1.6", canary="yes"), "dst": db()})
    )
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert found["shop/default-deny"] == found["data/default-deny"] == deny
    selectors = {one: {"matchLabels": {"app": one}} for one in ("web", "db")}
    space = {one: {"matchLabels": {"kubernetes.io/metadata.name": one}} for one in ("shop", "data")}
    ports = [{"protocol": "TCP", "port": 5432}]
    assert found["shop/allow-web"] == {
        "podSelector": selectors["web"], "policyTypes": ["Ingress", "Egress"],
        "egress": [{"to": [{"namespaceSelector": space["data"], "podSelector": selectors["db"]}], "ports": ports}],
    }  # fmt: skip
    assert found["data/allow-db"]["ingress"] == [
        {"from": [{"namespaceSelector": space["shop"], "podSelector": selectors["web"]}], "ports": ports}
    ]
    assert len(found) == 4


def test_labels_tell_it_from_every_other_workload_of_its_namespace(tmp_path: Path) -> None:
    """One label is not enough for web, none is there for bare, and what only others have tells it apart."""
    shop = {"app.kubernetes.io/name": "shop"}
    ends = [
        pod_end("shop", "web", "10.244.1.1", shop | {"tier": "front"}),
        pod_end("shop", "api", "10.244.1.2", shop | {"tier": "back"}),
        pod_end("shop", "job", "10.244.1.3", shop),
        pod_end("shop", "bare", "10.244.1.4", {"pod-template-hash": "h"}),
    ]
    rows = [{"src": one, "dst": db()} for one in ends]
    found = proposed(write(tmp_path, *rows), "--namespace", "shop")
    picked = {name: spec["podSelector"] for name, spec in found.items()}
    assert picked == {
        "shop/default-deny": {}, "shop/allow-web": {"matchLabels": {"tier": "front"}},
        "shop/allow-api": {"matchLabels": {"tier": "back"}},
        "shop/allow-job": {"matchLabels": shop, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]},
    }  # fmt: skip
    assert [one for one in left(tmp_path) if one.startswith("shop/bare has no labels that last")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"src": web() | {"confidence": "likely"}, "dst": db()}, "who its source was is not certain (likely)"),
        (
            {"src": end("", "10.244.1.5", "ambiguous", candidates=[candidate("web")]), "dst": db()},
            "who its source was is not certain (ambiguous)",
        ),
        (
            {"src": end("", "10.0.0.1", "snat", kind="node", node="n1"), "dst": db()},
            "who its source was is not certain (snat)",
        ),
        ({"src": web(), "dst": db(), "packets_in": 0}, "nobody answered"),
        ({"src": web(), "dst": db(), "tcp_flags_in": 20}, "nobody answered"),
        ({"src": web(), "dst": db(), "policy_verdict": "denied", "policy_ingress": "data/x"}, "data/x denied it"),
        ({"src": web(), "dst": db(), "initiator_basis": "first_packet"}, "who opened it is not known"),
        ({"src": web(), "dst": db(), "protocol": "icmp", "dst_port": None}, "no NetworkPolicy speaks of icmp"),
        ({"src": web(), "dst": db(), "encapsulated": True}, "a tunnel's outer addresses"),
        (
            {"src": web(), "dst": end("", "224.0.0.5", "external", kind="external", workload="multicast")},
            "no policy speaks of multicast",
        ),
        (
            {"src": web(), "dst": end("", "10.96.0.5", "service", kind="service", namespace="data", service="db")},
            "a Service's address, and who answered behind it was not seen",
        ),
        (
            {"src": end("", "10.0.0.1", "node", kind="node", node="n1"), "dst": db() | {"node": "n1"}},
            "a pod and its own node always reach each other",
        ),
        (
            {"src": web(), "dst": end("", "10.244.1.5", "none")},
            "10.244.1.5 is an address that pods or Services hold at other times",
        ),
    ],
)
def test_what_is_left_out_says_why(tmp_path: Path, row: dict[str, Any], why: str) -> None:
    good = {"src": web(), "dst": db(), "dst_port": 1}
    assert left(write(tmp_path / "f", good, row), "-o", tmp_path / "p.yaml") == {why: 1}
    assert f", {why}\n" in (tmp_path / "p.yaml").read_text().partition("# Left out, 1 flow:\n")[2]


def test_out_of_nothing_that_is_certain_nothing_is_proposed(tmp_path: Path) -> None:
    found = run("-f", write(tmp_path, {"src": web(), "dst": db(), "packets_in": 0}))
    assert (found.exit_code, found.stdout) == (1, "")
    assert "no flow has two ends" in found.stderr


def test_who_is_denied_everything_is_said(tmp_path: Path) -> None:
    rows = [
        {"src": web(), "dst": db()},
        {"src": pod_end("shop", "api", "10.244.1.7", {"app": "api"}), "dst": db(), "packets_in": 0},
    ]
    found = run("-f", write(tmp_path, *rows))
    assert "# shop/api is denied everything: nothing that is certain was seen of it.\n" in found.stdout
    assert "1 workload denied everything" in found.stderr
    assert json.loads(run("-f", tmp_path, "--json").stdout)["denied_everything"] == ["shop/api"]


def test_a_service_is_what_answers_behind_it(tmp_path: Path) -> None:
    service = end("", "10.96.0.5", "service", kind="service", namespace="data", service="db")
    behind = db() | {"service": "db, db-headless"}
    folder = write(tmp_path, {"src": web(), "dst": service, "dst_port": 80}, {"src": web(), "dst": behind})
    assert left(folder) == {}
    assert len(proposed(folder)["shop/allow-web"]["egress"]) == 1


def test_replies_are_turned_round_and_never_proposed(tmp_path: Path) -> None:
    """Records of one direction each: two clients on many ports, and the answers to them."""
    clients = [(web(f"10.244.1.{one}"), 40_000 + one) for one in (5, 6, 7)]
    one_way = {"initiator_basis": "sender", "directionality": "uni", "packets_in": None}
    rows = [{"src": pod, "src_port": port, "dst": db(), **one_way} for pod, port in clients]
    rows += [{"dst": pod, "dst_port": port, "src": db(), "src_port": 5432, **one_way} for pod, port in clients]
    found = proposed(write(tmp_path, *rows))
    assert "egress" not in found["data/allow-db"]
    assert found["shop/allow-web"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": 5432}]
    assert "6 flows" in run("-f", tmp_path).stdout


def test_what_is_outside_is_an_address_with_its_name_as_a_comment(tmp_path: Path) -> None:
    outside = end("", "203.0.113.10", "external", kind="external", workload="payment")
    folder = write(tmp_path / "f", {"src": web(), "dst": outside, "dst_port": 443, "tls_sni": "pay.example\nevil: yes"})
    assert proposed(folder)["shop/allow-web"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "203.0.113.10/32"}}]
    assert "    # 203.0.113.10 (pay.example\\nevil: yes, payment) 443/tcp: 1 flow, " in run("-f", folder).stdout
    (tmp_path / "n.toml").write_text('[networks]\npayment = ["203.0.113.0/24"]\n')
    wide = proposed(folder, "--networks", tmp_path / "n.toml")
    assert wide["shop/allow-web"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "203.0.113.0/24"}}]


def test_dns_goes_over_both(tmp_path: Path) -> None:
    dns = pod_end("kube-system", "coredns", "10.244.1.2", {"k8s-app": "kube-dns"})
    found = proposed(write(tmp_path, {"src": web(), "dst": dns, "dst_port": 53, "protocol": "udp"}))
    ports = [{"protocol": "TCP", "port": 53}, {"protocol": "UDP", "port": 53}]
    assert found["shop/allow-web"]["egress"][0]["ports"] == ports
    assert [one for one in found if one.startswith("kube-system")] == []
    assert "kube-system/default-deny" in proposed(tmp_path, "--namespace", "kube-system")


def test_what_was_seen_too_rarely_and_what_has_too_many_callers(tmp_path: Path) -> None:
    callers = [pod_end("shop", f"c{one}", f"10.244.2.{one}", {"app": f"c{one}"}) for one in range(1, 5)]
    rows = [{"src": one, "dst": db()} for one in callers for _ in range(2)]
    folder = write(tmp_path, *rows, {"src": web(), "dst": db(), "dst_port": 22})
    assert left(folder, "--at-least", "2") == {"seen less than 2 times": 1}
    text = run("-f", folder, "--fan-in", "3").stdout
    assert "# data/db 5432/tcp has 4 callers: rules by identity" in text
    assert "callers: rules by identity" not in run("-f", folder).stdout


def test_a_history_adds_pods_and_the_names_of_ports(tmp_path: Path) -> None:
    whowas.replay(log(tmp_path), evidence(tmp_path), out=tmp_path / "named", cluster="prod")
    from whowas.history.import_export import import_files

    import_files(str(tmp_path / "store.db"), [str(evidence(tmp_path, policies=False))])
    for history in ("history.jsonl", "store.db"):
        found = run("-f", tmp_path / "named", "-H", tmp_path / history, "--cluster", "prod")
        assert found.exit_code == 0, found.exception
        assert "5432/tcp (sql): 6 flows" in found.stdout


def test_nothing_is_printed_where_the_proof_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "f", {"src": web(), "dst": db()})
    monkeypatch.setattr(proving, "decide", lambda *_: Verdict("open"))
    found = run("-f", folder, "-o", tmp_path / "p.yaml")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "not proven: " in found.stderr
    assert not (tmp_path / "p.yaml").exists()


def test_a_proof_finds_what_lets_too_much_and_too_little_through(tmp_path: Path) -> None:
    """A proposal is changed by hand, and proven against what it was made of."""
    text = [one for one in run("-f", write(tmp_path, {"src": web(), "dst": db()})).stdout.split("---\n") if one]
    seen = seen_flows([str(tmp_path)], None, lambda *_: False, lambda _: False)
    found = propose(seen, WorkloadLabels(seen.labels), {}, Options())

    def faults(*documents: str) -> list[str]:
        return proving.prove(found, seen, read_text("---\n".join(documents), "x").policies).faults

    assert faults(*text) == []
    assert faults(*text[:-1])[0].startswith("shop/web -> data/db 5432/tcp is to pass, and is denied")
    wide = [one.replace("      - protocol: TCP\n        port: 5432\n", "      - protocol: TCP\n") for one in text]
    assert "shop/web -> data/db 1/tcp is not to pass, and is allowed" in faults(*wide)[0]
    without = [one for one in text if "name: default-deny" not in one]
    assert any("is not to pass" in one for one in faults(*without))


def test_a_format_that_is_not_there_and_clusters_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path, {"src": web(), "dst": db()}, {"src": web(), "dst": db(), "cluster": "other"})
    assert "there are networkpolicy" in run("-f", folder, "--format", "calico").output
    assert "say --cluster" in str(run("-f", folder).exception)
    assert "allow-web" in run("-f", folder, "--cluster", "other").stdout


@pytest.mark.parametrize("seed", range(6))
def test_random_clusters_are_proposed_for_and_proven(tmp_path: Path, seed: int) -> None:
    cluster = SeenCluster(seed)
    found = json.loads(run("-f", cluster.write(tmp_path), "--json", "-o", tmp_path / "p.yaml").stdout)
    assert found["proven"]
    assert found["left_out"] == []
    admitted = {(one["from"], one["to"], one["port"], one["protocol"]) for one in found["admits"]}
    names = [f"{space}/{name}" for space, name, _ in cluster.workloads]
    asked = {(names[source], names[target], port, protocol) for source, target, port, protocol in cluster.asked}
    assert admitted == asked | {(name, "192.0.2.7", 443, "tcp") for name in names}

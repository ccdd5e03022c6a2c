"""Every command at a terminal, with names that would command it: of pods, files, clusters, keys, headers, rules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import seen_cluster
from support.cli_commands import every_command
from support.cluster.hostile import Hostile
from support.seen_cluster import pod_end
from support.terminals import EVIL, at_terminal, each_at_terminal, obeyed

import whowas
from whowas.cli import group

QUOTED = json.dumps(EVIL)
RULE = f"""
title: {QUOTED}
id: 5a0b4f6e-3a55-4d0e-8a07-5f5b9c0d7b11
name: evil
taxonomy: whowas
logsource: {{category: network_flow, product: kubernetes}}
level: high
description: {QUOTED}
falsepositives: [{QUOTED}]
detection:
  selection: {{dst_port: 443}}
  condition: selection
whowas:
  tests:
    match:
      - {{title: {QUOTED}, dst_port: 444}}
"""


def pod(address: str, cluster: str) -> str:
    """Two sights of a pod: between them the history knows that it was there."""
    meta = {
        "name": EVIL, "namespace": EVIL, "uid": f"u{address}", "resourceVersion": "1", "labels": {EVIL: EVIL},
        "creationTimestamp": "2026-11-20T10:00:00Z",
        "ownerReferences": [{"kind": "ReplicaSet", "name": EVIL, "uid": "rs", "controller": True}],
    }  # fmt: skip
    status = {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": "2026-11-20T10:00:00Z",
    }  # fmt: skip
    spec = {"nodeName": EVIL, "containers": [{"name": EVIL, "image": EVIL}]}
    told = {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}
    event = {"type": "ADDED", "cluster": cluster, "object": told}
    return "".join(json.dumps(event | {"received": f"2026-11-20T10:{n}:00Z"}) + "\n" for n in ("00", "30"))


def conn(address: str) -> dict[str, Any]:
    return {
        "ts": 1795169702.0, "uid": EVIL, "id.orig_h": address, "id.orig_p": 40000, "id.resp_h": "8.8.8.8",
        "id.resp_p": 443, "proto": "tcp", "service": EVIL, "duration": 1.5, "orig_bytes": 100, "resp_bytes": 200,
        "conn_state": "SF", "orig_pkts": 5, "orig_ip_bytes": 400, "resp_pkts": 5, "resp_ip_bytes": 500,
    }  # fmt: skip


def policies(folder: Path) -> None:
    """A policy whose names and values are hostile, in a file and in a history; one that nobody would take."""
    selector = {"matchLabels": {EVIL: EVIL}}
    made = {
        "kind": "NetworkPolicy", "metadata": {"name": EVIL, "namespace": EVIL, "uid": "np"},
        "spec": {
            "podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [{"podSelector": selector}]}],
        },
    }  # fmt: skip
    (folder / "np.json").write_text(json.dumps(made))
    (folder / "wrong.json").write_text(json.dumps(made | {"spec": {"policyTypes": [EVIL]}}))
    told = (folder / "h.jsonl").read_text()
    for thing in (made, authorization()):
        event = {"type": "ADDED", "cluster": EVIL, "object": thing}
        told += "".join(json.dumps(event | {"received": f"2026-11-20T10:{n}:00Z"}) + "\n" for n in ("00", "30"))
    (folder / "np.jsonl").write_text(told)


def authorization() -> dict[str, Any]:
    """An AuthorizationPolicy of which every word is hostile; its rule is told by what it asks for."""
    rule = {"from": [{"source": {"principals": [EVIL], EVIL: [EVIL]}}], "when": [{"key": EVIL, "values": [EVIL]}]}
    meta = {"name": EVIL, "namespace": EVIL, "uid": "ap"}
    return {"kind": "AuthorizationPolicy", "metadata": meta, "spec": {"action": "DENY", "rules": [rule]}}


def logs(folder: Path) -> None:
    """Logs whose fields, headers and names are hostile."""
    moment, quoted = "2026-11-20T10:15:02Z", EVIL.replace('"', '""')
    (folder / "conn.log").write_text("".join(json.dumps(conn(f"10.244.9.{n}")) + "\n" for n in (1, 2)))
    (folder / "x.csv").write_text(f'time,src_ip,"{quoted}"\n{moment},10.244.9.1,"{quoted}"\n', newline="")
    (folder / "x.tsv").write_text(f'time\tsrc_ip\tz\n{moment}\t10.244.9.1\t"{quoted}"\n', newline="")
    (folder / "head.csv").write_text(f'b,c,"{quoted}"\n1,2,3\n', newline="")
    fields = EVIL.replace("\n", " ")
    zeek = f"#separator \\x09\n#fields\tts\tid.orig_h\t{fields}\n1795169702.0\t10.244.9.1\t{fields}\n"
    (folder / "zeek.log").write_text(zeek, newline="")
    (folder / "fields.log").write_text(f"#separator \\x09\n#fields\t{fields}\tb\nx\ty\n", newline="")
    (folder / "eve.json").write_text(json.dumps({"timestamp": moment, "src_ip": "10.244.9.1", EVIL: EVIL}) + "\n")
    (folder / EVIL).write_bytes(b"\xd4\xc3\xb2\xa1 cut")


def settings(folder: Path) -> None:
    """TOML, rules and a kubeconfig with hostile keys and values."""
    (folder / "key.toml").write_text(f"{QUOTED} = 1\n")
    (folder / "networks.toml").write_text(f'[networks]\n{QUOTED} = ["10.0.0.0/33"]\n')
    (folder / "ids.toml").write_text('[[issuer]]\nkind = "istio"\ntrust_domain = "a"\nnamespaces = ["*"]\n')
    (folder / "noids.toml").write_text(f'[[issuer]]\nkind = {QUOTED}\ntrust_domain = "a"\n')
    (folder / "topic.toml").write_text(
        f'[input]\ntopics = [{QUOTED}]\ngroup = "g"\n[kafka.options]\n"bootstrap.servers" = "127.0.0.1:9"\n'
        f'[history]\npath = {QUOTED}\n[parquet]\nfolder = "named-stream"\n'
    )
    (folder / "rules").mkdir()
    (folder / "rules" / "evil.yml").write_text(RULE)
    (folder / "wrong").mkdir()
    (folder / "wrong" / f"{EVIL}.yml").write_text(f"title: x\n{QUOTED}: 1\n")


def kubeconfig(folder: Path, server: str) -> None:
    told = {
        "apiVersion": "v1", "kind": "Config", "current-context": EVIL,
        "clusters": [{"name": EVIL, "cluster": {"server": server}}],
        "users": [{"name": EVIL, "user": {"token": "t"}}],
        "contexts": [{"name": EVIL, "context": {"cluster": EVIL, "user": EVIL}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(told))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder full of hostile things, and an apiserver that answers with such."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "h.jsonl").write_text("".join(pod(f"10.244.9.{n}", EVIL) for n in (1, 2)))
    (folder / "two.jsonl").write_text("".join(pod("10.244.9.1", one) for one in (EVIL, "b")))
    policies(folder)
    logs(folder)
    settings(folder)
    whowas.replay(folder / "conn.log", folder / "h.jsonl", out=folder / "named")
    speaks = pod_end(EVIL, EVIL, "10.244.9.1", {EVIL: EVIL})
    seen_cluster.write(folder / "hostile", {"src": speaks, "dst": pod_end("b", "b", "10.244.9.2", {"app": "b"})})
    (folder / "bad").mkdir()
    for number, file in enumerate((folder / "named").rglob("*.parquet")):
        shutil.copy(file, folder / "bad" / f"{number}.parquet")
    (folder / "bad" / f"{EVIL}.parquet").write_bytes(b"PAR1 no more")
    from whowas.history.import_export import import_files

    import_files(str(folder / "store.db"), [str(folder / "h.jsonl")])
    import_files(str(folder / EVIL) + ".db", [str(folder / "h.jsonl")])
    (folder / "beside").mkdir()
    shutil.copy(folder / "store.db", folder / "beside" / "store.db")
    (folder / "beside" / EVIL).write_text("{}")
    (folder / "logs").mkdir()
    shutil.copy(folder / "conn.log", folder / "logs" / f"conn.{EVIL}.log")
    (folder / "logs" / f"{EVIL}.pcap").write_bytes(b"\xd4\xc3\xb2\xa1 cut")
    reply = json.dumps({"kind": "Status", "status": "Failure", "message": EVIL, "reason": EVIL, "code": 403}).encode()
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    with Hostile(lambda _asked: [answer % (len(reply), reply)]) as server:
        kubeconfig(folder, server.url)
        yield folder


H = ("-H", "h.jsonl")
# command: the words of each case. What is said must hold the hostile text, or the case tries nothing.
CASES: dict[str, list[tuple[str, ...]]] = {
    "replay": [
        ("conn.log", *H, "-o", "n1"),
        ("conn.log", *H, "-o", "n2", "--json"),
        ("conn.log", "-H", "two.jsonl", "-o", "n3"),
        (EVIL, *H, "-o", "n4"),
        (EVIL + "none", *H, "-o", "n5"),
        ("conn.log", *H, "-o", EVIL + "out"),
        ("conn.log", *H, "-o", "n6", "--networks", "networks.toml"),
        ("conn.log", *H, "-o", "n6", "--identities", "noids.toml"),
        ("conn.log", *H, "-o", "n7", "--cluster", EVIL + "b"),
        ("conn.log", *H, "-o", "n8", "--vni", EVIL),
        ("conn.log", *H, "-o", "n9", "--timezone", EVIL),
        ("conn.log", *H, "-o", "n10", "--format-in", EVIL),
        ("conn.log", *H, "-o", "n11", "--existing", EVIL),
    ],
    "who": [
        ("10.244.9.1", *H, "--at", "2026-11-20T10:15:02Z"),
        ("10.244.9.1", *H, "--at", "2026-11-20T10:15:02Z", "--explain"),
        ("10.244.9.1", *H, "--at", "2026-11-20T10:15:02Z", "--json"),
        ("10.244.9.1", *H),
        ("10.244.9.1", "-H", "two.jsonl", "--at", "2026-11-20T10:15:02Z"),
        ("10.244.9.1", "-H", "beside", "--at", "2026-11-20T10:15:02Z"),
        (EVIL, *H),
        ("10.244.9.1", *H, "--at", EVIL),
        ("10.244.9.1", *H, "--tz", EVIL),
        ("10.244.9.1", *H, "--networks", "networks.toml"),
    ],
    "annotate": [
        ("x.csv", *H),
        ("x.tsv", *H),
        ("zeek.log", *H),
        ("eve.json", *H),
        ("head.csv", *H),
        ("fields.log", *H),
        ("x.csv", *H, "--columns", EVIL),
        ("x.csv", *H, "--ip", EVIL + "b"),
        ("x.csv", "-H", EVIL + "none"),
    ],
    "history info": [("store.db",), ("store.db", "--json"), (EVIL + ".db",), (EVIL,)],
    "history gaps": [("store.db", "--json", EVIL), (EVIL + ".db", EVIL), (EVIL,)],
    "history verify": [(EVIL + ".db",), (EVIL,)],
    "history export": [(EVIL + ".db", EVIL + ".out.jsonl"), (EVIL + ".db", "e.jsonl", "--from", EVIL)],
    "history import": [("i.db", EVIL), (EVIL + "2.db", "h.jsonl", EVIL + "none")],
    "history compact": [(EVIL + ".db",), (EVIL,)],
    "history prune": [(EVIL + ".db", "--keep", "9y"), (EVIL + ".db", "--keep", EVIL)],
    "query": [
        ("SELECT src_pod::INT FROM flows", "-f", "named"),
        ("SELECT src_pod, src_labels FROM flows", "-f", "named"),
        ("SELECT src_pod, src_labels FROM flows", "-f", "named", "--csv"),
        ("SELECT src_pod, src_labels FROM flows", "-f", "named", "--json"),
        ("FROM flows", "-f", "named"),
        (f'SELECT 1 AS "{EVIL}"', "-f", "named"),
        (f'SELECT "{EVIL}" FROM flows', "-f", "named"),
        ("FROM flows", "-f", EVIL + "none"),
        ("FROM flows", "-f", "bad"),
    ],
    "flows": [
        ("-f", "named"),
        ("-f", "named", "--json"),
        ("-f", "named", "--csv"),
        ("-f", "named", "--top", "src_pod"),
        ("-f", "named", "--src", EVIL, "--sql"),
        ("-f", "named", "--where", EVIL),
        ("-f", "named", "--since", EVIL),
        ("-f", EVIL + "none"),
        ("-f", "bad"),
    ],
    "serve": [
        ("-f", EVIL + "none", "--no-browser"),
        ("-f", "bad", "-H", EVIL + "none", "--no-browser"),
        ("-f", "named", "--findings", EVIL + "none", "--no-browser"),
        ("-f", "named", "--view", EVIL),
    ],
    "init": [(EVIL + "place",), (EVIL + "place2", "--json"), (EVIL,)],
    "doctor": [
        ("-H", "two.jsonl", "--flows", EVIL + "none", "--timeout", "0.1"),
        ("-H", EVIL + "none", "--timeout", "0.1", "--json"),
        ("--config", "topic.toml", "--timeout", "0.1"),
        ("--config", "key.toml", "--timeout", "0.1"),
        ("--kubeconfig", "kubeconfig", "--timeout", "1"),
    ],
    "policy explain": [
        (
            "--from",
            f"{EVIL}/{EVIL}",
            "--to",
            f"{EVIL}/{EVIL}:80",
            "--at",
            "2026-11-20T10:15:02Z",
            *H,
            "--with",
            "np.json",
        ),
        ("--from", "10.244.9.1", "--to", "10.244.9.2:80", "--at", "2026-11-20T10:15:02Z", "-H", "np.jsonl", "--spec"),
        ("--from", "10.244.9.1", "--to", "10.244.9.2:80", "--at", "2026-11-20T10:15:02Z", "-H", "np.jsonl", "--json"),
        (
            "--from",
            "10.244.9.1",
            "--to",
            "10.244.9.2:80",
            "--at",
            "2026-11-20T10:15:02Z",
            "-H",
            "np.jsonl",
            "--identities",
            "ids.toml",
            "--spec",
        ),
        ("--from", "10.244.9.1", "--to", "10.244.9.2:80", *H, "--identities", "noids.toml"),
        ("--from", "10.244.9.1", "--to", f"{EVIL}", *H),
        ("--from", "10.244.9.1", "--to", "10.244.9.2:80", *H, "--with", EVIL + "none"),
    ],
    "policy coverage": [
        ("--at", "2026-11-20T10:15:02Z", "-H", "np.jsonl", "--pods"),
        ("--at", "2026-11-20T10:15:02Z", "-H", "np.jsonl", "--json"),
        ("--at", "2026-11-20T10:15:02Z", *H),
        ("--at", EVIL, *H),
    ],
    "policy simulate": [
        ("np.json", "-f", "named", *H),
        ("np.json", "-f", "named", *H, "--json"),
        ("wrong.json", "-f", "named", *H),
        ("np.json", "-f", EVIL + "none", *H),
        ("np.json", "-f", "bad", *H),
        ("--remove", EVIL, "-f", "named", *H),
    ],
    "policy propose": [
        ("-f", "hostile", "--namespace", EVIL),
        ("-f", "hostile", "--namespace", EVIL, "--json"),
        ("-f", "hostile", "-o", EVIL + ".yaml"),
        ("-f", "named", *H, "--format", EVIL),
        ("-f", "named", *H, "--cluster", EVIL + "b"),
        ("-f", EVIL + "none"),
        ("-f", "bad"),
    ],
    "policy quarantine": [
        ("10.244.9.1", "-f", "named", "-H", "np.jsonl", "--at", "2026-11-20T10:15:02Z"),
        ("10.244.9.1", "-f", "named", "-H", "np.jsonl", "--at", "2026-11-20T10:15:02Z", "--json"),
        (EVIL, "-f", "named", *H),
        ("10.244.9.1", "-f", "bad", "-H", "np.jsonl", "--at", "2026-11-20T10:15:02Z"),
    ],
    "rules list": [("-r", "rules"), ("-r", "rules", "--json"), ("-r", "wrong"), ("-r", "rules", "--site", "key.toml")],
    "rules check": [("wrong",), ("wrong", "--json"), (EVIL + "none",)],
    "rules test": [("rules",), ("rules", "--json")],
    "rules explain": [("evil", "-r", "rules"), (EVIL, "-r", "rules")],
    "backtest": [
        ("-r", "rules", "-f", "named", "--show", "3"),
        ("-r", "rules", "-f", "named", "--json"),
        ("-r", "rules", "-f", "bad"),
        ("-r", "rules", "-f", "named", "--silences", "key.toml"),
        ("-r", "rules", "-f", "named", "--site", "key.toml"),
        ("-r", "rules", "-f", "named", "-o", f"{EVIL}.findings"),
        ("-r", "wrong", "-f", "named"),
    ],
    "watch": [
        ("--check", "--kubeconfig", "kubeconfig"),
        ("--check", "--kubeconfig", "kubeconfig", "--json"),
        ("--check", "--kubeconfig", "kubeconfig", "--context", EVIL, "--cluster", EVIL),
        ("--check", "--kubeconfig", EVIL),
        ("--history", "w.db", "--kubeconfig", "kubeconfig", "--to-kafka", "t", "--kafka", EVIL),
        ("--history", EVIL + "none/w.db", "--kubeconfig", "kubeconfig", "--listen", "none"),
    ],
    "stream": [
        ("--config", "topic.toml", "--check"),
        ("--config", "topic.toml", "--check", "--json"),
        ("--config", "key.toml"),
        ("--config", EVIL),
        ("--files", "logs", "-H", EVIL + "none.db", "-o", "s2", "--check"),
    ],
    "report": [
        ("-f", "named", *H, "-o", f"{EVIL}.html", "--cache", "cache"),
        ("-f", "named", *H, "-o", f"{EVIL}.json.html", "--cache", "cache", "--json"),
        ("-f", "bad", "-o", "r1.html", "--cache", "cache"),
        ("-f", EVIL + "none", "-o", "r2.html", "--cache", "cache"),
        ("-f", "named", "-o", "r3.html", "--cache", "cache", "--filter", EVIL),
        ("-f", "named", "-o", "r4.html", "--cache", "cache", "--findings", EVIL + "none"),
        ("-f", "named", "-o", "r5.html", "--cache", "cache", "--findings", "conn.log", "--finding", EVIL),
        ("-f", "named", "-o", "r6.html", "--cache", "cache", "--since", EVIL),
        ("-f", "named", "-o", "r7.html", "--cache", "conn.log/" + EVIL),
    ],
    "compact": [("named", EVIL), (EVIL + "none",)],
    "prune": [("-f", "named", "--keep", EVIL), ("-f", EVIL + "none", "--keep", "1d")],
    "schema": [(EVIL,)],
    "completion": [(EVIL,)],
}
# Commands that run until they are stopped, and the word after which they are.
RUNNING = [
    (("watch", "--history", "live.db", "--kubeconfig", "kubeconfig", "--listen", "none"), "pwned"),
    (("stream", "--files", "logs", "-H", "store.db", "-o", "s3", "--settled", "0"), "1 file not read"),
    (("serve", "-f", "named", "-H", "h.jsonl", "--cache", EVIL + "cache", "--no-browser"), "Ctrl-C"),
    (("stream", "--files", EVIL + "none", "-H", "store.db", "-o", "s4"), "no such folder"),
]


def test_no_command_is_forgotten() -> None:
    assert sorted(CASES) == sorted(path for path, _ in every_command(group))


@pytest.mark.parametrize("command", CASES)
def test_nothing_hostile_reaches_a_terminal(command: str, world: Path) -> None:
    cases = [(*command.split(), *words) for words in CASES[command]]
    for words, said in zip(cases, each_at_terminal(cases, world), strict=True):
        assert obeyed(said) == [], words
        assert "pwned" in said, words
        assert "Traceback" not in said, words


@pytest.mark.parametrize(("words", "until"), RUNNING, ids=lambda one: one[0] if isinstance(one, tuple) else "")
def test_nor_from_what_runs_until_it_is_stopped(words: tuple[str, ...], until: str, world: Path) -> None:
    assert obeyed(at_terminal(*words, cwd=world, until=until)) == []

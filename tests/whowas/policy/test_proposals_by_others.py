"""Proposals before judges that are not ours: cyclonus says what they let pass, a real apiserver takes them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from support.needs import need
from support.seen_cluster import PORTS, SeenCluster
from support.servers.build_cyclonus import missing, program
from support.servers.control_plane import ControlPlane

from whowas.cli import group

SEEDS = 12


def proposed(cluster: SeenCluster, folder: Path) -> list[dict[str, Any]]:
    words = ["policy", "propose", "-f", str(cluster.write(folder)), "-o", str(folder / "p.yaml")]
    found = CliRunner().invoke(group, words)
    assert found.exit_code == 0, (found.output, found.exception)
    return [one for one in yaml.safe_load_all((folder / "p.yaml").read_text()) if one]


def questions(cluster: SeenCluster) -> list[tuple[int, int, int, str]]:
    """Each workload to each other one, on each port, over TCP and UDP."""
    return [
        (source, target, port, protocol)
        for source in range(8)
        for target in range(8)
        for port in PORTS
        for protocol in ("tcp", "udp")
    ]


def end(cluster: SeenCluster, place: int, copy: int) -> dict[str, Any]:
    pod, address = cluster.pod(place, copy)
    spaces = cluster.namespaces()
    return {"ip": address, "namespace": pod.namespace, "namespaceLabels": spaces[pod.namespace], "labels": pod.labels}


@pytest.mark.long
def test_cyclonus_lets_pass_what_was_seen_and_nothing_else(tmp_path: Path) -> None:
    need(not missing(), missing())
    clusters = [SeenCluster(seed) for seed in range(SEEDS)]
    lines, wanted = [], []
    for number, cluster in enumerate(clusters):
        asks = [
            {"from": end(cluster, source, 0), "to": end(cluster, target, 1), "port": port, "portName": "",
             "protocol": protocol.upper()}
            for source, target, port, protocol in questions(cluster)
        ]  # fmt: skip
        wanted.append([one in cluster.asked for one in questions(cluster)])
        for address, passes in (("192.0.2.7", True), ("192.0.2.8", False)):
            outside = {"to": {"ip": address}, "port": 443, "portName": "", "protocol": "TCP"}
            asks += [{"from": end(cluster, place, 1), **outside} for place in range(8)]
            wanted[-1] += [passes] * 8
        lines.append(json.dumps({"policies": proposed(cluster, tmp_path / str(number)), "asks": asks}))
    ran = subprocess.run([program()], input="\n".join(lines), capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert answers == wanted
    assert sum(map(sum, wanted)) > SEEDS * 10


def test_an_apiserver_takes_a_proposal_as_it_is(control_plane: ControlPlane, tmp_path: Path) -> None:
    api = control_plane.api()
    documents = proposed(SeenCluster(3), tmp_path)
    for space in sorted({one["metadata"]["namespace"] for one in documents}):
        api.create("/api/v1/namespaces", {"metadata": {"name": space}})
    for one in documents:
        path = f"/apis/networking.k8s.io/v1/namespaces/{one['metadata']['namespace']}/networkpolicies"
        made = api.create(f"{path}?fieldValidation=Strict", one)
        assert made["spec"] == one["spec"]

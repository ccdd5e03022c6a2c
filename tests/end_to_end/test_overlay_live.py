"""Make overlays now, on this kernel, and hold the names against the truth."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support import truth_check as check

from ingest.packets import PacketOptions

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_network_namespaces")]


def run(*words: object) -> None:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_own_overlay_on_the_other_vxlan_port(root: Path, tmp_path: Path) -> None:
    import whowas

    if shutil.which("nft") is None and os.environ.get("CI") != "true":
        pytest.skip("'nft' is not installed")
    run(root / "samples" / "make_overlay.py", tmp_path, "--vxlan-port", 8472)
    connections, _ = check.read_truth(tmp_path / "truth.jsonl")
    wrong, found = set(), 0
    for name in ("node1-underlay.pcap.zst", "node1-bridge.pcap", "node1-any.pcap"):
        networks = tmp_path / "networks.toml"
        # The truth has a view of each point of observation.
        every = PacketOptions(count="every")
        history = tmp_path / "history.jsonl.gz"
        flows = check.by_key(whowas.replay(tmp_path / name, history=history, networks=networks, packets=every))
        for one in connections:
            for view in one["views"]:
                if view["capture"] != name.split(".")[0]:
                    continue
                rows = check.of_that_time(flows.get((one["protocol"], *check.key_of(view)), []), one)
                wrong |= set() if rows else {f"{name}: {one['id']} is lost"}
                wrong |= {
                    told for row in rows for side in ("src", "dst") if (told := check.wrong_name(row, side, view))
                }
                found += len(rows)
    assert found > 200
    assert sorted(wrong) == []


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def evidence(holders: list[dict[str, Any]], began: float, ended: float) -> list[dict[str, Any]]:
    """Watch events of pods whose every time is the true one."""
    pods: dict[str, list[dict[str, Any]]] = {}
    for hold in holders:
        pods.setdefault(hold["pod"], []).append(hold)
    lines: list[tuple[float, str, dict[str, Any]]] = []
    for number, (name, holds) in enumerate(sorted(pods.items())):
        start, end = holds[0]["start"], holds[0]["end"]
        lines.append((start, "ADDED", pod_object(name, number, holds, None)))
        lines.append((end, "MODIFIED", pod_object(name, number, holds, end)))
        lines.append((end, "DELETED", pod_object(name, number, holds, end)))
    nothing: dict[str, Any] = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}}
    lines += [(began, "BOOKMARK", nothing), (ended, "BOOKMARK", nothing)]
    return [
        {"type": verb, "object": seen, "received": stamp(when), "cluster": "lab"}
        for when, verb, seen in sorted(lines, key=lambda line: line[0])
    ]


def pod_object(name: str, number: int, holds: list[dict[str, Any]], ended: float | None) -> dict[str, Any]:
    space, plain = name.split("/")
    start = stamp(holds[0]["start"])
    state: dict[str, Any] = {"running": {"startedAt": start}}
    if ended is not None:
        state = {"terminated": {"startedAt": start, "finishedAt": stamp(ended), "exitCode": 0}}
    ready = {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": start}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"namespace": space, "name": plain, "uid": f"uid-{number}", "creationTimestamp": start},
        "spec": {"nodeName": f"worker-{holds[0]['node']}", "containers": [{"name": "main", "image": "lab"}]},
        "status": {
            "phase": "Running" if ended is None else "Succeeded",
            "startTime": start,
            "podIP": holds[0]["ip"],
            "podIPs": [{"ip": hold["ip"]} for hold in holds],
            "conditions": [ready] if ended is None else [],
            "containerStatuses": [{"name": "main", "state": state}],
        },
    }


@pytest.mark.parametrize("options", [[], ["--flannel"]], ids=["4789", "8472"])
def test_shared_overlay_names_equal_the_truth_it_prints(shared: Path, tmp_path: Path, options: list[str]) -> None:
    import whowas

    run(shared / "tools" / "overlay_lab.py", tmp_path, "--rounds", 8, "--seed", 5, *options)
    truth, holders = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for name in ("truth", "holders")
    )
    began, ended = (pick(one[end] for one in holders) for pick, end in ((min, "start"), (max, "end")))
    history = tmp_path / "history.jsonl"
    history.write_text("".join(json.dumps(line) + "\n" for line in evidence(holders, began - 5, ended + 5)))
    wrong, found = set(), 0
    for capture in ("node1-underlay", "node2-underlay", "node1-bridge", "node1-any"):
        flows = whowas.replay(tmp_path / f"{capture}.pcap", history=history).to_pylist()
        for one in truth:
            key = (one["proto"], one["sip"], one["sport"], one["dip"], one["dport"])
            rows = [row for row in flows if (row["protocol"], *check.key_of(row)[1:]) == key]
            found += len(rows)
            if not rows and in_bytes(tmp_path / f"{capture}.pcap", one):
                wrong.add(f"{capture}: {key} is lost")
            wrong |= {told for row in rows if (told := misnamed(row, one))}
    assert found >= 3 * len(truth)
    assert sorted(wrong) == []


def in_bytes(capture: Path, one: dict[str, Any]) -> bool:
    """Say whether a capture holds a packet of the connection: tcpdump's last ones may be missing when it is stopped."""
    addresses = [ipaddress.ip_address(one[end]).packed for end in ("sip", "dip")]
    return b"".join([*addresses, struct.pack("!HH", one["sport"], one["dport"])]) in capture.read_bytes()


def misnamed(row: dict[str, Any], one: dict[str, Any]) -> str:
    """Say which end is not named by the truth; each must be certain or have the truth among its candidates."""
    for side in ("src", "dst"):
        candidates = [f"{name['namespace']}/{name['name']}" for name in row[f"{side}_candidates"] or []]
        certain = row[f"{side}_confidence"] in check.CERTAIN
        named = [f"{row[f'{side}_namespace']}/{row[f'{side}_pod']}"] if certain else candidates
        if one[side] not in named:
            return f"{one[side]} named {row[f'{side}_confidence']} {named}: {row[f'{side}_reason']}"
    return ""

"""The samples: complete, small, made as they say; and named rightly."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.vxlan import VXLAN
from scapy.utils import PcapReader
from support import truth_check as check

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
OVERLAY = SAMPLES / "overlay"
CAPTURES = {
    "node1-underlay": OVERLAY / "node1-underlay.pcap.zst",
    "node1-bridge": OVERLAY / "node1-bridge.pcap",
    "node1-any": OVERLAY / "node1-any.pcap",
}
HISTORY = OVERLAY / "history.jsonl.gz"


def load(path: Path) -> Any:
    """Import a file that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = load(SAMPLES / "golden.py")
CONNECTIONS, HOLDERS = check.read_truth(OVERLAY / "truth.jsonl")


def opened(path: Path) -> io.BytesIO:
    data = path.read_bytes()
    return io.BytesIO(zstandard.ZstdDecompressor().stream_reader(data).read() if path.suffix == ".zst" else data)


def keys_by_scapy(path: Path) -> Counter[tuple[Any, ...]]:
    """(vni, addresses, ports) of every IP packet, innermost."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for packet in PcapReader(opened(path)):
        vni = packet[VXLAN].vni if VXLAN in packet else None
        inner = packet[VXLAN].payload if VXLAN in packet else packet
        head = inner.getlayer(IP) or inner.getlayer(IPv6)
        if head is not None:
            ports = head.getlayer(TCP) or head.getlayer(UDP)
            pair = (ports.sport, ports.dport) if ports else (None, None)
            seen[(vni, head.src, pair[0], head.dst, pair[1])] += 1
    return seen


@pytest.mark.parametrize("capture", CAPTURES)
def test_truth_is_in_the_packets_by_another_decoder(capture: str) -> None:
    seen = keys_by_scapy(CAPTURES[capture])
    views = [view for one in CONNECTIONS for view in one["views"] if view["capture"] == capture]
    assert len(views) > 50
    assert [view for view in views if not seen[check.key_of(view)]] == []


def test_samples_are_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(sizes) < 5_000_000


def test_crafted_bytes_are_what_the_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SAMPLES / "make_crafted.py", tmp_path], check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (SAMPLES / "crafted").iterdir()}


def test_history_tells_the_story() -> None:
    """Addresses change hands, a completed Job keeps its address, each object's versions rise."""
    lines = [json.loads(line) for line in gzip.decompress(HISTORY.read_bytes()).splitlines()]
    assert [line["received"] for line in lines] == sorted(line["received"] for line in lines)
    pods = [line for line in lines if line["object"]["kind"] == "Pod" and line["type"] != "BOOKMARK"]
    holders: dict[str, set[str]] = {}
    for line in pods:
        holders.setdefault(line["object"]["status"].get("podIP", ""), set()).add(line["object"]["metadata"]["name"])
    assert [len(holders[address]) for address in ("10.244.1.20", "10.244.1.21", "10.244.1.22")] == [3, 2, 2]
    last = {line["object"]["metadata"]["name"]: line for line in pods}
    job = last["import-29400190-v6gtd"]["object"]["status"]
    assert (job["phase"], job["podIP"]) == ("Succeeded", "10.244.1.21")
    versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in pods]
    assert versions == sorted(set(versions))


@pytest.fixture(scope="module")
def flows() -> dict[str, dict[tuple[Any, ...], list[dict[str, Any]]]]:
    """Named flows by capture and key. Every point of the any capture is asked: the truth has a view of each."""
    import whowas
    from ingest.packets import PacketOptions

    told: dict[str, Any] = {"history": HISTORY, "networks": str(OVERLAY / "networks.toml")}
    every = PacketOptions(count="every")
    replayed = {name: whowas.replay(path, packets=every, **told) for name, path in CAPTURES.items()}
    return {name: check.by_key(table) for name, table in replayed.items()}


def seen_flows(flows: Any, one: dict[str, Any], view: dict[str, Any]) -> list[dict[str, Any]]:
    found = flows[view["capture"]].get((one["protocol"], *check.key_of(view)), [])
    return check.of_that_time(found, one)


def test_every_connection_is_found_in_its_direction(flows: Any) -> None:
    lost = [
        (one["id"], view["capture"]) for one in CONNECTIONS for view in one["views"] if not seen_flows(flows, one, view)
    ]
    assert lost == []


def test_sizes_are_what_the_sockets_counted(flows: Any) -> None:
    told = [
        check.wrong_sizes(seen_flows(flows, one, view), one)
        for one in CONNECTIONS
        for view in one["views"]
        # the any capture sees a packet several times; all pings of two hosts are one conversation
        if view["capture"] != "node1-any" and one["src_port"] is not None
    ]
    assert len(told) > 80
    assert [wrong for wrong in told if wrong] == []


def test_no_wrong_name_and_the_truth_is_among_the_candidates(flows: Any) -> None:
    wrong = {
        f"{view['capture']} {one['id']}: {told}"
        for one in CONNECTIONS
        for view in one["views"]
        for flow in seen_flows(flows, one, view)
        for side in ("src", "dst")
        if (told := check.wrong_name(flow, side, view))
    }
    assert sorted(wrong) == []


def test_pings_of_several_holders_in_one_row_are_ambiguous(flows: Any) -> None:
    """An address changed hands while it went on pinging the same peer: one row, which names nobody for certain."""
    told = {
        flow["src_ip"]: (flow["src_confidence"], {one["name"] for one in flow["src_candidates"]})
        for key, rows in flows["node1-bridge"].items()
        for flow in rows
        if key[0] == "icmp" and flow["src_ip"] in ("10.244.1.20", "10.244.1.21")
    }
    assert {confidence for confidence, _ in told.values()} == {"ambiguous"}
    assert told["10.244.1.20"][1] >= {"web-6c9f7d5b8-hq6zt", "web-6c9f7d5b8-t8wjm"}
    assert told["10.244.1.21"][1] >= {"import-29400190-v6gtd", "shell"}


def test_well_inside_a_hold_the_name_is_exact(flows: Any) -> None:
    told = [
        (one["id"], view["capture"], side, flow[f"{side}_confidence"], flow[f"{side}_reason"])
        for one in CONNECTIONS
        if one["src_port"] is not None  # pings are one conversation over the whole capture
        for view in one["views"]
        for flow in seen_flows(flows, one, view)
        for side in ("src", "dst")
        if view[f"{side}_kind"] == "pod"
        and not on_host_network(view[f"{side}_uid"])
        and check.well_inside(one, view[f"{side}_uid"], HOLDERS)
    ]
    assert len(told) > 150
    assert [one for one in told if one[3] != "exact"] == []


def on_host_network(uid: str) -> bool:
    return any(hold["uid"] == uid and hold["host_network"] for hold in HOLDERS)


def test_reused_address_is_named_exactly_by_each_holder(flows: Any) -> None:
    """The samples' first promise: three pods held one address, and each is named for its own traffic."""
    named = {
        flow["src_pod"]
        for rows in flows["node1-bridge"].values()
        for flow in rows
        if flow["src_ip"] == "10.244.1.20" and flow["src_confidence"] == "exact"
    }
    assert named == {"web-6c9f7d5b8-hq6zt", "report-29400195-x7k2p", "web-6c9f7d5b8-t8wjm"}


def test_completed_job_does_not_take_its_successors_traffic(flows: Any) -> None:
    named = {
        (flow["src_pod"], flow["src_confidence"])
        for rows in flows["node1-bridge"].values()
        for flow in rows
        if flow["src_ip"] == "10.244.1.21" and flow["protocol"] == "tcp" and flow["start_time"] > shell_start()
    }
    assert named == {("shell", "exact")}


def shell_start() -> Any:
    return next(check.moment(hold["start"]) for hold in HOLDERS if hold["pod"] == "dev/shell")


def test_labels_are_those_of_the_start(flows: Any) -> None:
    """One connection began before its pod was given a label, others after."""
    release = {
        one["id"]: dict(flow["src_labels"]).get("release")
        for one in CONNECTIONS
        if "r5dnc" in one["src"]
        for view in one["views"]
        for flow in seen_flows(flows, one, view)
    }
    began = {one["id"]: check.moment(one["start"]) for one in CONNECTIONS}
    order = [release[key] for key in sorted(release, key=lambda key: began[key])]
    assert order == sorted(order, key=lambda label: label is not None)
    assert set(order) == {None, "canary"}


@pytest.mark.parametrize("capture", golden.captures(), ids=lambda path: path.name)
def test_golden(capture: Path) -> None:
    expected = golden.path_of(capture).read_text()
    assert golden.text(golden.replayed(capture)) == expected, "make golden writes it anew; read the difference first"

"""The benchmark's capture and history are what bench/make_capture.py says they are."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import RawPcapReader

PACKETS, CONVERSATIONS, HOLDS = 3_000, 120, 400


def make(root: Path, out: Path) -> None:
    sizes = ("--packets", PACKETS, "--conversations", CONVERSATIONS, "--holds", HOLDS, "--pods", 100)
    words = [sys.executable, root / "bench" / "make_capture.py", out, *sizes]
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench")
    make(root, out)
    return out


def packets(made: Path) -> list[tuple[float, Any, Any]]:
    """(time, outer IP, inner IP) by scapy."""
    seen = []
    for data, told in RawPcapReader(str(made / "capture.pcap")):
        assert (told.caplen, len(data)) == (130, 130)
        outer = Ether(data)[IP]
        inner = outer[VXLAN].payload[IP]
        assert told.wirelen >= 14 + outer.len
        assert outer.len >= 50 + inner.len
        seen.append((told.sec + told.usec / 1e6, outer, inner))
    return seen


def test_same_numbers_give_the_same_bytes(root: Path, made: Path, tmp_path: Path) -> None:
    make(root, tmp_path)
    for name in ("capture.pcap", "history.jsonl"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_capture_has_the_packets_and_conversations_asked_for(made: Path) -> None:
    seen = packets(made)
    times = [moment for moment, _, _ in seen]
    assert len(seen) == PACKETS
    assert times == sorted(times)
    talks = {frozenset([(ip.src, port(ip, "sport")), (ip.dst, port(ip, "dport"))]) for _, _, ip in seen}
    assert len(talks) == CONVERSATIONS
    assert {ip.proto for _, _, ip in seen} == {6, 17}


def port(ip: Any, name: str) -> int:
    return int(getattr(ip.getlayer(TCP) or ip.getlayer(UDP), name))


def test_every_end_is_held_at_its_time_by_the_history(made: Path) -> None:
    holds: dict[str, list[list[float]]] = {}
    for line in (made / "history.jsonl").read_text().splitlines():
        seen = json.loads(line)
        told = seen["object"]
        if told["kind"] == "Pod" and told.get("status", {}).get("podIP"):
            moment = datetime.fromisoformat(seen["received"]).timestamp()
            of_address = holds.setdefault(told["status"]["podIP"], [])
            if seen["type"] == "MODIFIED" and told["status"]["phase"] == "Running":
                of_address.append([moment, float("inf")])
            elif seen["type"] == "MODIFIED":
                of_address[-1][1] = moment
    # Published up to 1.1 s after the address was given: a flow may begin before its pod is seen.
    assert all(
        any(start - 1.2 <= moment <= end for start, end in holds[address])
        for moment, _, ip in packets(made)
        for address in (ip.src, ip.dst)
    )
    assert sum(len(of_address) for of_address in holds.values()) == HOLDS
    assert len(holds) == 100

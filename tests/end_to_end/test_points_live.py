"""A conversation through a real overlay, captured at every point at once: its bytes are those that the sockets sent."""

from __future__ import annotations

import os
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from support.two_nodes import LAST, PODS, TwoNodes, wait_until

from ingest.packets import CaptureSource, PacketOptions

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_network_namespaces")]

TALKS = [("tcp", [300, 1, 1200]), ("tcp", [400_000]), ("udp", [200]), ("tcp", [90_000, 90_000]), ("udp", [5])]


def conversations(paths: list[Path]) -> list[dict[str, Any]]:
    source = CaptureSource([str(path) for path in paths], PacketOptions())
    rows = [row for batch, _ in source.batches() for row in batch.to_pylist()]
    return [row for row in rows if {row["src_ip"], row["dst_ip"]} == set(PODS)]


def payload(row: dict[str, Any]) -> tuple[int, int]:
    """Bytes without headers: of TCP 20 and 20, and 4 of the one option in each SYN."""
    header, syn = (40, 4) if row["protocol"] == "tcp" else (28, 0)
    return (
        row["bytes_out"] - header * row["packets_out"] - syn,
        row["bytes_in"] - header * row["packets_in"] - syn,
    )


def test_bytes_are_those_that_the_sockets_sent(tmp_path: Path) -> None:
    with TwoNodes(f"w{os.getpid()}", tmp_path) as lab:
        places = (
            lab.capture(1, "any", "-y", "LINUX_SLL2"), lab.capture(1, "cni0"), lab.capture(1, "u1"),
            lab.capture(2, "any", "-y", "LINUX_SLL2"), lab.capture(2, "pod"), lab.capture(2, "u2"),
        )  # fmt: skip
        truth = lab.talk(TALKS)
        # What went past is written: the last question, and its answer (which begins as the question does).
        wait_until(lambda: all(path.read_bytes().count(LAST[:9]) >= 2 for path in places))
    assert len(truth) == len(TALKS) + 1
    for some in [list(places), *([one] for one in places), *(list(pair) for pair in permutations(places, 2))]:
        rows = conversations(some)
        told = {(row["protocol"], row["src_port"]): payload(row) for row in rows if row["protocol"] != "icmp"}
        names = [path.name for path in some]
        assert len(rows) == len(truth), names
        assert told == truth, names
    assert min(len(row["observations"]) for row in conversations(list(places))) >= 10

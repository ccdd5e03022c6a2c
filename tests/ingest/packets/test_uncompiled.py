"""Kernels run as plain Python give the same rows as compiled ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import START, ethernet, ipv4, pcap, segment, udp, vxlan
from support.crafted_tunnels import EXAMPLES, SEALED

DUMP = """
import json, sys
from ingest.packets import CaptureSource, PacketOptions
source = CaptureSource(sys.argv[1:], PacketOptions(max_conversations=9, batch_rows=5, idle_timeout_seconds=3.0,
                       observe=("dns", "tls", "http")))
rows = [row for batch, _ in source.batches() for row in batch.to_pylist()]
print(json.dumps([rows, source.report.refused, source.report.noted], default=str))
"""


def agreed(root: Path, *paths: Path) -> Any:
    """Read the captures compiled and not; return what both say: rows, refused, noted."""
    told = []
    for disabled in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", DUMP, *map(str, paths)],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled}, cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    return told[0]


@pytest.mark.uncompiled
def test_compiled_and_uncompiled_agree(root: Path, tmp_path: Path) -> None:
    frames = []
    for number in range(300):
        inner = segment("10.0.0.1", f"10.0.0.{number % 23}", number % 5, 80, (0x02, 0x12, 0x10, 0x11, 0x04)[number % 5])
        frames.append((START + number / 7, vxlan(number % 2, inner) if number % 3 else inner[: 20 + number % 40]))
    frames += [(START + 50 + place, one.frame) for place, one in enumerate(EXAMPLES.values())]
    frames += [(START + 150 + place, frame) for place, (frame, _) in enumerate(SEALED.values())]
    for ident, order in enumerate(((2, 0x2001, 0x2000), (0x2001, 2))):
        pieces = [ipv4("10.0.0.1", "10.0.0.2", 17, udp(5, 6), piece, ident) for piece in order]
        frames += [(START + 160 + ident, ethernet(one)) for one in pieces]
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(frames))
    rows, refused, noted = agreed(root, path)
    assert len(rows) > 50
    assert refused["cut_short"] > 0
    assert noted["ports_cut_short"] > 0


@pytest.mark.uncompiled
def test_compiled_and_uncompiled_agree_on_the_samples(root: Path) -> None:
    """Every tunnel, link type and file format that the samples have."""
    captures = sorted(path for path in (root / "samples").glob("*/*.pcap*") if path.name != "node1-bridge.pcap")
    assert len(captures) > 12
    rows, refused, _ = agreed(root, *captures)
    assert len(rows) > 100
    assert refused["non_ip"] > 0


def test_the_name_of_the_cache_hangs_on_every_file_with_kernels(root: Path) -> None:
    from whowas.kernels import SOURCES

    known = {path for pattern in SOURCES for path in root.glob(pattern)}
    rooms = [path for room in ("whowas", "ingest", "enrich", "sinks", "detect") for path in (root / room).rglob("*.py")]
    asking = {
        path
        for path in rooms
        if "whowas.kernels import" in path.read_text() and "needs_compiling" not in path.read_text()
    }
    assert asking <= known

"""Kernels run as plain Python give the same rows as compiled ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crafted import START, pcap, segment, vxlan

DUMP = """
import json, sys
from ingest.packets import CaptureSource, PacketOptions
source = CaptureSource([sys.argv[1]], PacketOptions(max_conversations=9, batch_rows=5, idle_timeout_seconds=3.0))
rows = [row for batch, _ in source.batches() for row in batch.to_pylist()]
print(json.dumps([rows, source.report.refused, source.report.noted], default=str))
"""


@pytest.mark.uncompiled
def test_compiled_and_uncompiled_agree(root: Path, tmp_path: Path) -> None:
    frames = []
    for number in range(300):
        inner = segment("10.0.0.1", f"10.0.0.{number % 23}", number % 5, 80, (0x02, 0x12, 0x10, 0x11, 0x04)[number % 5])
        frames.append((START + number / 7, vxlan(number % 2, inner) if number % 3 else inner[: 20 + number % 40]))
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(frames))
    told = []
    for disabled in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", DUMP, str(path)],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled}, cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    rows, refused, noted = told[0]
    assert len(rows) > 50
    assert refused["cut_short"] > 0
    assert noted["ports_cut_short"] > 0

"""What is small is read by plain Python: with the same answer, and without the compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.crafted_packets import START, pcap, segment, vxlan

from whowas.cli import small_inputs
from whowas.cli.small_inputs import are_small

HISTORY = "samples/crafted/history.jsonl"
RUN = """
import json, sys
from whowas.cli import group, small_inputs
if sys.argv[1] == "compiled":
    small_inputs.are_small = lambda inputs, history: False
group(sys.argv[2:], standalone_mode=False)
print(json.dumps("numba" in sys.modules))
"""


def replayed(root: Path, how: str, capture: Path, out: Path) -> tuple[Any, Any, bool]:
    """Replay; return the rows, the summary and whether the compiler was loaded."""
    words = ["replay", str(capture), "--history", HISTORY, "--out", str(out), "--json"]
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", RUN, how, *words],
        cwd=root, capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, compiled = done.stdout.strip().splitlines()
    summary = json.loads(told)
    for name in ("seconds", "seconds_by_step", "written"):
        summary.pop(name)
    return pq.read_table(out).to_pylist(), summary, json.loads(compiled)


@pytest.mark.parametrize("name", ["fragments.pcap", "two-vnis.pcap", "vlans.pcap", "two-interfaces.pcapng", "made"])
def test_both_ways_give_the_same(name: str, root: Path, tmp_path: Path) -> None:
    capture = root / "samples" / "crafted" / name
    if name == "made":
        capture = tmp_path / "made.pcap"
        inner = [segment("10.0.0.1", f"10.0.0.{number % 23}", number % 5, 80, 0x12) for number in range(200)]
        capture.write_bytes(pcap([(START + place / 7, vxlan(1, one)) for place, one in enumerate(inner)]))
    plain, told, loaded = replayed(root, "plain", capture, tmp_path / "plain")
    compiled, also, needed = replayed(root, "compiled", capture, tmp_path / "compiled")
    assert (loaded, needed) == (False, True)
    assert plain == compiled != []
    assert told == also


def test_what_is_large_packed_or_no_file_is_not_small(tmp_path: Path) -> None:
    capture, log, history = tmp_path / "a.pcap", tmp_path / "a.json", tmp_path / "history"
    capture.write_bytes(small_inputs.CAPTURES[0] + bytes(small_inputs.CAPTURE_BYTES // 2))
    log.write_bytes(b"{" + bytes(small_inputs.LOG_BYTES // 4))
    history.write_bytes(b"{" + bytes(1000))
    words, known = [str(capture), str(log)], [str(history)]
    assert are_small(words, known)
    assert not are_small([*words, str(capture)], known)
    assert not are_small([*words, "-"], known)
    assert not are_small([*words, str(tmp_path)], known)
    assert not are_small(words, [*known, str(tmp_path / "none")])
    assert not are_small(words, [f"{history}@2026-11-20T10:15:02Z"])
    history.write_bytes(b"{" + bytes(small_inputs.HISTORY_BYTES))
    assert not are_small(words, known)
    history.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(small_inputs.PACKED_BYTES))
    assert not are_small(words, known)
    history.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(1000))
    assert are_small(words, known)
    log.write_bytes(b"\x1f\x8b\x08\x00")
    assert not are_small(words, known)

"""`whowas stream --files DIR --alerts FILE`: the sample capture of a wire, named and judged by the pack."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path


def test_a_capture_in_a_folder_is_judged(root: Path, tmp_path: Path) -> None:
    folder, findings, samples = tmp_path / "captures", tmp_path / "findings.jsonl", root / "samples" / "overlay"
    folder.mkdir()
    shutil.copy(samples / "node1-underlay.pcap.zst", folder)
    words = ["--files", folder, "--history", samples / "history.jsonl.gz", "--networks", samples / "networks.toml"]
    words += ["--out", tmp_path / "named", "--wait", "never", "--settled", "0", "--vni", "1", "--alerts", findings]
    running = subprocess.Popen([sys.executable, "-m", "whowas", "stream", *map(str, words)])
    try:
        until = time.monotonic() + 120
        while len(findings.read_text().splitlines() if findings.exists() else ()) < 2:
            assert running.poll() is None, f"it ended with {running.returncode}"
            assert time.monotonic() < until, "no findings came"
            time.sleep(0.1)
        running.terminate()
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.wait()
    found = [json.loads(line) for line in findings.read_text().splitlines()]
    assert {one["finding_info"]["analytic"]["name"] for one in found} == {
        "A namespace for trying things out reaches a database",
        "A node speaks to a database",
    }
    assert (tmp_path / "named" / ".whowas-stream" / "files" / "rules.db").exists()

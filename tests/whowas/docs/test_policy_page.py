"""The way from a folder of flows to a proven proposal, as docs/how-to/policy.md walks it on the samples."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

SECTION = "## From a folder of flows to a policy that is proven\n"


def test_the_page_leads_from_flows_to_a_proven_proposal(root: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(root / "samples")
    text = (root / "docs/how-to/policy.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    lines = [line for line in text.replace("\\\n", "").splitlines() if line.startswith("whowas ")]
    assert [line.split()[1] for line in lines] == ["replay", "policy", "policy"]
    done = [
        subprocess.run([sys.executable, "-m", *shlex.split(line)], cwd=tmp_path, capture_output=True, text=True)
        for line in lines
    ]
    # The last one says what the proposal would cut, as the page explains.
    assert [one.returncode for one in done] == [0, 0, 1], [one.stderr for one in done]
    for said in (one for one in text.splitlines() if one.startswith(("proposed for ", "proven: ", "wrote "))):
        assert said in done[1].stderr
    shown = text.partition("```yaml\n")[2].partition("```")[0]
    written = (tmp_path / "shop.yaml").read_text()
    assert [line for line in shown.splitlines() if line not in written] == []
    assert "would be cut" in done[2].stdout

"""Two processes build roll-ups in one cache: neither takes the other's half-made folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.workbench import rows, write

from whowas.workbench.rollups import Rollups


def test_what_another_process_builds_is_left_alone(tmp_path: Path) -> None:
    kept = Rollups(str(write(tmp_path / "flows", rows(20, hours=1))), tmp_path / "cache")
    hour = kept.state.found.hours[0]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = kept.folder / hour.id / f".begun-{other.pid}-{hour.key}"
        theirs.mkdir(parents=True)
        kept.build_all()
        assert theirs.is_dir()
        assert set(kept.state.ready) == {hour.id}
        other.communicate(b"\n")
    mine = kept.folder / hour.id / f".begun-{os.getpid()}-{hour.key}"
    mine.mkdir()
    kept.build_all()
    assert not theirs.exists()
    assert not mine.exists()


def test_only_the_hours_that_are_asked_for_are_built(tmp_path: Path) -> None:
    kept = Rollups(str(write(tmp_path / "flows", rows(60, hours=3))), tmp_path / "cache")
    oldest = kept.state.found.hours[-1]
    kept.build_all(span=(oldest.since, oldest.until))
    assert set(kept.state.ready) == {oldest.id}

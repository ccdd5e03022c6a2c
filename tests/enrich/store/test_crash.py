"""Killed at any moment, a store has everything that was acknowledged, once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.store.versions import versions
from support.store.written import numbered

from enrich.store.evidence_store import EvidenceStore
from enrich.store.verify import problems
from whowas.history.import_export import export_slice, import_files

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("WHOWAS_STORE_KILLS", "24"))
CUT = """
import os, signal, sys
import whowas.history.import_export as keeping
from enrich.store.evidence_store import EvidenceStore
keeping.AT_ONCE = 10
write, left = EvidenceStore.write, [int(sys.argv[3])]
def dying(self, *several, **more):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, *several, **more)
EvidenceStore.write = dying
keeping.import_files(sys.argv[1], [sys.argv[2]])
"""


def test_killed_again_and_again_it_has_everything_once(root: Path, tmp_path: Path) -> None:
    path, dice = tmp_path / "store", random.Random(4)
    durable = 0
    for turn in range(KILLS):
        words = [sys.executable, str(root / "tests/support/store/writer_process.py"), str(path)]
        path_of = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, env=path_of, text=True) as writer:
            assert writer.stdout is not None
            begun = writer.stdout.readline().split()
            assert int(begun[1]) >= durable
            time.sleep(dice.uniform(0, 0.12))
            writer.kill()
            said = [int(line.split()[1]) for line in writer.stdout.read().splitlines() if line.count(" ") == 1]
        durable = max([durable, *said])
        found = versions(path)
        assert found == list(range(1, len(found) + 1)), f"kill {turn}"
        assert len(found) >= durable
        with EvidenceStore(path) as store:
            assert int(store.cursors("c")["Pod"].version) == len(found) if found else True
        durable = len(found)
    assert durable > KILLS
    assert list(problems(str(path))) == []


def test_an_import_that_is_killed_is_begun_again_from_nothing(root: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "lines.jsonl"
    with EvidenceStore(source, write=True) as store:
        store.write(numbered(120))
    export_slice(str(source), str(out))
    for after in (1, 2, 7, 12):
        words = [sys.executable, "-c", CUT, str(tmp_path / "store"), str(out), str(after)]
        killed = subprocess.run(words, cwd=root, capture_output=True)
        assert killed.returncode == -9, killed.stderr
    assert import_files(str(tmp_path / "store"), [str(out)])[0].events == 120
    assert versions(tmp_path / "store") == list(range(1, 121))
    assert list(problems(str(tmp_path / "store"))) == []

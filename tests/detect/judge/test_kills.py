"""A judge that is killed with -9 again and again: no finding lacks a flow, none has one twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import killed_judge as child
from support.flows import plainly

pytestmark = pytest.mark.long

FLOWS = int(os.environ.get("WHOWAS_JUDGED_FLOWS", "1500"))
KILLS = int(os.environ.get("WHOWAS_KILLS", "6"))


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, root: Path) -> None:
    seed = 7
    dice, told = random.Random(seed), tmp_path / "told.jsonl"
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    command = [sys.executable, child.__file__, tmp_path / "state.db", told, str(seed), str(FLOWS)]
    killed = 0
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
            assert process.stdout is not None
            wanted, ended = dice.randrange(1, 2 * FLOWS // 25 // KILLS + 2), False
            for line in process.stdout:
                wanted -= 1
                ended = line.strip() == "done"
                if wanted <= 0 and killed < KILLS and not ended:
                    time.sleep(dice.random() * 0.02)
                    process.kill()
                    killed += 1
                    break
            process.wait()
        if ended:
            break
        assert process.returncode == -9
    last: dict[str, tuple[object, ...]] = {}
    highest: dict[str, int] = {}
    for line in told.read_text("utf-8").splitlines():
        # The last line before a kill may be half a line: it was not told.
        try:
            uid, _revision, count, first, until, evidence, values = json.loads(line)
        except json.JSONDecodeError:
            continue
        highest[uid] = max(count, highest.get(uid, 0))
        last[uid] = (count, first, until, tuple(evidence), values)
    assert killed >= min(KILLS, 2)
    assert last == plainly(child.RULES, child.PREDICATES, child.log(seed, FLOWS))
    assert highest == {uid: one[0] for uid, one in last.items()}

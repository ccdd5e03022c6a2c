"""The Delta table of a group: each record stands in it once, whenever a worker is killed, however many there are."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
from support import rows as made_up

deltalake = pytest.importorskip("deltalake")

from sinks.flows.delta_log import Commit, DeltaLog  # noqa: E402
from sinks.flows.delta_ranges import RangeTable  # noqa: E402
from sinks.flows.offset_ranges import Range, RangeFiles  # noqa: E402
from whowas.errors import OutputError  # noqa: E402
from whowas.kafka import Partition  # noqa: E402

PART = Partition("flows", 3)
FLOWS = made_up.batch(60, seed=1)
KILLS = int(os.environ.get("WHOWAS_KILLS", "4"))
WORKER = textwrap.dedent(
    """
    import sys
    from sinks.flows.delta_ranges import RangeTable
    from sinks.flows.offset_ranges import Range
    from support import rows as made_up
    from whowas.kafka import Partition

    part, table = Partition("flows", int(sys.argv[2])), RangeTable(sys.argv[1], "g")
    table.check()
    while not table.claim(part):
        pass
    flows = made_up.batch(600, int(sys.argv[2]))
    print("ready", flush=True)
    for first in range(table.next(part) or 0, 600, 20):
        table.write(Range(part, first, first + 19, [flows.slice(first, 20)]))
    """
)


def part(first: int, last: int) -> Range:
    return Range(PART, first, last, [FLOWS.slice(first, last - first + 1)])


def found(out: Path) -> list[str]:
    table = deltalake.DeltaTable(str(out)).to_pyarrow_dataset().to_table(columns=["flow_id"])
    return sorted(table["flow_id"].to_pylist())


def ids(count: int) -> list[str]:
    return sorted(FLOWS["flow_id"].to_pylist()[:count])


def worker(out: Path, number: int) -> subprocess.Popen[str]:
    tests = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    words = [sys.executable, "-c", WORKER, str(out), str(number)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)


def test_ranges_follow_one_another_and_come_once(tmp_path: Path) -> None:
    table = RangeTable(tmp_path / "t", "g")
    table.check()
    assert found(tmp_path / "t") == []
    assert table.claim(PART)
    assert table.next(PART) is None
    for first, last in ((0, 19), (0, 19), (20, 29)):
        table.write(part(first, last))
    table.write(Range(PART, 30, 34, []))
    table.close()
    again = RangeTable(tmp_path / "t", "g")
    assert again.claim(PART)
    assert again.next(PART) == 35
    assert found(tmp_path / "t") == ids(30)


@pytest.mark.parametrize("done", [False, True])
def test_cut_off_at_its_commit(done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it, or behind it: whoever comes next makes what is missing, and only that."""
    table, real = RangeTable(tmp_path / "t", "g"), DeltaLog.commit
    table.check()
    assert table.claim(PART)
    table.write(part(0, 9))

    def cut(log: DeltaLog, one: Commit) -> None:
        if done:
            real(log, one)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, "commit", cut)
        with pytest.raises(KeyboardInterrupt):
            table.write(part(10, 29))
    table.close()
    assert found(tmp_path / "t") == ids(30 if done else 10)
    after = RangeTable(tmp_path / "t", "g")
    after.check()
    assert after.claim(PART)
    assert after.next(PART) == 30
    after.write(part(30, 59))
    assert found(tmp_path / "t") == ids(60)


def test_a_commit_that_fails_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = RangeTable(tmp_path / "t", "g")
    table.check()
    assert table.claim(PART)
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, "commit", lambda *_: (_ for _ in ()).throw(OutputError("cannot write")))
        for _ in range(2):
            with pytest.raises(OutputError, match="cannot write"):
                table.write(part(0, 19))
    table.write(part(0, 19))
    table.write(part(20, 59))
    assert found(tmp_path / "t") == ids(60)


def test_a_folder_is_a_table_or_is_none(tmp_path: Path) -> None:
    plain, table = RangeFiles(tmp_path / "p", "g"), RangeTable(tmp_path / "t", "g")
    plain.check()
    assert plain.claim(PART)
    plain.write(part(0, 9))
    plain.close()
    table.check()
    table.close()
    with pytest.raises(OutputError, match="holds plain Parquet files"):
        RangeTable(tmp_path / "p", "g").check()
    with pytest.raises(OutputError, match="it is a Delta table"):
        RangeFiles(tmp_path / "t", "g").check()


@pytest.mark.long
def test_two_workers_killed_at_any_moment(tmp_path: Path) -> None:
    """Each with a partition of its own, into one table; at the end every row is there once."""
    out, dice = tmp_path / "t", random.Random(1)
    for _ in range(KILLS):
        running = [worker(out, number) for number in (1, 2)]
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0, 1.5))
        for one in running:
            one.send_signal(signal.SIGKILL)
            one.wait()
        # Killed before anything was committed there is no table yet.
        seen = Counter(found(out) if any((out / "_delta_log").glob("*.json")) else ())
        assert max(seen.values(), default=1) == 1, "a reader sees a row twice"
    for one in [worker(out, number) for number in (1, 2)]:
        one.communicate()
        assert one.returncode == 0
    wanted = [one for seed in (1, 2) for one in made_up.batch(600, seed)["flow_id"].to_pylist()]
    assert found(out) == sorted(wanted)

"""What becomes of a folder that several runs write into, whatever is killed when."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support import rows as made_up

from sinks.files.output_folder import Run
from sinks.files.run_journal import HOME, Input
from sinks.flows.compaction import Compaction, CompactionOptions
from sinks.flows.jsonl import JsonlSink
from sinks.flows.parquet import ParquetOptions, ParquetSink
from whowas.errors import OutputError

PARTS = [made_up.batch(20, seed) for seed in range(4)]
NOW = CompactionOptions(settled_seconds=0)


def log(folder: Path, name: str, lines: int = 400) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{name} {number}\n" for number in range(lines)))
    return str(path)


def sink_of(out: Path, run: Run, existing: str) -> ParquetSink:
    return ParquetSink(out, run, ParquetOptions(rows_held=15, existing=existing))


def write(out: Path, run: Run, existing: str, *parts: int) -> None:
    sink = sink_of(out, run, existing)
    sink.check()
    for part in parts:
        sink.write(PARTS[part])
    sink.close()


def found(out: Path) -> Counter[str]:
    """Flow ids, as whoever reads every Parquet file below the folder finds them."""
    files = sorted(out.rglob("*.parquet"))
    return Counter(one for path in files for one in pq.ParquetFile(path).read(["flow_id"])["flow_id"].to_pylist())


def ids(*parts: int) -> Counter[str]:
    return Counter(one for part in parts for one in PARTS[part]["flow_id"].to_pylist())


class Killed(BaseException):
    """Stands for kill -9: from here on nothing of this process reaches the disk any more."""


@contextlib.contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let the process die before its step-th call that changes the disk; what it would tidy up stays as it is."""
    calls: list[str] = []

    def dying(name: str, real: Any) -> Any:
        def call(*told: Any, **more: Any) -> Any:
            if name != "open" or told[1] & os.O_CREAT:
                calls.append(name)
                if len(calls) > step:
                    raise Killed
            return real(*told, **more)

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "fsync", "replace", "unlink", "mkdir", "rmdir"):
            patch.setattr(os, name, dying(name, getattr(os, name)))
        yield calls


def died(out: Path, run: Run, existing: str, parts: tuple[int, ...], step: int, patch: pytest.MonkeyPatch) -> bool:
    sink = sink_of(out, run, existing)
    with killed_at(step, patch):
        try:
            sink.check()
            for part in parts:
                sink.write(PARTS[part])
            sink.close()
        except Killed:
            # The kernel takes the lock of a dead process away.
            if sink._folder._lock is not None:
                os.close(sink._folder._lock)
            return True
    return False


def again(out: Path, run: Run, existing: str) -> str:
    try:
        write(out, run, existing, 1)
    except OutputError as why:
        return str(why)
    return ""


@pytest.mark.parametrize("existing", ["append", "replace", pytest.param("replace-all", marks=pytest.mark.long)])
def test_killed_at_any_step_and_run_again_every_row_is_there_once(
    existing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, run = Run("aa", [log(tmp_path, "a.log")]), Run("bb", [log(tmp_path, "b.log")])
    start = tmp_path / "start"
    write(start, before, "refuse", 0)
    if existing == "replace":
        write(start, Run("b1", run.paths), "append", 3)
    done = ids(1) if existing == "replace-all" else ids(0, 1)
    step = 0
    while True:
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(start, out)
        killed = died(out, run, existing, (1,), step, monkeypatch)
        if existing != "replace-all":
            assert ids(0) <= found(out), f"step {step}: rows of another run are gone"
        if killed:
            said = again(out, run, existing)
            assert said == "" or "already holds all flows of 'b.log'" in said, f"step {step}"
        assert found(out) == done, f"step {step}"
        assert not list((out / HOME).glob("*.making"))
        if not killed:
            break
        step += 1
    assert step > 30


@pytest.mark.parametrize("next_one", ["other", "compaction", "stream"])
def test_whoever_comes_next_finishes_what_was_written(
    next_one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("bb", [log(tmp_path, "b.log")])
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        real = os.replace

        def replace(source: Any, target: Any) -> None:
            if str(target).endswith("00002.parquet"):
                raise Killed
            real(source, target)

        patch.setattr(os, "replace", replace)
        sink = sink_of(out, run, "append")
        sink.check()
        sink.write(PARTS[1])
        sink.write(PARTS[2])
        with pytest.raises(Killed):
            sink.close()
        assert sink._folder._lock is not None
        os.close(sink._folder._lock)
    assert found(out) < ids(1, 2)
    if next_one == "other":
        write(out, Run("cc", [log(tmp_path, "c.log")]), "append", 3)
    elif next_one == "compaction":
        with Compaction(out, NOW) as compaction:
            compaction.run()
    else:
        from sinks.flows.offset_ranges import RangeFiles

        files = RangeFiles(out, "g")
        files.check()
        files.close()
    assert found(out) == (ids(1, 2, 3) if next_one == "other" else ids(1, 2))
    with pytest.raises(OutputError, match=r"already holds all flows of 'b\.log'"):
        write(out, run, "append", 1, 2)


def test_an_input_is_known_whatever_it_is_replayed_with_and_when_it_grew(tmp_path: Path) -> None:
    out, path = tmp_path / "out", log(tmp_path, "b.log")
    write(out, Run("b1", [path]), "append", 1)
    log(tmp_path, "b.log", 500)
    for run in (Run("b1", [path]), Run("b2", [log(tmp_path, "c.log"), path])):
        with pytest.raises(OutputError, match=r"already holds all flows of 'b\.log'.*leaves what other inputs wrote"):
            write(out, run, "append", 1)
    write(out, Run("cc", [log(tmp_path, "c.log")]), "append", 2)
    write(out, Run("b2", [path]), "replace", 3)
    assert found(out) == ids(2, 3)
    write(out, Run("b3", [path, log(tmp_path, "d.log")]), "replace", 0)
    assert found(out) == ids(2, 0)
    with pytest.raises(OutputError, match=r"'d\.log' were written in one run with those of 'b\.log'"):
        write(out, Run("b2", [path]), "replace", 1)
    assert found(out) == ids(2, 0)


def test_another_file_of_the_same_name_is_another_input(tmp_path: Path) -> None:
    out, one = tmp_path / "out", log(tmp_path, "b.log")
    two = tmp_path / "two" / "b.log"
    two.parent.mkdir()
    two.write_text("".join(f"tomorrow {number}\n" for number in range(500)))
    write(out, Run("b1", [one]), "append", 1)
    with pytest.raises(OutputError, match=r"the flows of another 'b\.log'.*append to add to those, or choose a new"):
        write(out, Run("b2", [str(two)]), "replace", 2)
    write(out, Run("b2", [str(two)]), "append", 2)
    assert found(out) == ids(1, 2)
    write(out, Run("b2", [str(two)]), "replace", 3)
    assert found(out) == ids(1, 3)
    assert Input.of(str(tmp_path / "none")) is None


def test_a_folder_of_an_earlier_version_is_taken_as_complete(tmp_path: Path) -> None:
    out, path = tmp_path / "out", log(tmp_path, "b.log")
    write(out, Run("old", [path]), "append", 1)
    write(out, Run("other", [log(tmp_path, "c.log")]), "append", 2)
    shutil.rmtree(out / HOME)
    with pytest.raises(OutputError, match="did not say whether a run came to its end"):
        write(out, Run("new", [path], former=("old",)), "append", 1)
    with pytest.raises(OutputError, match=r"\d files? of runs that did not say"):
        write(out, Run("new", [path], former=("old",)), "replace", 3)
    assert found(out) == ids(1, 2)
    for old in out.rglob("whowas-other-*"):
        old.unlink()
    write(out, Run("new", [path], former=("old",)), "replace", 3)
    assert found(out) == ids(3)
    write(out, Run("more", [log(tmp_path, "d.log")]), "append", 2)
    assert found(out) == ids(2, 3)


def test_what_was_merged_is_still_known_and_never_taken_apart(tmp_path: Path) -> None:
    out, run = tmp_path / "out", Run("bb", [log(tmp_path, "b.log")])
    write(out, run, "append", 1)
    write(out, Run("cc", [log(tmp_path, "c.log")]), "append", 2)
    with Compaction(out, NOW) as compaction:
        compaction.run()
    for word, why in (("append", "already holds all flows of 'b.log'"), ("replace", "merged with others")):
        with pytest.raises(OutputError, match=why):
            write(out, run, word, 1)
    assert found(out) == ids(1, 2)
    write(out, run, "replace-all", 1)
    assert found(out) == ids(1)


def test_days_that_somebody_removed_may_be_written_anew(tmp_path: Path) -> None:
    out, run = tmp_path / "out", Run("bb", [log(tmp_path, "b.log")])
    write(out, run, "append", 1)
    shutil.rmtree(next(out.glob("cluster_key=*")))
    write(out, run, "replace", 1)
    assert found(out) == ids(1)


def test_what_comes_through_a_pipe_is_not_known_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, Run("x1", ["-"]), "append", 1)
    with pytest.raises(OutputError, match=r"standard input or a pipe.*replace-all to remove all \d+ files"):
        write(out, Run("x2", ["-"]), "replace", 1)
    write(out, Run("x2", ["-"]), "append", 2)
    assert found(out) == ids(1, 2)


def test_all_is_removed_by_its_own_word_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, Run("aa", [log(tmp_path, "a.log")]), "refuse", 0)
    lines = JsonlSink(out, Run("aa", [log(tmp_path, "a.log")]), "append")
    lines.check()
    lines.write(PARTS[0])
    lines.close()
    (out / "mine").mkdir()
    shutil.copy(next(out.rglob("*.parquet")), out / "mine" / "report.parquet")
    write(out, Run("bb", [log(tmp_path, "b.log")]), "replace-all", 1)
    (out / "mine" / "report.parquet").unlink()
    assert found(out) == ids(1)
    assert len(list(out.glob("*.jsonl"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"00000": "../../elsewhere.parquet"}},
        {"files": {"../../elsewhere": "x.parquet"}},
        {"remove": ["/etc/passwd"]},
        {"forget": ["../x"]},
        {"run": "../x"},
        {"inputs": 3},
        {"more": 1},
    ],
)
def test_a_mark_of_somebody_else_leads_nowhere(change: dict[str, Any], tmp_path: Path) -> None:
    out, run = tmp_path / "out", Run("bb", [log(tmp_path, "b.log")])
    write(out, run, "append", 1)
    mark = out / HOME / "bb.json"
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"pending": True} | change))
    with pytest.raises(OutputError, match=r"cannot read .*bb\.json"):
        write(out, run, "append", 1)
    assert found(out) == ids(1)

"""The Parquet folder of a group: each record stands in it once, wherever the writing is cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support import rows as made_up

from sinks.flows.offset_ranges import HOME, Range, RangeFiles
from sinks.flows.parquet import ParquetOptions, ParquetSink
from whowas.errors import OutputError
from whowas.kafka import Partition

PART = Partition("flows", 3)
FLOWS = made_up.batch(60, seed=1)


def part(first: int, last: int) -> Range:
    """Offsets of PART; row n of FLOWS came from offset n."""
    return Range(PART, first, last, [FLOWS.slice(first, last - first + 1)])


def found(out: Path) -> list[str]:
    """The ids of all flows in finished files."""
    paths = sorted(out.glob("cluster_key=*/**/*.parquet"))
    return sorted(one for path in paths for one in pq.ParquetFile(path).read(["flow_id"])["flow_id"].to_pylist())


def ids(count: int) -> list[str]:
    return sorted(FLOWS["flow_id"].to_pylist()[:count])


def test_files_say_where_their_rows_came_from(tmp_path: Path) -> None:
    files = RangeFiles(tmp_path, "g")
    files.check()
    assert files.claim(PART)
    assert files.next(PART) is None
    files.write(part(0, 19))
    files.write(part(20, 29))
    assert files.next(PART) == 30
    assert found(tmp_path) == ids(30)
    names = {path.name for path in tmp_path.glob("cluster_key=*/**/*.parquet")}
    assert names == {f"flows-3-{0:019d}-{19:019d}.parquet", f"flows-3-{20:019d}-{29:019d}.parquet"}
    path = next(tmp_path.glob("cluster_key=*/**/*29.parquet"))
    told = pq.read_schema(path).metadata
    keys = ("topic", "partition", "first_offset", "last_offset")
    assert [told[f"whowas.{key}".encode()] for key in keys] == [b"flows", b"3", b"20", b"29"]
    files.close()
    again = RangeFiles(tmp_path, "g")
    assert again.claim(PART)
    assert again.next(PART) == 30


def test_a_range_that_is_written_is_not_written_again(tmp_path: Path) -> None:
    files = RangeFiles(tmp_path, "g")
    assert files.claim(PART)
    files.write(part(0, 19))
    files.write(part(0, 19))
    files.write(part(5, 9))
    assert found(tmp_path) == ids(20)
    with pytest.raises(ValueError, match="all before 20 is written"):
        files.write(part(10, 29))


class Cut(BaseException):
    """The power is gone: nothing is tidied up."""


class Breaking:
    """Lets so many calls that change the disk pass, and then nothing more."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*told: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Cut
            return real(*told, **named)

        return call


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Breaking]:
    """Cuts the power after some calls; `monkeypatch` gives it back."""

    def after(calls: int) -> Breaking:
        one = Breaking(calls)
        for name in ("replace", "fsync", "mkdir"):
            monkeypatch.setattr(os, name, one.around(getattr(os, name)))
        unlink = Path.unlink
        monkeypatch.setattr(Path, "unlink", lambda *a, **k: unlink(*a, **k) if one.left >= 0 else None)
        return one

    return after


@pytest.mark.parametrize("calls", range(40))
def test_a_cut_at_any_step_loses_nothing_and_doubles_nothing(
    tmp_path: Path, calls: int, power: Callable[[int], Breaking], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = RangeFiles(tmp_path, "g")
    assert files.claim(PART)
    files.write(part(0, 9))
    power(calls)
    cut = False
    try:
        files.write(part(10, 29))
    except Cut:
        cut = True
    monkeypatch.undo()
    files.close()  # the kernel does it for a process that is gone
    seen = found(tmp_path)
    assert len(seen) == len(set(seen)), "no reader sees a row twice, not even now"

    after = RangeFiles(tmp_path, "g")
    assert after.claim(PART)
    begin = after.next(PART)
    assert begin in (10, 30)
    # What comes now has other bounds than what was cut off.
    for first in range(begin, 60, 7):
        after.write(part(first, min(first + 6, 59)))
    assert found(tmp_path) == ids(60)
    assert cut or calls > 20, "the steps that are cut reach the end of the write"
    assert not list(tmp_path.rglob("*whowas-tmp"))
    assert not list(tmp_path.glob(f"{HOME}/**/*.making/*"))


def test_a_partition_has_one_writer(tmp_path: Path) -> None:
    first, second = RangeFiles(tmp_path, "g"), RangeFiles(tmp_path, "g")
    first.check()
    second.check()
    assert first.claim(PART)
    assert not second.claim(PART)
    first.write(part(0, 9))
    first.release(PART)
    assert second.claim(PART)
    assert second.next(PART) == 10
    assert not first.claim(PART)


def test_a_failed_disk_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = RangeFiles(tmp_path, "g")
    assert files.claim(PART)
    real, calls = os.replace, []

    def full(*told: Any) -> None:
        calls.append(told)
        if len(calls) in (2, 5):
            raise OSError(28, "No space left on device")
        real(*told)

    monkeypatch.setattr(os, "replace", full)
    for _ in range(2):
        with pytest.raises(OutputError, match="No space left on device"):
            files.write(part(0, 19))
    files.write(part(0, 19))
    files.write(part(20, 59))
    assert found(tmp_path) == ids(60)


def test_a_folder_serves_one_group_and_no_replay_beside_it(tmp_path: Path) -> None:
    files = RangeFiles(tmp_path, "g/1")
    files.check()
    with pytest.raises(OutputError, match=r"group 'g%2F1' writes there; one group has one folder"):
        RangeFiles(tmp_path, "other").check()
    with pytest.raises(OutputError, match="another run is writing there"):
        ParquetSink(tmp_path, "aa", ParquetOptions(existing="append")).check()
    files.close()
    replay = ParquetSink(tmp_path, "aa", ParquetOptions(existing="append"))
    replay.check()
    with pytest.raises(OutputError, match="a replay is writing there"):
        RangeFiles(tmp_path, "g/1").check()
    replay.abandon()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"next": "x", "first": 1, "files": {}}'])
def test_a_mark_that_cannot_be_read_is_no_beginning(tmp_path: Path, text: str) -> None:
    files = RangeFiles(tmp_path, "g")
    assert files.claim(PART)
    files.write(part(0, 9))
    files.close()
    mark = tmp_path / HOME / "g" / "flows-3.json"
    assert json.loads(mark.read_text())["next"] == 10
    mark.write_text(text)
    with pytest.raises(OutputError, match="it says what of flows/3 is written"):
        files.claim(PART)

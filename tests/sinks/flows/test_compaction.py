"""Small files merged: the same rows, whoever reads, writes or is killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from support.rows import DAY, HOUR, batch

from sinks.files.durable import LOCK
from sinks.flows.compaction import Compaction, CompactionOptions
from sinks.flows.offset_ranges import Range, RangeFiles
from sinks.flows.parquet import ParquetOptions, ParquetSink
from whowas.errors import OutputError
from whowas.kafka import Partition
from whowas.schema import table_schema

AT_ONCE = CompactionOptions(settled_seconds=0)
FLOWS = Partition("flows", 0)


def written(out: Path, ranges: int, rows: int = 40, first: int = 0) -> RangeFiles:
    """Write ranges of a partition, three hours each."""
    files = RangeFiles(out, "group")
    files.check()
    assert files.claim(FLOWS)
    for number in range(first, first + ranges):
        flows = batch(rows, number + 1)
        files.write(Range(FLOWS, number * rows, number * rows + rows - 1, [flows]))
    return files


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """Every row by its flow_id; one that stands twice fails."""
    found = ds.dataset(out, format="parquet", partitioning="hive").to_table().to_pylist()
    assert max(Counter(one["flow_id"] for one in found).values(), default=1) == 1
    return {one["flow_id"]: one for one in found}


def files_of(out: Path) -> list[Path]:
    return sorted(out.rglob("*.parquet"))


def test_rows_are_the_same_and_files_fewer(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 8).close()
    before, many = rows_of(out), len(files_of(out))
    with Compaction(out, AT_ONCE) as compaction:
        done = compaction.run()
    assert rows_of(out) == before
    assert len(before) == 8 * 40
    assert len(files_of(out)) == 3 == done.files_after == done.folders
    assert done.files_before == many == 24
    assert done.rows == len(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named"]
    starts = [pq.read_table(path, columns=["start_time"])["start_time"].to_pylist() for path in files_of(out)]
    assert all(one == sorted(one) for one in starts)


def test_types_are_those_of_the_schema(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 3).close()
    with Compaction(out, AT_ONCE) as compaction:
        compaction.run()
    got = pq.ParquetFile(files_of(out)[0]).schema_arrow
    assert got.equals(table_schema())


def test_a_merged_file_has_no_more_rows_than_asked(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 12).close()
    before = rows_of(out)
    with Compaction(out, CompactionOptions(0, rows=60)) as compaction:
        compaction.run()
    assert rows_of(out) == before
    sizes = [pq.ParquetFile(path).metadata.num_rows for path in files_of(out)]
    assert max(sizes) <= 60
    assert len(sizes) < 36


def test_what_is_not_to_be_merged_stays_and_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 3).close()
    hour = files_of(out)[0].parent
    pq.write_table(pa.table({"foreign": [1]}), hour / "foreign.parquet")
    (hour / "broken.parquet").write_bytes(b"PAR1 nothing")
    (hour / "README").write_text("kept")
    with Compaction(out, AT_ONCE) as compaction:
        done = compaction.run()
    assert done.left == {"not named flows": 1, "cannot be read": 1}
    assert pq.read_table(hour / "foreign.parquet").num_rows == 1
    assert (hour / "broken.parquet").read_bytes() == b"PAR1 nothing"
    assert (hour / "README").read_text() == "kept"
    assert len(files_of(hour)) == 3
    with Compaction(out, CompactionOptions(0, small_bytes=1)) as compaction:
        assert compaction.run().left == {"large enough": 3}


def test_an_hour_that_is_still_written_waits(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 3).close()
    with Compaction(out) as compaction:
        assert compaction.run().left == {"too fresh": 9}
    for hour in {path.parent for path in files_of(out)}:
        (hour / ".x.parquet.whowas-tmp").touch()
    with Compaction(out, AT_ONCE) as compaction:
        assert compaction.run().left == {"being written": 9}


def test_older_files_with_fewer_columns(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 2).close()
    old = files_of(out)[0]
    pq.write_table(pq.ParquetFile(old).read().drop_columns(["observer"]), old)
    before = rows_of(out)
    with Compaction(out, AT_ONCE) as compaction:
        compaction.run()
    assert {name: {k: v for k, v in row.items() if k != "observer"} for name, row in rows_of(out).items()} == {
        name: {k: v for k, v in row.items() if k != "observer"} for name, row in before.items()
    }


def test_a_stream_goes_on_where_it_was_after_its_last_files_were_merged(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 4).close()
    with Compaction(out, AT_ONCE) as compaction:
        compaction.run()
    files = RangeFiles(out, "group")
    files.check()
    assert files.claim(FLOWS)
    assert files.next(FLOWS) == 160
    files.close()
    written(out, 2, first=4).close()
    assert len(rows_of(out)) == 240


def test_beside_readers_a_count_is_right_or_refused(tmp_path: Path) -> None:
    """DuckDB reads by name: it counts every row once, or is told that a file has gone."""
    out = tmp_path / "named"
    written(out, 12).close()
    counts: Counter[int | str] = Counter()
    counted, ended = threading.Event(), threading.Event()

    def count() -> None:
        with duckdb.connect() as link:
            while not ended.is_set():
                try:
                    found = link.execute(f"SELECT count(*) FROM read_parquet('{out}/**/*.parquet')").fetchall()
                    counts[found[0][0]] += 1
                    counted.set()
                except duckdb.IOException:  # a file that was listed has gone
                    counts["refused"] += 1

    readers = [threading.Thread(target=count) for _ in range(2)]
    for one in readers:
        one.start()
    assert counted.wait(120)
    for rows in (30, 60, 120, 1000):
        with Compaction(out, CompactionOptions(0, rows=rows)) as compaction:
            compaction.run()
    ended.set()
    for one in readers:
        one.join()
    assert set(counts) <= {12 * 40, "refused"}
    assert len(files_of(out)) == 3


def test_beside_a_writer_no_row_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 4).close()
    ended = threading.Event()
    merged = []

    def merge() -> None:
        while not ended.is_set():
            with Compaction(out, AT_ONCE) as compaction:
                merged.append(compaction.run().files_before)

    merging = threading.Thread(target=merge)
    merging.start()
    written(out, 15, first=4).close()
    ended.set()
    merging.join()
    assert sum(merged) > 0
    assert len(rows_of(out)) == 19 * 40


KILLED = """
import sys
from sinks.flows.compaction import Compaction, CompactionOptions
print("begin", flush=True)
while True:
    with Compaction(sys.argv[1], CompactionOptions(0, rows=100000)) as compaction:
        compaction.run()
"""


@pytest.mark.long
def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path: Path, root: Path) -> None:
    out, dice = tmp_path / "named", random.Random(7)
    ranges = 0
    for _turn in range(6):
        written(out, 4, first=ranges).close()
        ranges += 4
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(out)], cwd=root, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"begin\n"
        time.sleep(dice.uniform(0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    with Compaction(out, AT_ONCE) as compaction:
        compaction.run()
    assert len(rows_of(out)) == ranges * 40
    assert len(files_of(out)) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named"]


@pytest.mark.parametrize("step", ["_exchange", "Compaction._finish"])
def test_cut_off_between_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    out = tmp_path / "named"
    written(out, 5).close()
    before = rows_of(out)

    def fall(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"sinks.flows.compaction.{step}", fall)
        patch.setattr(Compaction, "__exit__", lambda self, *_: self._unlock())
        with pytest.raises(KeyboardInterrupt), Compaction(out, AT_ONCE) as compaction:
            compaction.run()
    assert rows_of(out) == before
    with Compaction(out, AT_ONCE) as compaction:
        compaction.run()
    assert rows_of(out) == before
    assert len(files_of(out)) == 3


def test_what_came_into_the_old_folder_is_moved_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign writer that does not know of our locks puts a file there in the last moment."""
    out = tmp_path / "named"
    written(out, 3).close()
    hour = files_of(out)[0].parent
    real = __import__("sinks.flows.compaction", fromlist=["_exchange"])._exchange

    def late(one: Path, other: Path) -> None:
        if other == hour:
            (hour / "late.parquet").write_bytes(b"late")
        real(one, other)

    monkeypatch.setattr("sinks.flows.compaction._exchange", late)
    with Compaction(out, AT_ONCE) as compaction:
        compaction.run()
    assert (hour / "late.parquet").read_bytes() == b"late"


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"), Compaction(tmp_path / "none"):
        pass
    out = tmp_path / "named"
    sink = ParquetSink(out, "run", ParquetOptions())
    sink.check()
    with pytest.raises(OutputError, match="a replay is writing there"), Compaction(out):
        pass
    sink.write(batch(10, 1))
    sink.close()
    (out / LOCK).touch()
    with Compaction(out), pytest.raises(OutputError, match="another compaction"), Compaction(out):
        pass
    with Compaction(out), pytest.raises(OutputError, match="another run is writing"):
        ParquetSink(out, "other", ParquetOptions(existing="append")).check()


def test_the_command(tmp_path: Path, root: Path) -> None:
    out = tmp_path / "named"
    written(out, 3).close()
    words = [sys.executable, "-m", "whowas", "compact", str(out), "--settled", "0"]
    told = subprocess.run([*words, "--json"], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["files_after"] == 3
    again = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    assert "nothing to merge" in again.stdout
    none = subprocess.run([*words[:4], str(tmp_path / "none")], cwd=root, capture_output=True, text=True)
    assert none.returncode == 2
    assert "no such folder" in none.stderr
    assert os.listdir(tmp_path) == ["named"]
    assert DAY % HOUR == 0

"""Pruning takes whole hours that are old, and nothing else: not what is younger, without a time, or being written."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest
from support.rows import DAY, HOUR, batch

from sinks.flows.compaction import Compaction, CompactionOptions
from sinks.flows.live_files import live_files
from sinks.flows.offset_ranges import Range, RangeFiles
from sinks.flows.pruning import prune
from whowas.errors import OutputError
from whowas.kafka import Partition

FLOWS = Partition("flows", 0)
START = datetime.fromtimestamp(DAY / 1e6, UTC)
SECOND = START + timedelta(hours=1)


def written(out: Path, ranges: int, first: int = 0) -> None:
    """Ranges of a partition, three hours from START on."""
    files = RangeFiles(out, "group")
    files.check()
    assert files.claim(FLOWS)
    for number in range(first, first + ranges):
        files.write(Range(FLOWS, number * 40, number * 40 + 39, [batch(40, number + 1)]))
    files.close()


def rows_by_hour(out: Path) -> Counter[int]:
    starts = ds.dataset(out, partitioning="hive").to_table(columns=["start_time"])["start_time"].to_pylist()
    return Counter((int(one.timestamp() * 1e6) - DAY) // HOUR for one in starts)


def test_hours_that_were_over_go_and_the_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 3)
    before = rows_by_hour(out)
    done = prune(out, SECOND)
    assert (done.hours, done.files, done.kept) == (1, 3, 2)
    assert (done.first, done.last) == (START, START)
    assert rows_by_hour(out) == {1: before[1], 2: before[2]}
    assert prune(out, SECOND).hours == 0


def test_an_hour_that_is_not_over_stays_whole(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 1)
    assert prune(out, SECOND - timedelta(microseconds=1)).hours == 0
    assert rows_by_hour(out).total() == 40


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 3)
    there = sorted(out.rglob("*"))
    told = prune(out, SECOND, dry=True)
    assert sorted(out.rglob("*")) == there
    assert told == prune(out, SECOND)
    assert told.bytes > 0


def test_flows_without_a_time_stay(tmp_path: Path) -> None:
    """They lie in the first hour of 1970, and days that no calendar has are none."""
    out = tmp_path / "named"
    written(out, 1)
    (hour, *_) = sorted(out.glob("cluster_key=*/event_day=*/event_hour=*"))
    for day, of_day in ((19700101, 0), (0, 5), (2147483647, 1), (20261399, 3)):
        folder = hour.parent.parent / f"event_day={day}" / f"event_hour={of_day}"
        folder.mkdir(parents=True)
        (folder / "a.parquet").write_bytes(next(hour.iterdir()).read_bytes())
    done = prune(out, START + timedelta(days=1))
    assert (done.hours, done.untimed) == (3, 4)
    assert len(list(out.rglob("*.parquet"))) == 4


def test_empty_folders_go_too_and_a_stream_makes_them_again(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 2)
    prune(out, START + timedelta(days=1))
    assert list(out.glob("cluster_key=*")) == []
    written(out, 1, first=2)
    assert rows_by_hour(out).total() == 40


def test_what_a_killed_compaction_has_left_is_finished_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "named"
    written(out, 4)
    total = rows_by_hour(out)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Compaction, "_finish", killed)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt), Compaction(out, CompactionOptions(0)) as compaction:
            compaction.run()
    assert prune(out, START).hours == 0
    assert rows_by_hour(out) == total


def test_beside_a_compaction_it_waits_for_another_day(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 1)
    with Compaction(out), pytest.raises(OutputError, match=r"cannot prune .*another compaction is at work"):
        prune(out, SECOND)
    with pytest.raises(OutputError, match="no such folder"):
        prune(tmp_path / "none", SECOND)


def test_beside_readers_and_a_writer_each_hour_is_whole_or_gone(tmp_path: Path) -> None:
    out = tmp_path / "named"
    written(out, 4)
    whole = rows_by_hour(out)
    seen, counted, ended = set[tuple[int, ...]](), threading.Event(), threading.Event()

    def count() -> None:
        with duckdb.connect() as link:
            while not ended.is_set():
                try:
                    read = f"FROM read_parquet('{out}/**/*.parquet', hive_partitioning = true)"
                    found = dict(link.sql(f"SELECT event_hour, count(*) {read} GROUP BY 1").fetchall())
                    seen.add(tuple(found.get(hour, 0) for hour in range(3)))
                    counted.set()
                except duckdb.IOException:  # a file that was listed has gone, or all have
                    pass

    reader = threading.Thread(target=count)
    reader.start()
    assert counted.wait(120)
    for hours in (1, 2, 3):
        prune(out, START + timedelta(hours=hours))
    ended.set()
    reader.join()
    assert all(rows in (0, whole[hour]) for one in seen for hour, rows in enumerate(one))
    assert list(live_files(out)) == []


def test_a_delta_table_forgets_the_hours_by_one_commit(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    from sinks.flows.delta import DeltaFolder
    from sinks.flows.parquet import ParquetSink

    out = tmp_path / "t"
    sink = ParquetSink(out, "aa", None, DeltaFolder)
    sink.check()
    sink.write(batch(200, 1))
    sink.close()
    version = deltalake.DeltaTable(str(out)).version()
    told = prune(out, SECOND, dry=True)
    assert deltalake.DeltaTable(str(out)).version() == version
    assert told == prune(out, SECOND)
    table = deltalake.DeltaTable(str(out))
    assert table.version() == version + 1
    left = table.to_pyarrow_dataset().to_table(columns=["event_hour"])["event_hour"].to_pylist()
    assert set(left) == {1, 2}
    assert deltalake.DeltaTable(str(out), version=version).to_pyarrow_dataset().count_rows() == 200

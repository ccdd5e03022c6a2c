"""The contract that every sink keeps, held against the in-memory reference."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from support import rows as made_up

from sinks.files import durable
from sinks.files.run_journal import MAKING
from sinks.flows.json_objects import objects
from sinks.flows.jsonl import JsonlSink, rows
from sinks.flows.memory import MemorySink
from sinks.flows.parquet import ParquetOptions, ParquetSink
from whowas.errors import OutputError, SchemaError
from whowas.schema import flow_schema, named_schema

batch = made_up.batch


def read_parquet(out: Path) -> list[dict[str, Any]]:
    return read_rows(ds.dataset(out, partitioning="hive").to_table())


def read_rows(table: Any) -> list[dict[str, Any]]:
    names = named_schema().names
    found = [row for part in table.to_batches() for row in rows(part)]
    return sorted(({name: row[name] for name in names} for row in found), key=lambda row: row["flow_id"])


def read_jsonl(out: Path) -> list[dict[str, Any]]:
    lines = [line for path in out.glob("*.jsonl") for line in path.read_text().split("\n") if line]
    return sorted((json.loads(line) for line in lines), key=lambda row: row["flow_id"])


def parquet(out: Path, run: str = "aa", existing: str = "refuse") -> ParquetSink:
    return ParquetSink(out, run, ParquetOptions(rows_held=300, row_group_rows=50, existing=existing))


def jsonl(out: Path, run: str = "aa", existing: str = "refuse") -> JsonlSink:
    return JsonlSink(out, run, existing, rows_held=300)


FILE_SINKS = [pytest.param(parquet, read_parquet, id="parquet"), pytest.param(jsonl, read_jsonl, id="jsonl")]


@pytest.mark.parametrize(("make", "read"), FILE_SINKS)
def test_every_row_arrives_as_in_the_reference(make: Any, read: Any, tmp_path: Path) -> None:
    sink, reference = make(tmp_path / "out"), MemorySink()
    for one in (sink, reference):
        one.check()
        for seed in range(8):
            one.write(batch(100, seed, ("demo", "prod/eu", "..")))
        one.close()
    assert read(tmp_path / "out") == read_rows(reference.table())
    assert sink.bytes_written == sum(os.path.getsize(path) for path in sink.files) > 0


@pytest.mark.parametrize("low", [0, 30])
def test_objects_are_what_json_says_of_rows(low: int) -> None:
    flows = batch(100, 5, ("demo", "prod/eu")).slice(low)
    told = rows(flows)
    few = [{name: value for name, value in row.items() if value is not None} for row in told]
    for text, expected in ((objects(flows), told), (objects(flows, nulls=False), few)):
        assert text.to_pylist() == [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in expected]


def data_files(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.suffix in (".parquet", ".jsonl"))


@pytest.mark.parametrize(("make", "read"), FILE_SINKS)
def test_rows_appear_all_at_once_or_not_at_all(make: Any, read: Any, tmp_path: Path) -> None:
    for end in ("abandon", "close"):
        sink = make(tmp_path)
        sink.check()
        sink.write(batch(10, 1))
        sink.flush()
        sink.write(batch(10, 2))
        assert data_files(tmp_path) == []
        getattr(sink, end)()
        assert not [path for path in tmp_path.rglob("*") if path.name.endswith((durable.TEMPORARY, MAKING))]
        assert len(data_files(tmp_path)) == (0 if end == "abandon" else len(sink.files))
    assert len(read(tmp_path)) == 20


@pytest.mark.parametrize(("make", "read"), FILE_SINKS)
def test_another_runs_files_are_never_mixed_silently(make: Any, read: Any, tmp_path: Path) -> None:
    def fill(run: str, existing: str, seed: int) -> None:
        sink = make(tmp_path, run, existing)
        sink.check()
        sink.write(batch(10, seed))
        sink.close()

    fill("aa", "refuse", 1)
    with pytest.raises(OutputError, match=r"already holds \d file"):
        fill("bb", "refuse", 2)
    fill("bb", "append", 2)
    assert len(read(tmp_path)) == 20
    with pytest.raises(OutputError, match="this very input"):
        fill("bb", "append", 2)
    fill("bb", "replace", 3)
    assert len(read(tmp_path)) == 20
    fill("cc", "replace-all", 3)
    assert len(read(tmp_path)) == 10


@pytest.mark.parametrize(("make", "read"), FILE_SINKS)
def test_two_runs_at_once_are_refused(make: Any, read: Any, tmp_path: Path) -> None:
    first, second = make(tmp_path, "aa", "append"), make(tmp_path, "bb", "append")
    first.check()
    with pytest.raises(OutputError, match="another run is writing"):
        second.check()
    first.write(batch(5, 1))
    first.close()
    second.check()
    second.close()
    assert len(read(tmp_path)) == 5


@pytest.mark.parametrize("make", [parquet, jsonl])
def test_a_file_in_the_folders_place_is_refused(make: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="it is a file"):
        make(tmp_path / "out").check()


def test_a_foreign_schema_is_refused() -> None:
    short = pa.RecordBatch.from_pylist([], schema=flow_schema())
    with pytest.raises(SchemaError, match="column 'cluster' is missing"):
        MemorySink().write(short)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two"):
        sink = parquet(tmp_path / name)
        sink.check()
        for seed in range(5):
            sink.write(batch(100, seed))
        sink.close()
        seen.append({Path(path).relative_to(tmp_path / name): Path(path).read_bytes() for path in sink.files})
    assert seen[0] == seen[1]


def test_parquet_is_made_for_searching(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path, "aa")
    sink.check()
    sink.write(batch(500, 1, ("demo",)))
    sink.close()
    assert {Path(path).parent.name for path in sink.files} == {"event_hour=0", "event_hour=1", "event_hour=2"}
    for path in sink.files:
        facts = pq.ParquetFile(path)
        group = facts.metadata.row_group(0)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
        assert group.sorting_columns[0].column_index == facts.schema_arrow.names.index("start_time")
        assert columns["start_time"].has_column_index
        assert columns["src_ip"].has_dictionary_page
        assert columns["src_ip"].compression == "ZSTD"
        times = facts.read(["start_time"])["start_time"].to_pylist()
        assert times == sorted(times)


def test_times_from_hostile_clocks_are_kept(tmp_path: Path) -> None:
    """Before 1970 and past 9999: a partition of their own, no crash."""
    odd = batch(2, 1)
    times = pa.array([-1, 253_402_300_800_000_000 + 5], type=pa.int64()).cast(odd.schema.field("start_time").type)
    odd = odd.set_column(odd.schema.names.index("start_time"), odd.schema.field("start_time"), times)
    sink = ParquetSink(tmp_path, "aa")
    sink.check()
    sink.write(odd)
    sink.close()
    days = {Path(path).parent.parent.name for path in sink.files}
    assert days == {"event_day=19691231", "event_day=100000101"}


KILLED = textwrap.dedent("""
    import importlib.util, sys, os, pathlib, time
    spec = importlib.util.spec_from_file_location("made_up", sys.argv[2])
    made_up = importlib.util.module_from_spec(spec); spec.loader.exec_module(made_up)
    from sinks.flows.parquet import ParquetSink, ParquetOptions
    import sinks.files.durable
    real = os.fsync
    count = 0
    def fsync(handle):
        global count
        count += 1
        if count == 5:
            print("half", flush=True); time.sleep(60)
        real(handle)
    sinks.files.durable.os.fsync = fsync
    sink = ParquetSink(sys.argv[1], "aa", ParquetOptions(rows_held=100, existing="append"))
    sink.check()
    for seed in range(50):
        sink.write(made_up.batch(100, seed))
""")


def test_a_killed_run_leaves_nothing_that_a_reader_sees(tmp_path: Path, root: Path) -> None:
    """kill -9 in the middle of a file: nothing of the run is there, and the next one clears what was being made."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(made_up.__file__)],
        stdout=subprocess.PIPE, cwd=root,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    left = [path for path in tmp_path.rglob("*") if path.name.endswith(durable.TEMPORARY)]
    assert len(left) == 1, "the process was not killed in the middle of a file"
    assert data_files(tmp_path) == []
    after = ParquetSink(tmp_path, "bb", ParquetOptions(existing="append"))
    after.check()
    after.close()
    assert not left[0].parent.exists(), "the next run clears what the killed one left"


def test_a_full_disk_is_said_and_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    sink = parquet(tmp_path)
    sink.check()
    sink.write(batch(10, 1))
    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        sink.close()
    sink.abandon()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != durable.LOCK] == []

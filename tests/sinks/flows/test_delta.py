"""A Delta table of named flows: commits whole or not at all, marks that a kill left, columns that come later."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import rows as made_up

deltalake = pytest.importorskip("deltalake")

from sinks.files.output_folder import Run  # noqa: E402
from sinks.flows import delta_log  # noqa: E402
from sinks.flows.compaction import Compaction  # noqa: E402
from sinks.flows.delta import DeltaFolder  # noqa: E402
from sinks.flows.delta_log import DeltaLog  # noqa: E402
from sinks.flows.live_files import live_files  # noqa: E402
from sinks.flows.parquet import ParquetOptions, ParquetSink  # noqa: E402
from whowas.batch.flow_files import FlowFiles  # noqa: E402
from whowas.errors import MissingExtra, OutputError  # noqa: E402
from whowas.query.database import Asked, Database  # noqa: E402


def sink(out: Path, run: Run | str = "aa", existing: str = "refuse") -> ParquetSink:
    return ParquetSink(out, run, ParquetOptions(rows_held=300, existing=existing), DeltaFolder)


def written(out: Path, batch: Any, run: Run | str = "aa", existing: str = "refuse") -> ParquetSink:
    one = sink(out, run, existing)
    one.check()
    one.write(batch)
    one.close()
    return one


def table(out: Path) -> Any:
    return deltalake.DeltaTable(str(out)).to_pyarrow_dataset().to_table()


def ids(found: Any) -> list[str]:
    return sorted(found["flow_id"].to_pylist())


def count(out: Path) -> int:
    with Database(str(out)) as database:
        return int(database.rows(Asked("SELECT count(*) FROM flows", []))[0][0])


def test_every_row_is_in_the_table_with_its_values(tmp_path: Path) -> None:
    batch = made_up.batch(400, 1)
    made = written(tmp_path / "t", batch)
    found = table(tmp_path / "t")
    assert ids(found) == sorted(batch["flow_id"].to_pylist())
    assert sorted(made.files) == sorted(map(str, live_files(tmp_path / "t")))
    for name in ("src_candidates", "src_labels", "dst_port", "start_time", "cluster"):
        wanted = dict(zip(batch["flow_id"].to_pylist(), batch[name].to_pylist(), strict=True))
        assert dict(zip(found["flow_id"].to_pylist(), found[name].to_pylist(), strict=True)) == wanted, name


@pytest.mark.parametrize("column", ["start_time", "src_ip", "src_port", "cluster", "dst_workload"])
def test_a_filter_finds_what_there_is(column: str, tmp_path: Path) -> None:
    """Statistics of some columns alone would hide the rows of the others."""
    batch = made_up.batch(400, 1)
    written(tmp_path / "t", batch)
    dataset = deltalake.DeltaTable(str(tmp_path / "t")).to_pyarrow_dataset()
    for value in sorted(set(batch[column].to_pylist()) - {None})[:5]:
        wanted = batch[column].to_pylist().count(value)
        assert wanted
        assert dataset.to_table(filter=pc.field(column) == value).num_rows == wanted


def test_nothing_is_seen_before_the_end_and_nothing_after_an_abandoned_run(tmp_path: Path) -> None:
    one = sink(tmp_path / "t")
    one.check()
    one.write(made_up.batch(400, 1))
    assert list(live_files(tmp_path / "t")) == [] or not (tmp_path / "t" / "_delta_log").exists()
    one.abandon()
    assert not (tmp_path / "t" / "_delta_log").exists()
    assert list((tmp_path / "t").rglob("*.parquet")) == []


def test_our_own_readers_see_what_the_log_names(tmp_path: Path) -> None:
    out = tmp_path / "lake" / "t"
    written(out, made_up.batch(400, 1))
    written(out, made_up.batch(100, 1), "bb", "replace-all")
    assert len(ids(table(out))) == 100
    assert len(list(out.rglob("*.parquet"))) > len(list(live_files(out)))
    assert count(out) == count(tmp_path / "lake") == 100
    assert FlowFiles.find(str(out)).rows == 100


def test_the_older_version_stays_readable(tmp_path: Path) -> None:
    written(tmp_path / "t", made_up.batch(400, 1))
    before = deltalake.DeltaTable(str(tmp_path / "t")).version()
    written(tmp_path / "t", made_up.batch(100, 1), "aa", "replace-all")
    older = deltalake.DeltaTable(str(tmp_path / "t"), version=before).to_pyarrow_dataset().to_table()
    assert len(ids(older)) == 400


@pytest.mark.parametrize("commits", [False, True])
def test_a_run_that_was_killed_at_its_commit_is_finished_once(
    commits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit, or behind it: the next run does the rest, and no row comes twice."""
    out, real = tmp_path / "t", DeltaLog.commit

    def killed(log: DeltaLog, one: delta_log.Commit) -> None:
        if commits:
            real(log, one)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, "commit", killed)
        one = sink(out)
        one.check()
        one.write(made_up.batch(400, 1))
        with pytest.raises(KeyboardInterrupt):
            one.close()
        os.close(one._folder._lock)
    with pytest.raises(OutputError, match="already holds all flows of this very input"):
        sink(out, "aa", "append").check()
    written(out, made_up.batch(100, 2), "bb", "append")
    assert ids(table(out)) == sorted(
        [*made_up.batch(400, 1)["flow_id"].to_pylist(), *made_up.batch(100, 2)["flow_id"].to_pylist()]
    )


def test_columns_that_come_later_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = delta_log.columns()
    with monkeypatch.context() as patch:
        older = pa.schema([one for one in real if one.name not in ("policy_reason", "end_reason")])
        patch.setattr(delta_log, "columns", lambda: older)
        written(tmp_path / "t", made_up.batch(100, 1))
    assert "end_reason" not in table(tmp_path / "t").column_names
    written(tmp_path / "t", made_up.batch(100, 2), "bb", "append")
    assert {"policy_reason", "end_reason"} <= set(table(tmp_path / "t").column_names)
    assert len(ids(table(tmp_path / "t"))) == 200


def test_who_knows_nothing_of_the_log_keeps_away(tmp_path: Path) -> None:
    written(tmp_path / "t", made_up.batch(100, 1))
    with pytest.raises(OutputError, match="it is a Delta table"):
        ParquetSink(tmp_path / "t", "bb", ParquetOptions(existing="append")).check()
    with pytest.raises(OutputError, match="it is a Delta table"), Compaction(tmp_path / "t"):
        pass
    plain = ParquetSink(tmp_path / "p", "aa")
    plain.check()
    plain.write(made_up.batch(10, 1))
    plain.close()
    with pytest.raises(OutputError, match="holds plain Parquet files"):
        sink(tmp_path / "p", "bb", "append").check()


def test_a_damaged_log_is_told_in_a_line(tmp_path: Path) -> None:
    written(tmp_path / "t", made_up.batch(100, 1))
    for path in (tmp_path / "t" / "_delta_log").glob("*.json"):
        path.write_text("{")
    with pytest.raises(OutputError, match="cannot read the Delta table"):
        list(live_files(tmp_path / "t"))


def test_without_the_library_the_line_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "t", made_up.batch(10, 1))
    monkeypatch.setitem(sys.modules, "deltalake", None)
    for refused in (lambda: sink(tmp_path / "u"), lambda: list(live_files(tmp_path / "t"))):
        with pytest.raises(MissingExtra, match=r"\[delta\]"):
            refused()

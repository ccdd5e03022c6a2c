"""SQL on flows: the view, its forms, its errors, and cells that would bite."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import rows as made_up

from sinks.flows.parquet import ParquetSink
from whowas.cli import group
from whowas.cli.terminal import clean, plural, rate, size


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("flows")
    sink = ParquetSink(out, "aa")
    sink.check()
    sink.write(made_up.batch(300, 1, ("demo", "prod")))
    sink.close()
    return out


def query(*words: str) -> Result:
    return CliRunner().invoke(group, ["query", *words])


def ask(flows: Path, sql: str, *words: str) -> Any:
    result = query(sql, "--flows", str(flows), *words)
    assert result.exit_code == 0, result.output
    return result.output


def test_partitions_are_columns(flows: Path) -> None:
    rows = [
        json.loads(line)
        for line in ask(
            flows, "SELECT cluster, count(*) AS n FROM flows GROUP BY ALL ORDER BY 1", "--json"
        ).splitlines()
    ]
    assert [row["cluster"] for row in rows] == ["demo", "prod"]
    assert sum(row["n"] for row in rows) == 300


def test_labels_and_candidates_can_be_asked(flows: Path) -> None:
    sql = "SELECT src_labels['app'] AS app, count(*) AS n FROM flows WHERE src_labels['app'] IS NOT NULL GROUP BY ALL"
    rows = [json.loads(line) for line in ask(flows, sql, "--json").splitlines()]
    assert [row["app"] for row in rows] == ["web"]


def test_times_are_utc_whatever_the_machine_thinks(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    out = ask(flows, "SELECT min(start_time) AS t, typeof(min(start_time)) AS k FROM flows", "--json")
    row = json.loads(out)
    assert row["t"].startswith("2025-11-21T00:")
    assert row["t"].endswith("Z")


def test_csv_cells_do_not_run_in_a_spreadsheet(flows: Path) -> None:
    out = ask(flows, "SELECT src_pod, -1 AS n FROM flows WHERE src_pod LIKE '=%' LIMIT 1", "--csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert rows == [["src_pod", "n"], ['\'=HYPERLINK("http://x","y")', "-1"]]


def test_a_table_never_sends_control_characters(flows: Path) -> None:
    for sql in ("SELECT src_pod FROM flows GROUP BY ALL ORDER BY ALL", "SELECT * FROM flows LIMIT 3"):
        out = ask(flows, sql)
        assert "\x1b" not in out
        assert "\x00" not in out
        assert "\u202e" not in out


def test_a_wide_row_stands_upright(flows: Path) -> None:
    out = ask(flows, "SELECT * FROM flows LIMIT 1")
    assert out.startswith("row 1\n")
    assert "flow_id" in out


def test_long_results_say_what_is_left_out(flows: Path) -> None:
    assert "290 rows more" in ask(flows, "SELECT flow_id FROM flows", "--limit", "10")


@pytest.mark.parametrize(("words", "text"), [
    (("SELEC 1", "--flows", "{flows}"), "cannot run the query"),
    (("SELECT 1", "--flows", "/no/such"), "no such folder"),
    (("SELECT 1", "--flows", "{empty}"), "no Parquet file in it"),
])  # fmt: skip
def test_mistakes_are_explained(words: tuple[str, ...], text: str, flows: Path, tmp_path: Path) -> None:
    result = query(*(word.format(flows=flows, empty=tmp_path) for word in words))
    assert text in str(result.exception)


def test_a_folder_with_a_quote_in_its_name(tmp_path: Path) -> None:
    out = tmp_path / "it's"
    sink = ParquetSink(out, "aa")
    sink.check()
    sink.write(made_up.batch(3, 1))
    sink.close()
    assert json.loads(ask(out, "SELECT count(*) AS n FROM flows", "--json")) == {"n": 3}


def test_numbers_for_people() -> None:
    assert [size(0), size(999), size(1500), size(2.5e12)] == ["0 B", "999 B", "1.5 kB", "2.5 TB"]
    assert [rate(12), rate(4200), rate(6.1e6)] == ["12", "4.2 k", "6.1 M"]
    assert [plural(1, "file"), plural(1200, "file")] == ["1 file", "1,200 files"]
    assert clean("a\x1b[31mb\n") == "a\\x1b[31mb\\n"

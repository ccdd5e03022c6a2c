"""SQL on flows: the view, its forms, its errors, and cells that would bite."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import rows as made_up

from sinks.flows.parquet import ParquetSink
from whowas.batch.replay import open_flows
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


def hours(tmp_path: Path, *names: str, cluster: str = "2026-11-20") -> Path:
    """A folder of one flow an hour."""
    sink = ParquetSink(tmp_path, "aa")
    sink.check()
    sink.write(made_up.batch(1, 1, (cluster,)))
    sink.close()
    (file,) = tmp_path.rglob("*.parquet")
    for name in names:
        (file.parent.parent / f"event_hour={name}").mkdir(exist_ok=True)
        shutil.copy(file, file.parent.parent / f"event_hour={name}")
    shutil.rmtree(file.parent)
    return tmp_path


@pytest.mark.parametrize("cluster", ["2026-11-20", "42", "true", "prod"])
@pytest.mark.parametrize("names", [["07"], ["17"], ["00", "17"]], ids="-".join)
def test_folders_names_have_one_type_whatever_they_are(tmp_path: Path, names: list[str], cluster: str) -> None:
    out = hours(tmp_path, *names, cluster=cluster)
    sql = "SELECT typeof(cluster) AS c, typeof(event_day) AS d, typeof(event_hour) AS h FROM flows LIMIT 1"
    assert json.loads(ask(out, sql, "--json")) == {"c": "VARCHAR", "d": "BIGINT", "h": "BIGINT"}
    sql = f"SELECT DISTINCT event_hour AS h FROM flows WHERE event_hour BETWEEN 0 AND 23 AND cluster LIKE '{cluster}%'"
    assert [json.loads(one)["h"] for one in sorted(ask(out, sql, "--json").splitlines())] == [int(one) for one in names]
    opened = open_flows(out).to_table(columns=["cluster", "event_hour"]).to_pylist()
    assert sorted((row["cluster"], row["event_hour"]) for row in opened) == [(cluster, int(one)) for one in names]


def test_files_outside_of_folders_with_values_are_read(tmp_path: Path) -> None:
    out = hours(tmp_path / "a", "07")
    (file,) = out.rglob("*.parquet")
    assert json.loads(ask(file, "SELECT event_hour AS h FROM flows", "--json")) == {"h": 7}
    bare = shutil.copy(file, tmp_path / "bare.parquet")
    assert json.loads(ask(Path(bare), "SELECT count(*) AS n FROM flows", "--json")) == {"n": 1}
    partly = tmp_path / "b" / "cluster=7"
    partly.mkdir(parents=True)
    shutil.copy(file, partly)
    assert json.loads(ask(partly.parent, "SELECT cluster AS c FROM flows", "--json")) == {"c": "7"}

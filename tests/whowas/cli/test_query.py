"""SQL on flows: the view, its forms, its errors, and cells that would bite."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
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


def query(*words: str, piped: str | bytes | None = None) -> Result:
    return CliRunner().invoke(group, ["query", *words], input=piped)


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


COUNT = "SELECT count(*) AS n FROM flows"


def test_sql_comes_from_a_pipe_or_a_file(flows: Path, tmp_path: Path) -> None:
    file = tmp_path / "count.sql"
    file.write_text(f"-- how many\n{COUNT};\n")
    for words, piped in (((), COUNT), (("-",), COUNT), (("--file", str(file)), None), (("--file", "-"), COUNT)):
        result = query(*words, "--flows", str(flows), "--json", piped=piped)
        assert result.output == '{"n": 300}\n', result.output


@pytest.mark.parametrize(("words", "piped", "text"), [
    (("",), None, "it is empty"), (("  \n",), None, "it is empty"), ((), "", "it is empty"),
    (("-",), " ", "it is empty"),
    ((COUNT, "--json", "--csv"), None, "do not go together"), ((COUNT, "--csv", "--json"), None, "do not go together"),
    ((COUNT, "--file", "x.sql"), None, "do not go together"), (("--file", "/no/such.sql"), None, "No such file"),
    ((), b"SELECT '\xff'", "no UTF-8"), ((COUNT, "--tz", "Mars/Olympus"), None, "no such zone"),
])  # fmt: skip
def test_mistakes_of_the_command_line(flows: Path, words: tuple[str, ...], piped: Any, text: str) -> None:
    result = query(*words, "--flows", str(flows), piped=piped)
    assert text in f"{result.output} {result.exception}"
    assert result.exit_code


def test_flows_come_from_the_environment(flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHOWAS_FLOWS", raising=False)
    missing = query(COUNT)
    assert missing.exit_code == 2
    assert "WHOWAS_FLOWS" in missing.output
    out = hours(tmp_path, "07")
    monkeypatch.setenv("WHOWAS_FLOWS", f"{flows}:{out}")
    assert query(COUNT, "--json").output == '{"n": 301}\n'
    assert query(COUNT, "--json", "-f", str(out)).output == '{"n": 1}\n'


def test_times_are_shown_in_the_zone_that_is_asked_for(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    sql = "SELECT TIMESTAMPTZ '2026-11-20 23:30:00Z' AS t, TIMESTAMP '2026-11-20 23:30:00' AS bare"
    row = json.loads(ask(flows, sql, "--json", "--tz", "Europe/Berlin"))
    assert row == {"t": "2026-11-21T00:30:00.000000+01:00", "bare": "2026-11-20T23:30:00.000000"}
    assert "2026-11-20T23:30:00.000000Z" in ask(flows, sql)


def test_every_kind_of_value_is_json(flows: Path) -> None:
    sql = """SELECT 1 AS a, 2 AS a, sum(x) AS big, 1.50 AS d, 'nan'::DOUBLE AS n, INTERVAL '26 hours' AS i,
        DATE '2026-11-20' AS day, 'infinity'::TIMESTAMP AS far, MAP {'k': [true]} AS m, {'s': 'x'::BLOB} AS s
        FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)"""
    row = json.loads(ask(flows, sql, "--json"))
    far = row.pop("far")
    assert isinstance(far, str)
    assert row == {
        "a": 1, "a_2": 2, "big": 9223372036854775808, "d": 1.5, "n": None, "i": "1 day, 2:00:00", "day": "2026-11-20",
        "m": {"k": [True]}, "s": {"s": "78"},
    }  # fmt: skip
    head, cells = list(csv.reader(io.StringIO(ask(flows, sql.replace("'infinity'::TIMESTAMP AS far,", ""), "--csv"))))
    assert len(head) == len(cells) == 9


def test_what_duckdb_says_is_clean(flows: Path) -> None:
    for sql in ("SELECT error('\x1b[31mred\u202e')", 'SELECT "\x1b[31m" FROM flows', "\x1b[31m", 'FROM "\x1b]0;x\x07"'):
        program = [sys.executable, "-m", "whowas", "query", sql, "--flows", str(flows)]
        result = subprocess.run(program, capture_output=True, text=True, timeout=120)
        assert result.returncode == 2
        assert not {"\x1b", "\x07", "\u202e"} & set(result.stderr + result.stdout)
        assert result.stderr.startswith("whowas: cannot run the query")


def test_the_history_is_beside_the_flows(root: Path) -> None:
    history = str(root / "samples/overlay/history.jsonl.gz")
    result = query("SELECT count(DISTINCT name) AS n FROM holds WHERE kind = 'service'", "-H", history, "--json")
    assert result.output == '{"n": 2}\n'
    assert "needs --flows DIR" in str(query(COUNT, "-H", history).exception)

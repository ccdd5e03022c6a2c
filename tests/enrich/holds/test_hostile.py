"""Names and labels that strangers chose: they come out of every form of output as they went in."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.cluster_story import Pod, Story, Thing, batch, flow

from enrich import Namer
from sinks.flows.jsonl import JsonlSink
from sinks.flows.parquet import ParquetSink
from whowas.cli import group

IP = "10.244.1.5"
FORMULAS = ('=HYPERLINK("http://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1")
TEXTS = (
    'it\'s "quoted", with; commas',
    "line\nbreak and \x1b[31mred\x07\x00nul",
    "😀" * 63,
    "../../etc/passwd",
    "\u202eright to left\u2066",
    "a" * 100_000,
    "",
    "null",
    *FORMULAS,
)


def hostile(text: str) -> Any:
    """One named flow from a pod whose name, workload and labels are all the same hostile text."""
    pod = Pod(text, [IP], uid="uid-x", namespace=text, node=text, sandbox=(True, 1), started=2)
    pod.labels = {"plain": text, text: "under a hostile key"}
    pod.owner = ("StatefulSet", text, "uid-owner")
    return Namer(Story().tell(3, "ADDED", pod).history()).name(batch(flow(IP, "8.8.8.8", 50)))


def parquet(named: Any, out: Path) -> Path:
    sink = ParquetSink(out, "aa")
    sink.check()
    sink.write(named)
    sink.close()
    return out


def holds_it(row: Thing, text: str, labels: dict[str, str]) -> None:
    names = [row[f"src_{name}"] for name in ("pod", "namespace", "workload", "node")]
    assert row["src_confidence"] == "exact"
    # A node without a name is no node.
    assert names == [text, text, text, text or None]
    assert labels == {"plain": text, text: "under a hostile key"}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:20])
def test_parquet_holds_the_text_as_it_is(text: str, tmp_path: Path) -> None:
    parquet(hostile(text), tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.parquet")
    (row,) = pq.ParquetFile(path).read().to_pylist()
    holds_it(row, text, dict(row["src_labels"]))


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:20])
def test_json_lines_hold_the_text_as_it_is_on_one_line(text: str, tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "out", "aa")
    sink.check()
    sink.write(hostile(text))
    sink.close()
    (raw,) = Path(sink.files[0]).read_bytes().removesuffix(b"\n").split(b"\n")
    row = json.loads(raw)
    holds_it(row, text, row["src_labels"])


def query(out: Path, form: str) -> str:
    sql = "SELECT src_pod, src_labels, src_labels['plain'] AS plain FROM flows"
    result = CliRunner().invoke(group, ["query", sql, "--flows", str(out), form])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:20])
def test_a_query_prints_json_that_is_the_text(text: str, tmp_path: Path) -> None:
    told = query(parquet(hostile(text), tmp_path / "out"), "--json").removesuffix("\n")
    assert json.loads(told)["plain"] == text
    assert json.loads(told)["src_labels"] == {"plain": text, text: "under a hostile key"}


@pytest.mark.parametrize(
    "text",
    [*TEXTS, "harmless\r=1+1"],
    ids=lambda text: ascii(text)[:20],
)
def test_a_query_prints_csv_that_no_spreadsheet_runs(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv, "field_size_limit", csv.field_size_limit(1 << 20))
    told = query(parquet(hostile(text), tmp_path / "out"), "--csv")
    head, row = csv.reader(io.StringIO(told, newline=""))
    assert head == ["src_pod", "src_labels", "plain"]
    expected = f"'{text}" if text in FORMULAS else text
    assert [row[0], row[2]] == [expected, expected]
    assert not row[1].startswith(("=", "+", "-", "@", "\t", "\r"))

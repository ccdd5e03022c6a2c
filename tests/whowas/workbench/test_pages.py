"""Pages, facets, whole flows and files of flows hold what is in the folder: each flow once, in order."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.workbench import DAY, HOUR, Row, Served

SPANS = (None, (DAY, DAY + 3 * HOUR), (DAY + 1_234_567, DAY + 2 * HOUR + 99), (DAY - HOUR, DAY))


def ordered(flows: list[Row], span: tuple[int, int] | None, oldest_first: bool) -> list[str]:
    """Ids in the order of pages; what tells no start is oldest."""
    keys = [(-1 if one["start_time"] is None else one["start_time"], one["flow_id"]) for one in flows]
    kept = [one for one in keys if span is None or span[0] <= one[0] < span[1]]
    return [flow_id for _, flow_id in sorted(kept, reverse=not oldest_first)]


def paged(page: Served, asked: dict[str, Any]) -> list[str]:
    """All pages, one after the other."""
    found, cursor = [], ""
    for _ in range(100):
        told = page.ask("/api/flows", asked | {"cursor": cursor}).json
        assert len(told["flow_id"]) <= asked["limit"]
        assert all(len(column) == len(told["flow_id"]) for column in told["values"])
        found += told["flow_id"]
        cursor = told["cursor"]
        if not cursor:
            return found
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("limit", [97, 1000])
def test_pages_hold_each_flow_once(page: Served, flows: list[Row], span: Any, oldest_first: bool, limit: int) -> None:
    asked = {"range": None if span is None else {"since": span[0], "until": span[1]}, "oldest_first": oldest_first}
    assert paged(page, asked | {"limit": limit}) == ordered(flows, span, oldest_first)


def test_pages_of_a_filter(page: Served, flows: list[Row]) -> None:
    """Of one that roll-ups know, and one that they do not; and of nothing, at once."""
    mine = [one for one in flows if one["dst_port"] == 53]
    assert paged(page, {"filter": "dst=:53", "limit": 50}) == ordered(mine, None, False)
    mine = [one for one in flows if one["tls_sni"] == "a.example"]
    assert paged(page, {"filter": "where=tls_sni=a.example", "limit": 50}) == ordered(mine, None, False)
    told = page.ask("/api/flows", {"filter": "label=app=none"}).json
    assert (told["flow_id"], told["cursor"], told["about"]["hours"]) == ([], "", 0)


def test_a_page_shows_the_columns_that_were_asked(page: Served, flows: list[Row]) -> None:
    by_id = {one["flow_id"]: one for one in flows}
    names = ["start_time", "src_ip", "src_ip16", "src_labels", "src_candidates", "bytes_out", "tls_sni", "cluster"]
    told = page.ask("/api/flows", {"columns": names, "limit": 200}).json
    assert told["columns"] == names
    for place, flow_id in enumerate(told["flow_id"]):
        row, shown = by_id[flow_id], dict(zip(names, (column[place] for column in told["values"]), strict=True))
        assert all(shown[name] == row[name] for name in ("start_time", "src_ip", "bytes_out", "cluster"))
        assert shown["src_ip16"] == row["src_ip16"].hex()
        assert shown["tls_sni"] == row["tls_sni"]
        assert json.loads(shown["src_labels"] or "{}") == dict(row.get("src_labels") or {})


def test_one_flow_whole_by_the_hour_that_the_page_told(page: Served, flows: list[Row]) -> None:
    told = page.ask("/api/flows", {"limit": 1}).json
    whole = page.ask("/api/flow", {"hour": told["hour"][0], "flow_id": told["flow_id"][0]}).json
    (row,) = [one for one in flows if one["flow_id"] == told["flow_id"][0]]
    assert whole["row"]["src_ip"] == row["src_ip"]
    assert whole["row"]["start_time"].startswith("2025-11-21T02:")
    assert any(told["flow_id"][0] in command for command in whole["commands"])
    assert page.ask("/api/flow", {"hour": told["hour"][0], "flow_id": "f" * 32}).status == 404


@pytest.mark.parametrize("by", ["flows", "bytes"])
def test_facets_count_values_by_confidence(page: Served, flows: list[Row], by: str) -> None:
    names = ["src_workload", "dst_port", "src_ip", "protocol", "tls_sni", "dst_confidence", "src_node"]
    told = page.ask("/api/facets", {"columns": names, "by": by, "limit": 200}).json["facets"]
    assert [one["column"] for one in told] == names
    for one in told:
        name = one["column"]
        sure = name in ("src_workload", "src_node")
        expected: Counter[Any] = Counter()
        for row in flows:
            weight = 1 if by == "flows" else (row["bytes_out"] or 0) + (row["bytes_in"] or 0)
            expected[row.get(name), row["src_confidence"] if sure else None] += weight
        assert dict(zip(zip(one["values"], one["confidence"], strict=True), one[by], strict=True)) == expected
        assert one[by] == sorted(one[by], reverse=True)
        assert one["more"] == 0
    short = page.ask("/api/facets", {"columns": ["src_workload"], "limit": 2}).json["facets"][0]
    assert short["more"] == len(told[0]["values"]) - 2


def test_a_csv_holds_nothing_that_a_spreadsheet_would_run(page: Served, flows: list[Row]) -> None:
    answer = page.ask("/api/export", {"format": "csv", "columns": ["flow_id", "tls_sni", "src_labels"]})
    assert answer.status == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["content-security-policy"]
    head, *lines = list(csv.reader(io.StringIO(answer.body.decode(), newline="")))
    assert head == ["flow_id", "tls_sni", "src_labels"]
    assert sorted(one[0] for one in lines) == sorted(one["flow_id"] for one in flows)
    sni = {one["flow_id"]: one["tls_sni"] or "" for one in flows}
    for flow_id, cell, _ in lines:
        assert cell == (f"'{sni[flow_id]}" if sni[flow_id].startswith("=") else sni[flow_id])
    assert any(cell.startswith("'=cmd") for _, cell, _ in lines)


def test_files_hold_the_flows_of_the_filter(page: Served, flows: list[Row]) -> None:
    mine = [one for one in flows if one["dst_port"] == 443]
    asked = {"filter": "dst=:443", "columns": ["flow_id", "start_time", "src_labels"]}
    lines = page.ask("/api/export", asked | {"format": "jsonl"}).body.decode().splitlines()
    assert [json.loads(one)["flow_id"] for one in lines] == ordered(mine, None, False)
    table = pq.read_table(io.BytesIO(page.ask("/api/export", asked | {"format": "parquet"}).body))
    assert sorted(table["flow_id"].to_pylist()) == sorted(one["flow_id"] for one in mine)
    assert table.column_names == asked["columns"]
    nothing = page.ask("/api/export", {"filter": "dst=:1", "columns": ["flow_id"], "format": "parquet"})
    assert pq.read_table(io.BytesIO(nothing.body)).num_rows == 0


def test_a_file_that_is_cut_at_its_limit_says_so(page: Served, flows: list[Row]) -> None:
    mine = [one for one in flows if one["dst_port"] == 443]
    asked = {"filter": "dst=:443", "columns": ["flow_id"], "format": "jsonl"}
    cut = page.ask("/api/export", asked | {"limit": 5})
    assert len(cut.body.splitlines()) == 5 < len(mine)
    assert cut.headers["x-whowas-partial"] == "the newest 5 flows; more match"
    whole = page.ask("/api/export", asked | {"limit": len(mine)})
    assert len(whole.body.splitlines()) == len(mine)
    assert "x-whowas-partial" not in whole.headers


def test_the_commands_say_the_same(page: Served, flows: list[Row], folder: Any) -> None:
    """The SQL behind a filter leaves the same flows as the page."""
    from whowas.query.sql import ask

    text = "src=shop/web dst=:443 not where=src_confidence=likely"
    asked = {"filter": text, "range": {"since": DAY, "until": DAY + 2 * HOUR}}
    told = page.ask("/api/commands", asked).json
    there = paged(page, asked | {"limit": 1000})
    assert ask(told["sql"], str(folder))["flow_id"].to_pylist() == there
    assert told["cli"].startswith("whowas flows --flows ")
    assert "--src shop/web --dst :443 --not where=src_confidence=likely" in told["cli"]
    assert "--since 2025-11-21T00:00:00.000000Z" in told["cli"]
    assert "condition: selection_1 and selection_2 and not filter_3" in told["sigma"]
    assert told["report"].endswith(" -o report.html")
    hostile = page.ask("/api/commands", {"filter": "'src=$(id)'"}).json
    assert "'$(id)'" in hostile["cli"]
    assert page.ask("/api/commands", {"filter": "'src=a\x1bb'"}).json["cli"].startswith("#")


def test_what_is_typed_is_checked_where_it_is_wrong(page: Served) -> None:
    assert page.ask("/api/check", {"filter": "src=shop/web"}).json["error"] == ""
    wrong = page.ask("/api/check", {"filter": "src=shop/web  nothing=1"}).json
    assert (wrong["at"], "nothing" in wrong["error"]) == (14, True)
    assert page.ask("/api/check", {"filter": "src='a"}).json["error"]
    assert page.ask("/api/check", {"filter": "not"}).json["error"]
    assert "confidence=exact" in page.ask("/api/check", {"filter": "src=a confidence=e"}).json["complete"]
    assert page.ask("/api/check", {"filter": " ".join(["src=a"] * 65)}).json["error"]
    answer = page.ask("/api/ends", {"filter": "src=shop/web  nothing=1"})
    assert (answer.status, answer.json["at"]) == (400, 14)

"""The SQL that people are shown runs, finds what it should, and is only ever SQL of ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from support.sigma.rule_texts import correlation, filed, flat, rule, spelt

from detect.conditions.fields import fields
from detect.matching.matcher import Matcher
from detect.sigma import explain, load

BEGAN = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOSTILE = ["'", "''", "'; DROP TABLE flows; --", "') OR true --", "\\'", '"', "*/ OR true /*", "%", "_", "\x1b]0;x\x07"]
HOSTILE += ["\0", "a\nb", "\u202eabc", "🙂", "{}", "{0}", "$1", "?", "chr(1)", "' || 'x"]


@pytest.fixture
def database() -> Iterator[Any]:
    with duckdb.connect(config={"threads": 1}) as opened:
        yield opened


def given(database: Any, rows: list[dict[str, Any]]) -> Any:
    """Flows, a second each, or as they say; in the database and as a batch."""
    whole = [
        {"flow_id": f"{place}", **row, "start_time": BEGAN + timedelta(seconds=row.get("at", place))}
        for place, row in enumerate(rows)
    ]
    batch = flat(whole)
    database.register("flows", pa.table(batch))
    return batch


def found(database: Any, sql: str) -> list[str]:
    return [
        one
        for (one,) in database.execute(sql.replace("SELECT * FROM counted", "SELECT flow_id FROM counted")).fetchall()
    ]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("way", ["", "|contains", "|startswith", "|endswith", "|cased"])
def test_values_are_values_whatever_they_hold(tmp_path: Path, database: Any, text: str, way: str) -> None:
    escaped = "".join("\\" + one if one in "\\*?" else one for one in text)
    detection = f"  s: {spelt({f'src_namespace{way}': escaped})}\n  condition: s"
    ruleset = load(filed(tmp_path, rule(detection))).ruleset
    batch = given(database, [{"src_namespace": text}, {"src_namespace": "other"}, {}])
    assert Matcher(ruleset).match(batch)["rule-1"].tolist() == [0]
    sql = explain(ruleset.rules[0])
    assert len(duckdb.extract_statements(sql)) == 1
    assert not any(ord(one) < 32 and one != "\n" for one in sql)
    told = database.execute(sql.replace("SELECT *", "SELECT flow_id")).fetchall()
    assert told == [("0",)]


@pytest.mark.parametrize("key", [one for one in HOSTILE if "|" not in one])
def test_labels_keys_are_keys_whatever_they_hold(tmp_path: Path, database: Any, key: str) -> None:
    detection = f"  s: {spelt({f'src_labels.{key}': 'x', f'src_labels.{key}|exists': True})}\n  condition: s"
    ruleset = load(filed(tmp_path, rule(detection))).ruleset
    batch = given(database, [{"src_labels": {key: "x", "other": "y"}}, {"src_labels": {key: "y"}}, {"src_labels": {}}])
    assert Matcher(ruleset).match(batch)["rule-1"].tolist() == [0]
    told = database.execute(explain(ruleset.rules[0]).replace("SELECT *", "SELECT flow_id")).fetchall()
    assert told == [("0",)]


def test_expressions_are_expressions_whatever_they_hold(tmp_path: Path, database: Any) -> None:
    detection = f"  s: {spelt({'src_namespace|re': chr(39) + '; DROP TABLE flows; --|^a.c$'})}\n  condition: s"
    ruleset = load(filed(tmp_path, rule(detection))).ruleset
    batch = given(
        database, [{"src_namespace": "a'c"}, {"src_namespace": "'; DROP TABLE flows; --"}, {"src_namespace": "b"}]
    )
    assert Matcher(ruleset).match(batch)["rule-1"].tolist() == [0, 1]


def test_every_field_runs_as_sql(tmp_path: Path, database: Any) -> None:
    texts = [rule(f"  s: {{'{name}|exists': true}}\n  condition: s", number) for number, name in enumerate(fields(), 1)]
    ruleset = load(filed(tmp_path, *texts)).ruleset
    given(database, [{"dst_port": 1}])
    for one in ruleset.rules:
        database.execute(explain(one).replace("SELECT *", "SELECT flow_id")).fetchall()
    assert len(ruleset.rules) == len(fields())


PORTS = [rule(f"  s: {{dst_port: {port}}}\n  condition: s", port) for port in (1, 2, 3)]


def explained(folder: Path, body: str) -> str:
    ruleset = load(filed(folder, *PORTS, correlation(body))).ruleset
    return explain(ruleset.correlations[0], ruleset.rules)


def flow(port: int, at: float, pod: str = "a", **more: Any) -> dict[str, Any]:
    return {"dst_port": port, "at": at, "src_pod": pod, **more}


def test_counts_of_events(tmp_path: Path, database: Any) -> None:
    body = (
        "  type: event_count\n  rules: [rule-1, rule-2]\n  group-by: [src_pod]\n  timespan: 10s\n  condition: {gte: 3}"
    )
    sql = explained(tmp_path, body)
    given(database, [flow(1, 0), flow(2, 5, "b"), flow(1, 5), flow(2, 10), flow(1, 30), flow(3, 31), flow(1, 32)])
    assert found(database, sql) == ["3"]


def test_counts_of_values_of_two_fields(tmp_path: Path, database: Any) -> None:
    body = (
        "  type: value_count\n  rules: rule-1\n  timespan: 10s\n  condition: {gt: 1, field: [dst_ip, src_labels.app]}"
    )
    sql = explained(tmp_path, body)
    rows = [
        flow(1, at, dst_ip=ip, src_labels={"app": app})
        for at, ip, app in ((0, "::1", "x"), (1, "::1", "x"), (2, "::1", "y"))
    ]
    given(database, rows)
    assert found(database, sql) == ["2"]


def test_rules_near_each_other_in_time_under_aliases(tmp_path: Path, database: Any) -> None:
    body = (
        "  type: temporal\n  rules: [rule-1, rule-2]\n  group-by: [who]\n  timespan: 10s\n"
        "  aliases: {who: {rule-1: src_pod, rule-2: dst_pod}}"
    )
    sql = explained(tmp_path, body)
    given(database, [flow(2, 0, "x", dst_pod="a"), flow(1, 9, "a"), flow(1, 9.5, "b"), flow(1, 11, "a")])
    assert found(database, sql) == ["1"]


def test_rules_in_order(tmp_path: Path, database: Any) -> None:
    sql = explained(tmp_path, "  type: temporal_ordered\n  rules: [rule-1, rule-2, rule-3]\n  timespan: 10s")
    given(
        database, [flow(1, 0), flow(3, 1), flow(2, 2), flow(3, 3), flow(3, 11), flow(1, 20), flow(2, 25), flow(3, 29)]
    )
    assert found(database, sql) == ["3", "7"]

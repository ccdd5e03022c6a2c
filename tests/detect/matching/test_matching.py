"""The matcher beside its differential test: batches of every make, and what it keeps between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.sigma.rule_texts import filed, flat, named, rule

from detect.matching import matcher as matching
from detect.matching import value_cache
from detect.matching.matcher import Matcher
from detect.model import FlowRule, RuleInfo, RuleSet
from detect.sigma import load
from whowas.errors import SchemaError


def ruleset(folder: Path, *selections: str) -> RuleSet:
    return load(filed(folder, *(rule(f"  {one}", number) for number, one in enumerate(selections, 1)))).ruleset


def told(matcher: Matcher, batch: Any) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in matcher.match(batch).items()}


def flows(count: int = 60) -> Any:
    return flat(
        [
            {
                "dst_port": place % 7,
                "src_namespace": None if place % 5 == 0 else f"n{place % 4}",
                "dst_namespace": f"N{place % 3}",
                "src_labels": {"app": f"a{place % 6}"},
                "src_images": [f"i{place % 2}", "x"],
                "bytes_out": place,
            }
            for place in range(count)
        ]
    )


MIXED = (
    "s: {src_namespace: n1, dst_port: [1, 2]}\n  condition: s",
    "s: {src_namespace|fieldref: dst_namespace}\n  condition: not s",
    "s: {bytes_out|gte: 50}\n  t: {src_labels.app: a3}\n  condition: s or t",
    "s: {src_images|contains: i1, bytes_out|lt: 9}\n  condition: s",
)


def want(count: int) -> dict[str, list[int]]:
    rows = range(count)
    return {
        "rule-1": [one for one in rows if one % 5 and one % 4 == 1 and one % 7 in (1, 2)],
        "rule-2": [one for one in rows if one % 5 == 0 or one % 4 != one % 3],
        "rule-3": [one for one in rows if one >= 50 or one % 6 == 3],
        "rule-4": [one for one in rows if one % 2 and one < 9],
    }


def test_row_numbers_run_on_through_the_chunks_of_a_table(tmp_path: Path) -> None:
    whole = named(flows())
    chunks = [named(flows().slice(start, 20)) for start in (0, 20, 40)]
    matcher = Matcher(ruleset(tmp_path, *MIXED))
    assert told(matcher, pa.Table.from_batches(chunks)) == told(matcher, whole) == want(60)
    rows = matcher.match(pa.Table.from_batches(chunks))["rule-2"]
    assert rows.dtype == np.int64


def test_a_slice_is_only_its_rows(tmp_path: Path) -> None:
    matcher = Matcher(ruleset(tmp_path, *MIXED))
    later = {name: [one - 20 for one in rows if 20 <= one < 40] for name, rows in want(60).items()}
    for batch in (flows(), named(flows())):
        assert told(matcher, batch.slice(20, 20)) == {name: rows for name, rows in later.items() if rows}


def test_values_are_forgotten_and_met_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_cache, "MOST_VALUES", 2)
    matcher = Matcher(ruleset(tmp_path, *MIXED))
    for _ in range(3):
        assert told(matcher, named(flows())) == want(60)
    assert max(len(one._numbers) for one in matcher._known.values() if one._field.name != "dst_port") <= 8


def test_too_many_pairs_are_looked_at_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MOST_PAIRS", 1)
    assert told(Matcher(ruleset(tmp_path, *MIXED)), named(flows())) == want(60)


def test_more_rules_than_bits_in_a_word(tmp_path: Path) -> None:
    batch = flows()
    many = ruleset(
        tmp_path, *(f"s: {{bytes_out: {one}, src_labels.app: a{one % 6}}}\n  condition: s" for one in range(130))
    )
    found = told(Matcher(many), batch)
    assert found == {f"rule-{one + 1}": [one] for one in range(60)}


def test_rules_of_which_only_the_sql_is_known() -> None:
    def known(name: str, sql: str, *columns: str) -> FlowRule:
        return FlowRule(RuleInfo(name, name, name, "low"), sql, frozenset(columns))

    rules = (
        known("ports", "dst_port = 1 OR src_namespace = 'n2'", "dst_port", "src_namespace"),
        known("labels", "src_labels['app'] = 'a0'", "src_labels"),
    )
    for batch in (flows(), named(flows())):
        assert told(Matcher(RuleSet(rules)), batch) == {
            "ports": [one for one in range(60) if one % 7 == 1 or (one % 5 and one % 4 == 2)],
            "labels": list(range(0, 60, 6)),
        }


def test_a_rule_that_is_always_or_never_true(tmp_path: Path) -> None:
    from dataclasses import replace

    from detect.conditions.tree import ALWAYS, NEVER

    base = ruleset(tmp_path, *MIXED[:2]).rules
    always, never = replace(base[0], condition=ALWAYS, sql="true"), replace(base[1], condition=NEVER, sql="false")
    assert told(Matcher(RuleSet((always, never))), flows(5)) == {"rule-1": [0, 1, 2, 3, 4]}


def test_nothing_to_match_or_to_match_with(tmp_path: Path) -> None:
    assert told(Matcher(RuleSet()), flows()) == {}
    assert told(Matcher(ruleset(tmp_path, *MIXED)), flows().slice(0, 0)) == {}
    assert told(Matcher(ruleset(tmp_path, *MIXED)), named(flows()).slice(0, 0)) == {}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="column 'bytes_out' is missing; a rule reads it"):
        Matcher(ruleset(tmp_path, *MIXED)).match(flows().select(["dst_port"]))


def test_numbers_of_another_width_are_the_same_numbers(tmp_path: Path) -> None:
    matcher = Matcher(ruleset(tmp_path, "s: {dst_port: 3}\n  condition: s"))
    batch = flows()
    wide = batch.set_column(batch.schema.get_field_index("dst_port"), "dst_port", batch["dst_port"].cast(pa.int64()))
    expected = {"rule-1": list(range(3, 60, 7))}
    assert told(matcher, wide) == told(matcher, batch) == told(matcher, wide) == expected

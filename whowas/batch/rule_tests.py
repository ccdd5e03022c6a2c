"""Tries rules on their own cases: judged as flows are, and where one goes wrong it is said which flow, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from detect.conditions.tree import All, Atom, Condition, Not, atoms, sql_of
from detect.judge.judge import Judge
from detect.judge.state import State
from detect.matching.matcher import Matcher
from detect.model import Finding, FlowRule, RuleSet
from detect.sigma import Case
from detect.views.flow_ends import aimed
from whowas.schema import table_schema

# A Monday; the beginning of an hour and of a day, so that windows of a case do not depend on when it is tried.
BEGIN_US = 1_767_571_200_000_000
Matched = Mapping[str, Any]
"""Row numbers by name of the rule that matches them."""
SHOWN, LONGEST = 3, 100
_COALESCED = re.compile(r"^coalesce\((.*), false\)$", re.DOTALL)


@dataclass(frozen=True)
class CaseResult:
    """What became of a case. why: nothing where it went as it should, else lines that say which flow, and why.

    fault: what went wrong, in words: found or not, or found with advice about the wrong end.
    """

    case: Case
    right: bool
    why: tuple[str, ...] = ()
    fault: str = ""


def try_cases(ruleset: RuleSet, cases: Sequence[Case]) -> Iterator[CaseResult]:
    """Try each case on its rule, with the rules that a correlation looks at."""
    parts: dict[str, RuleSet] = {}
    tables = [flows_of(case) for case in cases]
    for case, flows, matched in zip(cases, tables, _matched(ruleset, tables), strict=True):
        if case.rule not in parts:
            parts[case.rule] = only(ruleset, case.rule)
        yield _tried(parts[case.rule], case, flows, matched)


def _matched(ruleset: RuleSet, tables: Sequence[Any]) -> Iterator[Matched]:
    """Match the flows of all cases in one pass, which takes no longer than those of one."""
    if not tables:
        return
    told = Matcher(ruleset).match(pa.concat_tables(tables).combine_chunks())
    ends = np.cumsum([0, *map(len, tables)])
    for low, high in pairwise(ends.tolist()):
        parts = {name: rows[np.searchsorted(rows, low) : np.searchsorted(rows, high)] for name, rows in told.items()}
        yield {name: rows - low for name, rows in parts.items() if len(rows)}


def only(ruleset: RuleSet, name: str) -> RuleSet:
    """Return one rule and what it needs."""
    correlations = tuple(one for one in ruleset.correlations if one.info.name == name)
    needed = {name, *(rule for one in correlations for rule in one.rules)}
    return RuleSet(tuple(one for one in ruleset.rules if one.info.name in needed), correlations)


def flows_of(case: Case) -> Any:
    """Return a case's flows as a Table of whowas.schema.table_schema, in order of time."""
    rows = []
    for number, one in enumerate(sorted(case.flows, key=lambda flow: flow.at_us)):
        at = BEGIN_US + one.at_us
        rows.append({"end_time": at, "time_basis": "packet"} | dict(one.columns) | {"start_time": at})
        rows[-1]["flow_id"] = f"{number:032x}"
    return pa.Table.from_pylist(rows, schema=table_schema())


def _tried(ruleset: RuleSet, case: Case, flows: Any, matched: Matched) -> CaseResult:
    found = _found(ruleset, case.rule, flows, matched)
    if bool(found) == case.matches:
        return _aimed(case, found)
    if found:
        why = (f"it was found: {found[0].count} of {len(case.flows)} flows",)
        return CaseResult(case, False, why, "should not have been found and was")
    return CaseResult(case, False, tuple(_why_not(ruleset, flows, matched)), "should have been found and was not")


def _aimed(case: Case, found: Sequence[Finding]) -> CaseResult:
    """Hold the advice against whom the case says that it is about."""
    told = {one.label for finding in found for one in aimed(finding)}
    if case.advice is None or told == case.advice:
        return CaseResult(case, True)
    wanted, got = (", ".join(sorted(one)) or "nobody" for one in (case.advice, told))
    why = f"its advice is about {got}, not {wanted}: `about: {found[0].rule.about}` says which end"
    return CaseResult(case, False, (why,), "was found, with advice about the wrong end")


class _Given:
    """Tells a judge of some rules what was matched already, by these and others."""

    def __init__(self, ruleset: RuleSet, matched: Matched) -> None:
        names = {one.info.name for one in ruleset.rules}
        self._matched = {name: rows for name, rows in matched.items() if name in names}

    def match(self, batch: Any) -> Matched:  # noqa: ARG002 - it is the batch of which they were told
        return self._matched


def _found(ruleset: RuleSet, name: str, flows: Any, matched: Matched) -> list[Finding]:
    judge = Judge(ruleset, State(None), matcher=_Given(ruleset, matched))
    judge.judge(flows)
    judge.finish()
    found = [one for one in judge.pending() if one.rule.name == name]
    judge.close()
    return found


def _why_not(ruleset: RuleSet, flows: Any, matched: Matched) -> Iterator[str]:
    """Say of each rule on flows how many it matched, and of the first flows that it did not what was missing."""
    for one in ruleset.rules:
        rows = matched.get(one.info.name, ())
        if ruleset.correlations or len(rows):
            yield f"{one.info.name} matched {len(rows)} of {flows.num_rows} flows"
        if len(rows) == 0:
            yield from _missing(one, flows)
        elif one.first_seen is not None:
            yield "none of them for the first time after learning: look at within and learn"
    for told in ruleset.correlations:
        groups = f" by {', '.join(told.group_by)}" if told.group_by else ""
        yield f"{told.type}{groups} asks for {told.operator} {told.count} within {told.timespan_us / 1e6:g} s"


def _missing(rule: FlowRule, flows: Any) -> Iterator[str]:
    if rule.condition is None:
        return
    link = duckdb.connect(config={"threads": 1})
    for number in range(min(flows.num_rows, SHOWN)):
        link.register("flows", flows.slice(number, 1))
        causes = list(dict.fromkeys(_causes(link, rule.condition, True, flows.slice(number, 1))))
        yield f"flow {number + 1}: {'; '.join(causes)}"


def _causes(link: Any, condition: Condition, wanted: bool, flow: Any) -> Iterator[str]:
    """Say which tests keep a condition from being as it was wanted."""
    if bool(link.execute(f"SELECT {sql_of(condition)} FROM flows").fetchall()[0][0]) == wanted:  # noqa: S608
        return
    if isinstance(condition, Not):
        yield from _causes(link, condition.part, not wanted, flow)
    elif isinstance(condition, Atom):
        yield f"{_values(condition, flow)}, which is {'not ' * wanted}{_words(condition)}"
    elif isinstance(condition, All) == wanted:
        for one in condition.parts:
            yield from _causes(link, one, wanted, flow)
    elif len(told := {_values(one, flow) for one in atoms(condition)}) == 1 and len(condition.parts) > 1:
        yield f"{told.pop()}, which fits {'none' if wanted else 'one'} of {len(condition.parts)} values"
    else:
        each = ["; ".join(_causes(link, one, wanted, flow)) for one in condition.parts]
        yield " [and] ".join(dict.fromkeys(one for one in each if one))


def _words(atom: Atom) -> str:
    told = _COALESCED.sub(r"\1", atom.sql)
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}…"


def _values(atom: Atom, flow: Any) -> str:
    told = []
    for field in atom.fields:
        value = flow[field.column][0].as_py()
        value = dict(value or ()).get(field.key) if field.key is not None else value
        told.append(f"{field.name} is {'null' if value is None else value}")
    return ", ".join(told)

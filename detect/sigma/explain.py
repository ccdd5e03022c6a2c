"""A rule as a statement that finds its flows in a table `flows`."""
# ruff: noqa: S608 - statements are what this is about; their parts come from literals.py and conditions.py

from __future__ import annotations

from collections.abc import Iterable

from detect.conditions.fields import field
from detect.conditions.sql_literals import text_literal
from detect.model import Correlation, FlowRule

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "neq": "<>"}


def explain(rule: FlowRule | Correlation, rules: Iterable[FlowRule] = ()) -> str:
    """Return SQL that finds what a rule finds: flows; of a correlation, each event with which its condition is met.

    Args: rules: those that a correlation looks at, or more.
    Raises: KeyError if one of these is missing.
    """
    if isinstance(rule, FlowRule):
        return f"SELECT * FROM flows\nWHERE {rule.sql}"
    by_name = {one.info.name: one for one in rules}
    events = "\n  UNION ALL\n".join(_events(rule, by_name[name], place) for place, name in enumerate(rule.rules))
    steps, holds = _ordered(rule) if rule.type == "temporal_ordered" else _counted(rule)
    steps = [f"events AS (\n{events}\n)", *steps]
    return "WITH " + ",\n".join(steps) + f"\nSELECT * FROM counted\nWHERE {holds}\nORDER BY start_time"


def _events(rule: Correlation, one: FlowRule, place: int) -> str:
    name = one.info.name
    groups = "".join(
        f", {_sql(rule.aliases.get(by, {}).get(name, by))} AS group_{number}" for number, by in enumerate(rule.group_by)
    )
    values = f", ({', '.join(_sql(each) for each in rule.fields)}) AS value" if rule.fields else ""
    told = f"{text_literal(name)} AS rule, {place} AS place, flow_id, start_time{groups}{values}"
    return f"  SELECT {told}\n  FROM flows WHERE {one.sql}"


def _sql(name: str) -> str:
    found = field(name)
    return found.sql if found else "NULL"


def _partition(rule: Correlation) -> str:
    grouped = ", ".join(f"group_{place}" for place in range(len(rule.group_by)))
    return f"PARTITION BY {grouped} ORDER BY start_time" if grouped else "ORDER BY start_time"


def _counted(rule: Correlation) -> tuple[list[str], str]:
    """Return what is counted in the timespan that ends with each event, and what must be true of it."""
    counted = {"event_count": "*", "value_count": "DISTINCT value", "temporal": "DISTINCT rule"}[rule.type]
    within = f"{_partition(rule)} RANGE BETWEEN INTERVAL {rule.timespan_us} MICROSECONDS PRECEDING AND CURRENT ROW"
    holds = (">=", len(rule.rules)) if rule.type == "temporal" else (_SIGNS[rule.operator], rule.count)
    step = f"counted AS (\n  SELECT *, count({counted}) OVER ({within}) AS number FROM events\n)"
    return [step], f"number {holds[0]} {holds[1]}"


def _ordered(rule: Correlation) -> tuple[list[str], str]:
    """Return, event by event, when the latest row of events in the right order began that ends with it."""
    steps = ["step_0 AS (\n  SELECT *, CASE WHEN place = 0 THEN start_time END AS began_0 FROM events\n)"]
    for place in range(1, len(rule.rules)):
        before = f"max(began_{place - 1}) OVER ({_partition(rule)})"
        told = f"CASE WHEN place = {place} THEN {before} END AS began_{place}"
        steps.append(f"step_{place} AS (\n  SELECT *, {told} FROM step_{place - 1}\n)")
    last = len(rule.rules) - 1
    steps.append(f"counted AS (\n  SELECT * FROM step_{last}\n)")
    return steps, f"began_{last} >= start_time - INTERVAL {rule.timespan_us} MICROSECONDS"

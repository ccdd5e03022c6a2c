"""A rule as a statement that finds its flows in a table `flows`."""
# ruff: noqa: S608 - statements are what this is about; their parts come from literals.py and conditions.py

from __future__ import annotations

from collections.abc import Iterable

from detect.fields import Field, field
from detect.literals import text_literal
from detect.model import Correlation, FlowRule

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "neq": "<>"}


def explain(rule: FlowRule | Correlation, rules: Iterable[FlowRule] = ()) -> str:
    """Return SQL that finds what a rule finds. Args: rules: those that a correlation looks at (or more)."""
    if isinstance(rule, FlowRule):
        return f"SELECT * FROM flows\nWHERE {rule.sql}"
    by_name = {one.info.name: one for one in rules}
    events = "\n  UNION ALL\n".join(_events(rule, by_name[name], place) for place, name in enumerate(rule.rules))
    grouped = [f"group_{place}" for place in range(len(rule.group_by))]
    partition = f"PARTITION BY {', '.join(grouped)} " if grouped else ""
    within = f"({partition}ORDER BY start_time RANGE BETWEEN INTERVAL {rule.timespan_us} MICROSECONDS PRECEDING"
    within += " AND CURRENT ROW)"
    counted, holds = _counted(rule, within)
    return f"WITH events AS (\n{events}\n),\ncounted AS (\n  SELECT *, {counted} FROM events\n)\n" + (
        f"SELECT * FROM counted\nWHERE {holds}\nORDER BY start_time"
    )


def _events(rule: Correlation, one: FlowRule, place: int) -> str:
    name = one.info.name
    groups = "".join(
        f", {_sql(rule.aliases.get(by, {}).get(name, by))} AS group_{number}" for number, by in enumerate(rule.group_by)
    )
    values = f", ({', '.join(_sql(each) for each in rule.fields)}) AS value" if rule.fields else ""
    told = f"{text_literal(name)} AS rule, {place} AS place, flow_id, start_time{groups}{values}"
    return f"  SELECT {told}\n  FROM flows WHERE {one.sql}"


def _sql(name: str) -> str:
    found: Field | None = field(name)
    return found.sql if found else "NULL"


def _counted(rule: Correlation, within: str) -> tuple[str, str]:
    if rule.type == "value_count":
        return f"count(DISTINCT value) OVER {within} AS number", f"number {_SIGNS[rule.operator]} {rule.count}"
    if rule.type == "event_count":
        return f"count(*) OVER {within} AS number", f"number {_SIGNS[rule.operator]} {rule.count}"
    if rule.type == "temporal":
        return f"count(DISTINCT rule) OVER {within} AS number", f"number = {len(rule.rules)}"
    latest = [
        f"max(start_time) FILTER (place = {place}) OVER {within} AS last_{place}" for place in range(len(rule.rules))
    ]
    return ", ".join(latest), " AND ".join(f"last_{place} IS NOT NULL" for place in range(len(rule.rules)))

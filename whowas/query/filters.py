"""Filters of named flows: a tree of tests, and its SQL with bound parameters.

Names of columns come from the schema, and all else is a parameter: no text of a user becomes SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SIDES = ("src", "dst")


@dataclass(frozen=True)
class Test:
    """One test. sql: with a ? for each of the parameters, in order. Null means that it does not hold.

    possible: it holds of what may be so, and not of what is.
    """

    sql: str
    parameters: tuple[Any, ...] = ()
    possible: bool = False


@dataclass(frozen=True)
class All:
    """Every part holds; with no part, always."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True)
class Some:
    """At least one part holds; with no part, never."""

    parts: tuple[Filter, ...] = ()


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter = Test | All | Some | Not
EVERY = All()
NEVER = Some()


def sql_of(one: Filter, exact: bool = False) -> tuple[str, list[Any]]:
    """Return SQL for WHERE, in brackets where it needs them, and its parameters in order.

    exact: false is never null. What is negated must be so, that Not means what it says; elsewhere a bare comparison
    lets DuckDB skip files and row groups.
    """
    if isinstance(one, Test):
        return f"coalesce({one.sql}, false)" if exact else one.sql, list(one.parameters)
    if isinstance(one, Not):
        sql, parameters = sql_of(one.part, True)
        return f"(NOT {sql})", parameters
    if not one.parts:
        return ("true" if isinstance(one, All) else "false"), []
    parts = [sql_of(part, exact) for part in one.parts]
    word = " AND " if isinstance(one, All) else " OR "
    return "(" + word.join(sql for sql, _ in parts) + ")", [value for _, several in parts for value in several]


def some(parts: Iterable[Filter]) -> Filter:
    """Return what holds if one of the parts does."""
    kept = tuple(parts)
    return kept[0] if len(kept) == 1 else Some(kept)


def every(parts: Iterable[Filter]) -> Filter:
    """Return what holds if all parts do."""
    kept = tuple(part for part in parts if part != EVERY)
    return kept[0] if len(kept) == 1 else All(kept)


def either(make: Any) -> Filter:
    """Return what holds if `make(side)` does for one of the two ends."""
    return some(make(side) for side in SIDES)


def certain(one: Filter) -> Filter:
    """Return the filter without what is only possible: nothing is left out because it might be something."""
    if isinstance(one, Test):
        return NEVER if one.possible else one
    if isinstance(one, Not):
        return Not(certain(one.part))
    parts = tuple(map(certain, one.parts))
    return All(parts) if isinstance(one, All) else Some(parts)


def equals(sql: str, value: Any) -> Test:
    """Return the test of an expression against one value."""
    return Test(f"{sql} = ?", (value,))


def between(sql: str, low: Any, high: Any) -> Test:
    """Return the test of an expression against a range, both ends of which belong to it."""
    return Test(f"({sql} BETWEEN ? AND ?)", (low, high))


def like(sql: str, glob: str) -> Test:
    """Return the test of a text against a pattern in which only * means something: any text, none too."""
    if "*" not in glob:
        return equals(sql, glob)
    if not glob.strip("*"):
        return Test(f"({sql} IS NOT NULL)")
    return Test(f"({sql} LIKE ? ESCAPE '\\')", (like_pattern(glob),))


def like_pattern(glob: str) -> str:
    """Write a pattern with * as LIKE has it."""
    for mark in ("\\", "%", "_"):
        glob = glob.replace(mark, "\\" + mark)
    while "**" in glob:
        glob = glob.replace("**", "*")
    return glob.replace("*", "%")


def candidate(side: str, tests: dict[str, str]) -> Test:
    """Return the test whether some candidate of an end has texts that match patterns, by field of a candidate."""
    inner, parameters = sql_of(All(tuple(like(f"c.{field}", glob) for field, glob in tests.items())))
    return Test(f"(len(list_filter({side}_candidates, lambda c: {inner})) > 0)", tuple(parameters), True)

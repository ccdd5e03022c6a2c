"""Represents a rule's condition as a tree, for SQL and for matching.

Every test is true or false, never null, so that `not` means what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from detect.conditions.fields import Field


@dataclass(frozen=True)
class Atom:
    """One test. sql: over the columns of a flow, never null. fields: what it reads; none for what never changes."""

    sql: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Some:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = Atom | All | Some | Not
ALWAYS, NEVER = Atom("true", ()), Atom("false", ())


def all_of(parts: Iterable[Condition]) -> Condition:
    """Return what holds if every part does."""
    kept = tuple(dict.fromkeys(one for one in _flat(parts, All) if one != ALWAYS))
    if NEVER in kept:
        return NEVER
    return kept[0] if len(kept) == 1 else All(kept) if kept else ALWAYS


def some_of(parts: Iterable[Condition]) -> Condition:
    """Return what holds if at least one part does."""
    kept = tuple(dict.fromkeys(one for one in _flat(parts, Some) if one != NEVER))
    if ALWAYS in kept:
        return ALWAYS
    return kept[0] if len(kept) == 1 else Some(kept) if kept else NEVER


def not_(part: Condition) -> Condition:
    """Return what holds if the part does not."""
    if part in (ALWAYS, NEVER):
        return NEVER if part == ALWAYS else ALWAYS
    return part.part if isinstance(part, Not) else Not(part)


def _flat(parts: Iterable[Condition], kind: type[All] | type[Some]) -> Iterator[Condition]:
    for one in parts:
        if isinstance(one, kind):
            yield from one.parts
        else:
            yield one


def sql_of(condition: Condition) -> str:
    """Write a condition as SQL that needs no brackets around it after NOT, nor between AND and OR."""
    if isinstance(condition, Atom):
        return condition.sql
    if isinstance(condition, Not):
        return f"(NOT {sql_of(condition.part)})"
    word = " AND " if isinstance(condition, All) else " OR "
    return "(" + word.join(sql_of(one) for one in condition.parts) + ")"


def atoms(condition: Condition) -> Iterator[Atom]:
    """Yield every test of a condition, repeats too."""
    if isinstance(condition, Atom):
        yield condition
    elif isinstance(condition, Not):
        yield from atoms(condition.part)
    else:
        for one in condition.parts:
            yield from atoms(one)


def needed(condition: Condition) -> tuple[Condition, ...]:
    """Return conditions that hold together exactly if this one does."""
    if isinstance(condition, All):
        return tuple(one for part in condition.parts for one in needed(part))
    if isinstance(condition, Not) and isinstance(condition.part, Some):
        return tuple(one for part in condition.part.parts for one in needed(not_(part)))
    return (condition,)


def enough(condition: Condition) -> tuple[Condition, ...]:
    """Return conditions of which at least one holds exactly if this one does."""
    return tuple(not_(one) for one in needed(not_(condition)))


def columns_of(condition: Condition) -> frozenset[str]:
    """Return the columns that a condition reads."""
    return frozenset(field.column for atom in atoms(condition) for field in atom.fields)

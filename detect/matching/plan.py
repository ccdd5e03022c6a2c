"""Plans rules: tests of single fields as bits, the rest as clauses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from detect.conditions.fields import Field
from detect.conditions.tree import ALWAYS, NEVER, Atom, Condition, atoms, enough, needed, not_, sql_of
from detect.matching.value_cache import repeats
from detect.model import FlowRule
from whowas.schema import table_schema


@dataclass(frozen=True)
class Alternative:
    """A way in which a part of a rule may hold. bit: what single fields ask; None: nothing. rest: what else."""

    bit: int | None
    rest: tuple[Condition, ...]


@dataclass(frozen=True)
class Clause:
    """A condition on several fields. miss: bit set when every test fails that
    would be enough alone; None if there is none.
    """

    miss: int | None
    ways: tuple[Alternative, ...]

    def asks(self) -> bool:
        """Whether bits alone do not tell."""
        return any(one.rest for one in self.ways)


@dataclass
class Plan:
    """A rule: what it asks of single fields is in its own bit, what is left in parts, all of which must hold."""

    rule: FlowRule
    parts: list[Clause] = field(default_factory=list)


class Plans:
    """Plans of rules, in the order of their first bits.

    tests: by field, the SQL that is put to its values, and the number of each. by_bit: by field, the test that its
    values must pass for a bit. bits: how many there are; the first are the rules' own.
    """

    def __init__(self, rules: Iterable[FlowRule]) -> None:
        # Rules that ask for the same fields stand together: of 64 bits, few fields have any.
        self.rules = [Plan(one) for one in sorted(rules, key=lambda one: sorted(one.columns))]
        self.tests: dict[Field, dict[str, int]] = {}
        self.by_bit: dict[Field, dict[int, int]] = {}
        self.bits = len(self.rules)
        for number, plan in enumerate(self.rules):
            self._planned(number, plan)

    def _planned(self, number: int, plan: Plan) -> None:
        """Sort a rule's conditions: those on one field into its bit, each other into a part."""
        alone = []
        for part in _parts(plan.rule):
            if _single(part):
                alone.append(part)
            else:
                plan.parts.append(self._part(part))
        self._ask_all(number, alone)

    def _part(self, condition: Condition) -> Clause:
        either, ways = [], []
        for one in enough(condition):
            if _single(one):
                either.append(not_(one))
            else:
                ways.append(self._way(one))
        return Clause(self._bit(either) if either else None, tuple(ways))

    def _way(self, condition: Condition) -> Alternative:
        alone = [one for one in needed(condition) if _single(one)]
        rest = tuple(one for one in needed(condition) if not _single(one))
        for one in rest:
            for atom in atoms(one):
                if by_value(atom):
                    self._numbered(atom.fields[0], atom.sql)
        return Alternative(self._bit(alone) if alone else None, rest)

    def _bit(self, conditions: list[Condition]) -> int:
        """Allocate a bit that means: all these single-field conditions hold."""
        number, self.bits = self.bits, self.bits + 1
        self._ask_all(number, conditions)
        return number

    def _ask_all(self, bit: int, conditions: list[Condition]) -> None:
        by_field: dict[Field, list[str]] = {}
        for one in conditions:
            by_field.setdefault(next(atoms(one)).fields[0], []).append(sql_of(one))
        for read, tests in by_field.items():
            self.by_bit.setdefault(read, {})[bit] = self._numbered(read, " AND ".join(tests))

    def _numbered(self, one: Field, sql: str) -> int:
        tests = self.tests.setdefault(one, {})
        return tests.setdefault(sql, len(tests))


def _parts(rule: FlowRule) -> tuple[Condition, ...]:
    """Return what must hold, all of it. A rule of which only the SQL is known is one test of its columns."""
    if rule.condition is None:
        return (Atom(f"coalesce(({rule.sql}), false)", tuple(Field(one, one, "") for one in sorted(rule.columns))),)
    return needed(rule.condition)


def _single(condition: Condition) -> bool:
    """Say whether a condition reads one field, of which values are known."""
    read = {one for atom in atoms(condition) for one in atom.fields}
    return len(read) == 1 and few_values(next(iter(read)))


def few_values(one: Field) -> bool:
    """Say whether a field has few enough values that it pays to know them."""
    return bool(one.kind) and (one.most > 0 or repeats(table_schema().field(one.column).type, one.column))


def by_value(atom: Atom) -> bool:
    """Say whether a test is known by the values of its field."""
    return len(atom.fields) == 1 and few_values(atom.fields[0])


def by_row(atom: Atom) -> bool:
    """Say whether a test must be asked of rows."""
    return not by_value(atom) and atom not in (ALWAYS, NEVER)

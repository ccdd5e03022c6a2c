"""Which flows of a batch match which rules: one pass over the batch for all rules.

What a rule asks of single fields is put to the fields' distinct values (`coded.py`) and becomes one bit a rule; the
bits of a row's values are combined by AND. What is left, conditions on several fields at once and large numbers, is
looked at only for rows whose bit is still set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from detect.coded import Bits, Codes, Known, Masks, coded, repeats
from detect.conditions import ALWAYS, NEVER, All, Atom, Condition, Not, atoms, sql_of
from detect.fields import Field
from detect.model import FlowRule, RuleSet
from whowas.errors import SchemaError
from whowas.schema import plain, table_schema

Rows = npt.NDArray[np.int64]
MOST_PAIRS = 1 << 22
"""Pairs of values are marked in a table of this size at most; else rows are looked at one by one."""


@dataclass
class _Plan:
    """What is left of a rule once single fields have been looked at.

    valued: conditions on several fields that are known by their values. rest: what must be asked of rows.
    """

    rule: FlowRule
    valued: list[Condition] = field(default_factory=list)
    rest: list[Condition] = field(default_factory=list)


class Matcher:
    """Matches batches against all flow rules of a rule set.

    Keeps what it learnt of values, bounded by `coded.MOST_VALUES` a field. Not for several threads at once.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        # Rules that ask for the same fields stand together: of 64 bits, few fields have any.
        self._plans = [_Plan(one) for one in sorted(ruleset.rules, key=lambda one: sorted(one.columns))]
        self._words = (len(self._plans) + 63) // 64
        every = np.arange(self._words * 64) < len(self._plans)
        self._every = np.packbits(every, bitorder="little").view("<u8")
        self._tests: dict[Field, dict[str, int]] = {}
        by_rule: dict[Field, dict[int, int]] = {}
        for number, plan in enumerate(self._plans):
            for one, test in self._planned(plan):
                by_rule.setdefault(one, {})[number] = test
        self._known = {
            one: Known(self._database, one, list(tests), by_rule.get(one, {}), self._words)
            for one, tests in self._tests.items()
        }
        self._columns = sorted({column for one in ruleset.rules for column in one.columns})

    def _planned(self, plan: _Plan) -> Iterator[tuple[Field, int]]:
        """Sort a rule's conditions; yield the test that it has for each field's values."""
        alone: dict[Field, list[Condition]] = {}
        for part in _parts(plan.rule):
            read = list(dict.fromkeys(one for atom in atoms(part) for one in atom.fields))
            if len(read) == 1 and _repeats(read[0]):
                alone.setdefault(read[0], []).append(part)
            elif all(len(atom.fields) < 2 and all(map(_repeats, atom.fields)) for atom in atoms(part)):
                plan.valued.append(part)
                self._note(part)
            else:
                plan.rest.append(part)
                self._note(part)
        for one, parts in alone.items():
            yield one, self._numbered(one, " AND ".join(sql_of(part) for part in parts))

    def _note(self, part: Condition) -> None:
        for atom in atoms(part):
            if _by_value(atom):
                self._numbered(atom.fields[0], atom.sql)

    def _numbered(self, one: Field, sql: str) -> int:
        tests = self._tests.setdefault(one, {})
        return tests.setdefault(sql, len(tests))

    def match(self, batch: Any) -> dict[str, Rows]:
        """Return the rows that each rule matches, first_seen left aside.

        Args: batch: RecordBatch or Table with the columns of whowas.schema.named_schema or table_schema.
        Returns: row numbers, ascending, by name of the rule; rules that match nothing are left out.
        Raises: SchemaError if a column is missing that a rule reads.
        """
        if missing := [one for one in self._columns if one not in batch.schema.names]:
            raise SchemaError(f"cannot match flows: column '{missing[0]}' is missing; a rule reads it")
        found: dict[str, list[Rows]] = {}
        first = 0
        for part in batch.to_batches() if hasattr(batch, "to_batches") else [batch]:
            for name, rows in self._matched(part):
                found.setdefault(name, []).append(rows + first)
            first += part.num_rows
        return {name: rows[0] if len(rows) == 1 else np.concatenate(rows) for name, rows in found.items()}

    def _matched(self, batch: Any) -> Iterator[tuple[str, Rows]]:
        look = _Look(batch, self._known, self._tests, self._database)
        bits = look.bits(self._every)
        waiting: list[tuple[_Plan, Rows]] = []
        for number in _set(bits):
            plan = self._plans[number]
            rows = np.flatnonzero((bits[number // 64] & np.uint64(1 << number % 64)) != 0)
            for part in plan.valued:
                rows = rows[look.holds(part, rows)] if len(rows) else rows
            if len(rows) and plan.rest:
                waiting.append((plan, rows))
            elif len(rows):
                yield plan.rule.info.name, rows
        look.ask([(part, rows) for plan, rows in waiting for part in plan.rest])
        for plan, rows in waiting:
            for part in plan.rest:
                rows = rows[look.holds(part, rows)]
            if len(rows):
                yield plan.rule.info.name, rows


class _Look:
    """One batch being looked at."""

    def __init__(
        self, batch: Any, known: dict[Field, Known], tests: dict[Field, dict[str, int]], database: Any
    ) -> None:
        self._batch, self._known, self._tests, self._database = batch, known, tests, database
        self._coded: dict[Field, tuple[Codes, Codes]] = {}
        for one, met in known.items():
            codes, values = coded(batch, one)
            self._coded[one] = codes, met.numbers(values)
        self._others: dict[Field, tuple[Codes, Any]] = {}
        self._asked: dict[Atom, Bits] = {}

    def bits(self, every: Masks) -> Masks:
        """Return for each row a bit for each rule, of `every`, that its values let through. (words, rows)."""
        found = np.repeat(every[:, np.newaxis], self._batch.num_rows, axis=1)
        for one, (codes, numbers) in self._coded.items():
            for word in self._known[one].words:
                found[word] &= self._known[one].masks(word, numbers)[codes]
        return found

    def holds(self, condition: Condition, rows: Rows) -> Bits:
        """Return whether a condition holds for each of some rows."""
        if isinstance(condition, Atom):
            return self._atom(condition, rows)
        if isinstance(condition, Not):
            return ~self.holds(condition.part, rows)
        join = np.logical_and if isinstance(condition, All) else np.logical_or
        found: Bits = join.reduce([self.holds(one, rows) for one in condition.parts])
        return found

    def _atom(self, atom: Atom, rows: Rows) -> Bits:
        if not _by_value(atom):
            return np.full(len(rows), atom == ALWAYS) if atom in (ALWAYS, NEVER) else self._asked[atom][rows]
        codes, numbers = self._coded[atom.fields[0]]
        test = self._tests[atom.fields[0]][atom.sql]
        return self._known[atom.fields[0]].fact(test, numbers[codes[rows]])

    def ask(self, wanted: list[tuple[Condition, Rows]]) -> None:
        """Put to DuckDB what must be asked of rows, all rows at once."""
        needed = [(atom, rows) for part, rows in wanted for atom in atoms(part) if _by_row(atom)]
        if not needed:
            return
        marked = np.zeros(self._batch.num_rows, bool)
        for _, rows in needed:
            marked[rows] = True
        groups: dict[tuple[Field, ...], dict[Atom, None]] = {}
        for atom, _ in needed:
            groups.setdefault(atom.fields if self._paired(atom) else (), {})[atom] = None
        for fields, asked in groups.items():
            self._ask(fields, list(asked), np.flatnonzero(marked))

    def _paired(self, atom: Atom) -> bool:
        """Say whether the values of two fields are few enough to look at each pair that there is once."""
        return all(map(_repeats, atom.fields)) and self._pairs(atom.fields) <= MOST_PAIRS

    def _pairs(self, fields: tuple[Field, ...]) -> int:
        return math.prod(len(self._code(one)[1]) for one in fields)

    def _ask(self, fields: tuple[Field, ...], asked: list[Atom], rows: Rows) -> None:
        """Ask for rows, or for one row of each pair of values. Fills self._asked for all these rows."""
        if not fields:
            for atom, told in zip(asked, self._told(asked, rows), strict=True):
                self._asked[atom] = np.zeros(self._batch.num_rows, bool)
                self._asked[atom][rows] = told
            return
        pairs = np.zeros(len(rows), np.int64)
        for one in fields:
            codes, values = self._code(one)
            pairs = pairs * len(values) + codes[rows]
        example = np.full(self._pairs(fields), -1)
        example[pairs] = rows
        there = np.flatnonzero(example >= 0)
        for atom, told in zip(asked, self._told(asked, example[there]), strict=True):
            by_pair = np.zeros(len(example), bool)
            by_pair[there] = told
            self._asked[atom] = np.zeros(self._batch.num_rows, bool)
            self._asked[atom][rows] = by_pair[pairs]

    def _code(self, one: Field) -> tuple[Codes, Any]:
        if one not in self._others:
            self._others[one] = self._coded.get(one) or coded(self._batch, one)
        return self._others[one]

    def _told(self, asked: list[Atom], rows: Rows) -> list[Bits]:
        columns = sorted({one.column for atom in asked for one in atom.fields})
        self._database.register("flows", plain(self._batch.select(columns).take(rows)))
        tests = ", ".join(f"({atom.sql}) AS t{place}" for place, atom in enumerate(asked))
        told = self._database.execute(f"SELECT {tests} FROM flows").fetchnumpy()  # noqa: S608 - rules' own SQL
        return [told[f"t{place}"] for place in range(len(asked))]


def _parts(rule: FlowRule) -> tuple[Condition, ...]:
    """Return what must hold, all of it. A rule of which only the SQL is known is one test of its columns."""
    if rule.condition is None:
        return (Atom(f"coalesce(({rule.sql}), false)", tuple(Field(one, one, "") for one in sorted(rule.columns))),)
    return rule.condition.parts if isinstance(rule.condition, All) else (rule.condition,)


def _repeats(one: Field) -> bool:
    return bool(one.kind) and repeats(table_schema().field(one.column).type, one.column)


def _by_value(atom: Atom) -> bool:
    return len(atom.fields) == 1 and _repeats(atom.fields[0])


def _by_row(atom: Atom) -> bool:
    return not _by_value(atom) and atom not in (ALWAYS, NEVER)


def _set(bits: Masks) -> Iterator[int]:
    """Yield the numbers of rules for which any row has its bit."""
    for word, value in enumerate(np.bitwise_or.reduce(bits, axis=1)):
        for bit in range(64):
            if int(value) >> bit & 1:
                yield word * 64 + bit

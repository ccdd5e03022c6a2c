"""Which flows of a batch match which rules: one pass over the batch for all rules.

What a rule asks of single fields is put to the fields' distinct values (`value_cache.py`) and becomes one bit a rule;
the bits of a row's values are combined by AND. What is left, conditions on several fields at once and large numbers, is
looked at only for rows whose bit is still set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from detect.conditions.encoded import encoded
from detect.conditions.fields import Field
from detect.conditions.tree import ALWAYS, NEVER, All, Atom, Condition, Not, atoms
from detect.matching.plan import Clause, Plan, Plans, by_row, by_value, few_values
from detect.matching.value_cache import Bits, Codes, Masks, ValueCache
from detect.model import RuleSet
from whowas.errors import SchemaError
from whowas.schema import plain

Rows = npt.NDArray[np.int64]
MOST_PAIRS = 1 << 22
"""Pairs of values are marked in a table of this size at most; else rows are looked at one by one."""


class Matcher:
    """Matches batches against all flow rules of a rule set.

    Keeps what it learnt of values, bounded by `value_cache.MOST_VALUES` a field. Not for several threads at once.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        # It makes a join of each IN, and then takes time by the cube of their number, for values that are few anyway.
        self._database.execute("SET disabled_optimizers = 'in_clause'")
        self._plans = Plans(ruleset.rules)
        words = (self._plans.bits + 63) // 64
        self._every = np.packbits(np.arange(words * 64) < self._plans.bits, bitorder="little").view("<u8")
        self._known = {
            one: ValueCache(self._database, one, list(tests), self._plans.by_bit.get(one, {}), words)
            for one, tests in self._plans.tests.items()
        }
        self._columns = sorted({column for one in ruleset.rules for column in one.columns})

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
        look = _BatchMatch(batch, self._known, self._plans.tests, self._database)
        look.fill(self._every)
        waiting: list[tuple[Plan, Rows]] = []
        for number in look.set(len(self._plans.rules)):
            plan, there = self._plans.rules[number], look.bit(number)
            for part in plan.parts:
                if not part.asks():
                    there &= look.surely(part)
            rows = np.flatnonzero(there)
            if len(rows) and any(part.asks() for part in plan.parts):
                waiting.append((plan, rows))
            elif len(rows):
                yield plan.rule.info.name, rows
        asked = [(plan, rows, part) for plan, rows in waiting for part in plan.parts if part.asks()]
        look.ask([(one, some) for _, rows, part in asked for one, some in look.open(part, rows)])
        for plan, rows in waiting:
            for part in plan.parts:
                if part.asks():
                    rows = rows[look.holds_part(part, rows)]
            if len(rows):
                yield plan.rule.info.name, rows


class _BatchMatch:
    """One batch being looked at."""

    def __init__(
        self, batch: Any, known: dict[Field, ValueCache], tests: dict[Field, dict[str, int]], database: Any
    ) -> None:
        self._batch, self._known, self._tests, self._database = batch, known, tests, database
        self._coded: dict[Field, tuple[Codes, Codes]] = {}
        for one, met in known.items():
            codes, values = encoded(batch.column(one.column), one.key, one.most)
            self._coded[one] = codes, met.numbers(values)
        self._others: dict[Field, tuple[Codes, Any]] = {}
        self._asked: dict[Atom, Bits] = {}

    def fill(self, every: Masks) -> None:
        """Work out for each row the bits, of `every`, that its values let through."""
        self._bits = np.repeat(every[:, np.newaxis], self._batch.num_rows, axis=1)
        for one, (codes, numbers) in self._coded.items():
            for word in self._known[one].words:
                self._bits[word] &= self._known[one].masks(word, numbers)[codes]

    def bit(self, number: int) -> Bits:
        """Return for each row whether it has a bit."""
        found: Bits = (self._bits[number // 64] & np.uint64(1 << number % 64)) != 0
        return found

    def set(self, below: int) -> Iterator[int]:
        """Yield the bits that any row has, of the first so many."""
        for word, value in enumerate(np.bitwise_or.reduce(self._bits, axis=1)):
            for bit in range(min(64, below - word * 64)):
                if int(value) >> bit & 1:
                    yield word * 64 + bit

    def surely(self, part: Clause) -> Bits:
        """Return where a part of a rule holds, as far as bits tell."""
        found = np.zeros(self._batch.num_rows, np.bool_) if part.miss is None else ~self.bit(part.miss)
        for one in part.ways:
            if not one.rest and one.bit is not None:
                found |= self.bit(one.bit)
        return found

    def open(self, part: Clause, rows: Rows) -> Iterator[tuple[Condition, Rows]]:
        """Yield what is still to be asked, and of which rows."""
        unsure = rows[~self.surely(part)[rows]]
        for way in part.ways:
            some = unsure if way.bit is None else unsure[self.bit(way.bit)[unsure]]
            for one in way.rest:
                yield one, some

    def holds_part(self, part: Clause, rows: Rows) -> Bits:
        """Return whether a part of a rule holds for each of some rows."""
        found = self.surely(part)[rows]
        for way in part.ways:
            if way.rest:
                open_ = ~found if way.bit is None else ~found & self.bit(way.bit)[rows]
                places = np.flatnonzero(open_)
                found[places] = np.logical_and.reduce([self.holds(one, rows[places]) for one in way.rest])
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
        if not by_value(atom):
            return np.full(len(rows), atom == ALWAYS) if atom in (ALWAYS, NEVER) else self._asked[atom][rows]
        codes, numbers = self._coded[atom.fields[0]]
        test = self._tests[atom.fields[0]][atom.sql]
        return self._known[atom.fields[0]].fact(test, numbers[codes[rows]])

    def ask(self, wanted: list[tuple[Condition, Rows]]) -> None:
        """Put to DuckDB what must be asked of rows, all rows at once."""
        needed = [(atom, rows) for part, rows in wanted for atom in atoms(part) if by_row(atom)]
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
        return all(map(few_values, atom.fields)) and self._pairs(atom.fields) <= MOST_PAIRS

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
            self._others[one] = self._coded.get(one) or encoded(self._batch.column(one.column), one.key, one.most)
        return self._others[one]

    def _told(self, asked: list[Atom], rows: Rows) -> list[Bits]:
        columns = sorted({one.column for atom in asked for one in atom.fields})
        self._database.register("flows", plain(self._batch.select(columns).take(rows)))
        tests = ", ".join(f"({atom.sql}) AS t{place}" for place, atom in enumerate(asked))
        told = self._database.execute(f"SELECT {tests} FROM flows").fetchnumpy()  # noqa: S608 - rules' own SQL
        return [told[f"t{place}"] for place in range(len(asked))]

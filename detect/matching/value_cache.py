"""Caches what is known of every value of a field met so far.

Names repeat: a test of a rule is put to each value once, in DuckDB, and never again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detect.conditions.encoded import is_small
from detect.conditions.fields import TEXTS, Field

Codes = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]
Masks = npt.NDArray[np.uint64]

MOST_VALUES = 200_000
"""So many values of a field are remembered; then all are forgotten and met anew."""

_SELDOM_TWICE = ("flow_id", "community_id")


def repeats(kind: Any, name: str) -> bool:
    """Say whether a column has few enough values that it pays to know them. Args: kind: its Arrow type in tables."""
    if pa.types.is_map(kind) or pa.types.is_dictionary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    if pa.types.is_list(kind):
        return bool(pa.types.is_string(kind.value_type))
    return bool(kind == pa.string()) and name not in _SELDOM_TWICE


class ValueCache:
    """What rules say of the values of one field.

    Args: field: which. tests: SQL over the field's column. rules: (rule, place of its test): what a value must pass for
    the rule, if the rule has such a test at all. words: how many 64 rules there are.
    """

    def __init__(self, database: Any, field: Field, tests: Sequence[str], rules: dict[int, int], words: int) -> None:
        self._database, self._field = database, field
        names = ", ".join(f"({test}) AS t{place}" for place, test in enumerate(tests))
        self._sql = f"SELECT {names} FROM flows"  # noqa: S608 - the rules' own SQL
        self._tests = len(tests)
        self._rules, self._places = np.array(list(rules), int), np.array(list(rules.values()), int)
        self._words = words
        self.words = np.unique(self._rules // 64)  # those that have any rule which asks for this field
        self._forget(0)

    def _forget(self, room: int) -> None:
        self._all = np.zeros(0, np.int64)
        self._numbers: dict[Hashable, int] = {}
        self._facts = np.zeros((self._tests, room), bool)
        self._masks = np.zeros((self._words, room), np.uint64)

    def numbers(self, values: Sequence[Hashable]) -> Codes:
        """Return the number of each value, new ones met and tested."""
        if is_small(values):
            if not len(self._all) or len(self._numbers) != len(values):
                self._forget(0)
                self._meet(values)
                self._all = np.arange(len(values))
            return self._all
        if len(self._numbers) > MOST_VALUES:
            self._forget(0)
        found = list(map(self._numbers.get, values))
        if None in found:
            self._meet([one for one in dict.fromkeys(values) if one not in self._numbers])
            found = list(map(self._numbers.get, values))
        return np.array(found, np.int64)

    def masks(self, word: int, numbers: Codes) -> Masks:
        """Return, by value, a bit for each of 64 rules: whether the value is one the rule can match."""
        found: Masks = self._masks[word] if numbers is self._all else self._masks[word][numbers]
        return found

    def fact(self, test: int, numbers: Codes) -> Bits:
        """Return whether each value passes a test."""
        found: Bits = self._facts[test][numbers]
        return found

    def _meet(self, fresh: Sequence[Hashable]) -> None:
        first = len(self._numbers)
        if first + len(fresh) > self._facts.shape[1]:
            self._grow(max(2 * first, first + len(fresh), 64))
        told = self._told(fresh)
        self._facts[:, first : first + len(fresh)] = told
        bits = np.ones((len(fresh), self._words * 64), bool)
        bits[:, self._rules] = told[self._places].T
        self._masks[:, first : first + len(fresh)] = np.packbits(bits, axis=1, bitorder="little").view("<u8").T
        self._numbers |= {one: first + place for place, one in enumerate(fresh)}

    def _grow(self, room: int) -> None:
        more = room - self._facts.shape[1]
        self._facts = np.pad(self._facts, ((0, 0), (0, more)))
        self._masks = np.pad(self._masks, ((0, 0), (0, more)))

    def _told(self, fresh: Sequence[Hashable]) -> Bits:
        self._database.register("flows", pa.table({self._field.column: _column(self._field, fresh)}))
        told = self._database.execute(self._sql).fetchnumpy()
        return np.array([told[f"t{place}"] for place in range(self._tests)], bool).reshape(self._tests, len(fresh))


def _column(field: Field, values: Sequence[Hashable]) -> Any:
    """Return values as the column that SQL looks for them in."""
    if field.key is not None:
        pairs = [[] if one is None else [(field.key, one)] for one in values]
        return pa.array(pairs, pa.map_(pa.string(), pa.string()))
    listed: list[Any] = [list(one) if isinstance(one, tuple) else one for one in values]
    return pa.array(listed, pa.list_(pa.string()) if field.kind == TEXTS else None)

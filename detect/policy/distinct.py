"""Which rows of a batch are one question: verdicts are a join over distinct questions, not over flows.

A question is what rows have in common in some columns. In a batch it is a small number; between batches it is known by
a hash of numbers that mean the same value in every batch.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whowas.arrays import Hashed, Words

# Numbers stay below this, so that what is multiplied next still fits.
DENSE = 1 << 62
COLUMNS_MOST = 64


class Numbers:
    """Numbers values that repeat from batch to batch, from 1 on; None is 0."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {None: 0}

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, values: Sequence[Hashable]) -> list[int]:
        """Return the numbers of values."""
        known = self._numbers
        try:
            return [known[one] for one in values]
        except KeyError:
            return [known.setdefault(one, len(known)) for one in values]


class Codes:
    """A column as numbers. rows: (n,) int64 of values of this batch, 0 = null. size: they are below it.

    words: of columns of words, the value of each number from 1 on. meaning: (size,) int64, what each number is in any
    batch; None: the numbers themselves.
    """

    def __init__(self, rows: Words, size: int, meaning: Words | None = None, words: list[Any] | None = None) -> None:
        self.rows, self.size, self.meaning, self.words = rows, size, meaning, words or []

    def where(self, mask: npt.NDArray[np.bool_]) -> Codes:
        """Return them where a mask holds, null elsewhere."""
        return Codes(np.where(mask, self.rows, 0), self.size, self.meaning, self.words)

    def are(self, *words: Any) -> npt.NDArray[np.bool_]:
        """Say of which rows the value is one of some words."""
        found = np.array([False, *(one in words for one in self.words)])
        picked: npt.NDArray[np.bool_] = found[self.rows]
        return picked


def word_codes(column: Any, numbers: Numbers) -> Codes:
    """Return a column of words, or of the bytes of addresses, as numbers."""
    rows, words = indices(column)
    told = words.to_numpy(zero_copy_only=False).tolist()
    return Codes(rows, len(told) + 1, np.array([0, *numbers.of(told)], dtype=np.int64), told)


def indices(column: Any) -> tuple[Words, Any]:
    """Return which value of a dictionary each row has, from 1 on, 0 = null; and the dictionary."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    told = column.indices.fill_null(-1) if column.null_count else column.indices
    rows = told.to_numpy(zero_copy_only=False).astype(np.int64)
    rows += 1
    return rows, column.dictionary


def number_codes(column: Any, most: int) -> Codes:
    """Return a column of numbers from 0 to `most` as they are."""
    rows = column.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return Codes(rows, most + 2)


def nothing(rows: int) -> Codes:
    """Return a column that has no value in any row."""
    return Codes(np.zeros(rows, dtype=np.int64), 1)


def packed(values: Words) -> Codes:
    """Return numbers of any size, that mean the same in any batch, as few small ones."""
    if len(values) and values.min() == values.max():
        return Codes(np.zeros(len(values), dtype=np.int64), 1, values[:1])
    found = pa.array(values).dictionary_encode()
    return Codes(found.indices.to_numpy().astype(np.int64), len(found.dictionary), found.dictionary.to_numpy())


class Questions:
    """Rows by what is asked of them."""

    def __init__(self, rows: int) -> None:
        self._codes: Words = np.zeros(rows, dtype=np.int64)
        self._size = 1
        self._told: list[Codes] = []

    def by(self, codes: Codes) -> None:
        """Tell rows apart by a column. Each batch is to be told apart by the same columns in the same order."""
        self._told.append(codes)
        if codes.size == 1 or not len(self._codes) or (codes.size == 2 and codes.rows.min() == codes.rows.max()):
            return
        if self._size * codes.size >= DENSE:
            self._densify()
        self._codes = self._codes * codes.size + codes.rows if self._size > 1 else codes.rows
        self._size *= codes.size

    def also(self, codes: Codes) -> None:
        """Tell questions of other batches apart by what follows, in this batch, from columns that were given."""
        self._told.append(codes)

    def _densify(self) -> None:
        found = packed(self._codes)
        self._codes, self._size = found.rows, found.size

    def distinct(self) -> tuple[Words, Words]:
        """Return the first row of each question, and the question of each row."""
        self._densify()
        first = np.zeros(self._size if len(self._codes) else 0, dtype=np.int64)
        first[self._codes[::-1]] = np.arange(len(self._codes), dtype=np.int64)[::-1]
        return first, self._codes

    def keys(self, rows: Words, factors: Hashed) -> Hashed:
        """Return (n, 2): for each of some rows what tells its question from all others of any batch.

        Args: factors: (k, 2) of Memory, of which each column takes one row.
        """
        found = np.zeros((len(rows), 2), dtype=np.uint64, order="F")
        for place, one in enumerate(self._told):
            if one.size == 1 and one.meaning is None:
                continue
            mine = one.rows[rows]
            meant = (mine if one.meaning is None else one.meaning[mine]).view(np.uint64)
            for half in range(2):
                found[:, half] += meant * factors[place, half]
        return found


class Memory:
    """Remembers questions by 128 bits of a hash that nobody can know beforehand: 0, 1, 2, … as they come."""

    def __init__(self) -> None:
        drawn = np.frombuffer(os.urandom(16 * COLUMNS_MOST), dtype=np.uint64).reshape(-1, 2)
        # Odd: what differs in one column alone always differs.
        self.factors: Hashed = drawn | np.uint64(1)
        self._keys: Hashed = np.empty((0, 2), dtype=np.uint64)
        self._order: Words = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Hashed) -> Words:
        """Return the number of each key (n, 2), -1 for those not known."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if len(self._keys):
            at = np.minimum(self._keys[:, 0].searchsorted(keys[:, 0]), len(self._keys) - 1)
            # Where two share the first half the second is never found, and asked each time: slower, not wrong.
            same = (self._keys[at] == keys).all(axis=1)
            found[same] = self._order[at[same]]
        return found

    def add(self, keys: Hashed) -> None:
        """Number keys that are not known, each given once."""
        order = np.concatenate([self._order, np.arange(len(self), len(self) + len(keys))])
        both = np.concatenate([self._keys, keys])
        place = np.argsort(both[:, 0], kind="stable")
        self._keys, self._order = np.asfortranarray(both[place]), order[place]

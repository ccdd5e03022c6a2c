"""Which rows of a batch are one question: verdicts are a join over distinct questions, not over flows.

A question is what rows have in common in some columns. In a batch it is a small number; between batches it is told by
numbers that mean the same value in every batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whowas.arrays import Hashed, Words

# Numbers stay below this, so that what is multiplied next still fits.
DENSE = 1 << 62


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

    def keys(self, rows: Words) -> Words:
        """Return (n, k): for each of some rows what tells its question from all others of any batch."""
        found = np.empty((len(rows), len(self._told)), dtype=np.int64)
        for place, one in enumerate(self._told):
            mine = one.rows[rows]
            found[:, place] = mine if one.meaning is None else one.meaning[mine]
        return found


class Memory:
    """Remembers keys (n, k) of int64: 0, 1, 2, … as they come."""

    def __init__(self) -> None:
        self._keys: Words = np.empty((0, 0), dtype=np.int64)
        self._factors: Hashed = np.empty(0, dtype=np.uint64)
        self._hashes: Hashed = np.empty(0, dtype=np.uint64)
        self._order: Words = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Words) -> Words:
        """Return the number of each key, -1 for those not known."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if len(self._keys):
            hashes = self._hashed(keys)
            at = np.minimum(self._hashes.searchsorted(hashes), len(self._hashes) - 1)
            near = np.flatnonzero(self._hashes[at] == hashes)
            number = self._order[at[near]]
            # Where two keys had one hash the second is not found, and is asked again: slower, not wrong.
            same = (self._keys[number] == keys[near]).all(axis=1)
            found[near[same]] = number[same]
        return found

    def add(self, keys: Words) -> None:
        """Number keys that are not known, each given once."""
        if not len(self._keys):
            self._keys = keys[:0]
            self._factors = np.random.default_rng().integers(1, 1 << 63, keys.shape[1], dtype=np.uint64) * 2 + 1
        self._keys = np.concatenate([self._keys, keys])
        hashes = self._hashed(self._keys)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def _hashed(self, keys: Words) -> Hashed:
        found: Hashed = keys.view(np.uint64) @ self._factors
        return found

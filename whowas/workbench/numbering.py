"""Numbers for words, lists and rows: equal ones have one number, so that all that follows handles integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whowas.arrays import Flags, Indices, Words
from whowas.workbench import summing_kernels as kernels

NONE = kernels.MOST


class Lists:
    """Lists of codes, numbered as they come."""

    def __init__(self) -> None:
        self.known = 0
        self._kept = np.zeros(1 << 12, np.int32)
        self._starts = np.zeros(1 << 10, np.int64)
        self._table = np.full(1 << 11, -1, np.int32)

    def number(self, codes: Indices, offsets: Words) -> Indices:
        """Number lists: codes[offsets[i]:offsets[i + 1]]."""
        self._make_room(len(codes), len(offsets) - 1)
        found = np.empty(len(offsets) - 1, np.int32)
        self.known = kernels.number(codes, offsets, self._kept, self._starts, self._table, self.known, found)
        return found

    def rows(self, *columns: Indices) -> Indices:
        """Number rows of as many columns each time."""
        codes = np.empty((len(columns[0]), len(columns)), np.int32)
        for place, column in enumerate(columns):
            codes[:, place] = column
        return self.number(codes.reshape(-1), np.arange(len(codes) + 1, dtype=np.int64) * len(columns))

    def listed(self, first: int, width: int) -> Indices:
        """Known rows from one on: (rows, width)."""
        kept = self._kept[self._starts[first] : self._starts[self.known]]
        return kept.reshape(-1, width)

    def parts(self) -> tuple[Indices, Words]:
        """All known lists: codes and offsets."""
        return self._kept[: self._starts[self.known]], self._starts[: self.known + 1]

    def _make_room(self, codes: int, lists: int) -> None:
        self._kept = _wider(self._kept, int(self._starts[self.known]) + codes)
        self._starts = _wider(self._starts, self.known + lists + 1)
        if 2 * (self.known + lists) > len(self._table):
            self._table = np.full(1 << (4 * (self.known + lists)).bit_length(), -1, np.int32)
            kernels.refill(self._kept, self._starts, self._table, self.known)


def _wider(array: Any, wanted: int) -> Any:
    if wanted <= len(array):
        return array
    wider = np.zeros(max(wanted, 2 * len(array)), array.dtype)
    wider[: len(array)] = array
    return wider


class WordList:
    """Words, numbered from 1; 0 is none."""

    def __init__(self) -> None:
        self.words: list[Any] = [None]
        self._places: dict[Any, int] = {}

    def code(self, word: Any) -> int:
        """The number of one word."""
        if word is None:
            return 0
        place = self._places.get(word)
        if place is None:
            place = self._places[word] = len(self.words)
            self.words.append(word)
        return place

    def codes(self, column: Any) -> Indices:
        """The numbers of an Arrow array of words."""
        if column.null_count == len(column):
            return np.zeros(len(column), np.int32)
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        words = column.dictionary.to_pylist()
        codes = list(map(self._places.get, words))
        if None in codes:
            codes = list(map(self.code, words))
        table = np.array([0, *codes], np.int32)
        return table[indices(column) + 1]

    def taken(self, codes: Indices) -> Any:
        """The words of numbers, as Arrow has them."""
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(self.words, pa.string()))


def indices(column: Any) -> Indices:
    """Indices of a dictionary array, -1 where there is none."""
    found = column.indices
    told: Indices = (pc.fill_null(found, -1) if found.null_count else found).to_numpy(zero_copy_only=False)
    return told


class Sums:
    """Flows, bytes, packets, first and last start, by number."""

    def __init__(self) -> None:
        self.known = 0
        self._sums = [np.zeros(1 << 10, np.int64) for _ in range(5)]

    def add(self, at: Indices, known: int, counted: list[Words], there: Flags) -> None:
        """Add by number. counted: flows, bytes, packets, first, last. there: does a row tell a start?"""
        while known > len(self._sums[0]):
            self._sums = [_wider(one, known) for one in self._sums]
        self._sums[3][self.known : known] = NONE
        self._sums[4][self.known : known] = -NONE
        self.known = known
        for sums, values in zip(self._sums[:3], counted[:3], strict=True):
            kernels.add(at, values, sums)
        kernels.bounds(at, counted[3], counted[4], there, self._sums[3], self._sums[4])

    def parts(self) -> list[Words]:
        """flows, bytes, packets, first, last; first NONE where nothing told a start."""
        return [one[: self.known] for one in self._sums]

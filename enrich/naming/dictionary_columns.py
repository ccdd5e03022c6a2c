"""Dictionary columns whose words are remembered from batch to batch."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pyarrow as pa

from whowas.arrays import Indices

# With more words than so many for each that is meant, to sort the few is quicker than to mark them among all.
SPARSE = 16


class Pointers:
    """Which of m answers each of n rows has. Validity bitmaps are computed once for equal nulls.

    Args: rows: (n,) int32.
    """

    def __init__(self, rows: Indices) -> None:
        self._rows = pa.array(rows)
        self._validities: dict[bytes, Any] = {}

    def taken(self, values: Indices) -> Any:
        """Return an Arrow array of the value of each row. Args: values: (m,) int32, -1 = null."""
        # A single question comes without it, which takes longer to import than to answer.
        import pyarrow.compute as pc

        missing = values < 0
        if not missing.any():
            return pc.take(pa.array(values), self._rows, boundscheck=False)
        key = missing.tobytes()
        if key not in self._validities:
            there = pc.take(pa.array(~missing), self._rows, boundscheck=False)
            self._validities[key] = there.buffers()[1]
        found = pc.take(pa.array(np.maximum(values, 0)), self._rows, boundscheck=False)
        return pa.Array.from_buffers(pa.int32(), len(found), [self._validities[key], found.buffers()[1]])


class Remembered:
    """Every word of a column so far, by number. Words of a batch become a dictionary without making them again.

    Args: kind: Arrow type of a word: text, or a map or list of texts, given as tuples.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._numbers: dict[Hashable, int] = {}
        self._fresh: list[Any] = []
        self._parts: list[Any] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, word: Any) -> int:
        """Return the number of a word; -1 for None."""
        if word is None:
            return -1
        key = tuple(word) if isinstance(word, list) else word
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self._numbers)
            self._fresh.append(word)
        return found

    def column(self, numbers: Indices, rows: Pointers) -> Any:
        """Return a dictionary array. Args: numbers: (m,) of words, -1 = null. rows: which of these each row has."""
        used, local = marked(numbers, len(self._numbers))
        return pa.DictionaryArray.from_arrays(rows.taken(local), self._words(used), safe=False)

    def _words(self, numbers: Any) -> Any:
        if self._fresh:
            self._add(pa.array(self._fresh, self._kind))
            self._fresh = []
        if not len(numbers):
            return pa.array([], self._kind)
        taken = pa.array(numbers)
        if len(self._parts) == 1:
            return self._parts[0].take(taken)
        return pa.chunked_array(self._parts).take(taken).combine_chunks()

    def _add(self, part: Any) -> None:
        """Keep parts few, each twice as long as the next: a word is copied some times in all, not at each batch."""
        self._parts.append(part)
        while len(self._parts) > 1 and len(self._parts[-2]) < 2 * len(self._parts[-1]):
            last = self._parts.pop()
            self._parts[-1] = pa.concat_arrays([self._parts[-1], last])


def marked(numbers: Indices, words: int) -> tuple[Any, Indices]:
    """Return which numbers (below `words`) there are, in order, and the place of each among them; -1 stays."""
    if words > SPARSE * len(numbers):
        used, local = np.unique(numbers, return_inverse=True)
        empty = int(len(used) > 0 and used[0] < 0)
        return used[empty:], (local.reshape(-1) - empty).astype(np.int32)
    marks = np.zeros(words + 1, dtype=bool)
    marks[numbers] = True
    marks[-1] = False
    place = (np.cumsum(marks) - 1).astype(np.int32)
    place[-1] = -1
    return np.flatnonzero(marks), place[numbers]


def pointed(indices: Indices, words: Any) -> Any:
    """Return a dictionary array of rows that point at words; -1 = null."""
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), words)

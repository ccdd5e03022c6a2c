"""Which rows of a batch are one question: verdicts are a join over distinct questions, not over flows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Codes = npt.NDArray[np.int64]
# Numbers stay below this, so that what is multiplied next still fits.
DENSE = 1 << 40


def codes_of(column: Any) -> tuple[Codes, int]:
    """Return a number for each row, equal where values are; 0 is null. And how many there are at most."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    found = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return found, len(column.dictionary) + 1


class Questions:
    """Rows by what is asked of them."""

    def __init__(self, rows: int) -> None:
        self._codes: Codes = np.zeros(rows, dtype=np.int64)
        self._size = 1

    def by(self, codes: Codes, size: int) -> None:
        """Tell rows apart by numbers from 0 to size - 1."""
        if self._size * size >= DENSE:
            self._densify()
        self._codes = self._codes * size + codes
        self._size *= size

    def by_column(self, column: Any) -> None:
        """Tell rows apart by a column."""
        self.by(*codes_of(column))

    def _densify(self) -> None:
        encoded = pa.array(self._codes).dictionary_encode()
        self._codes = encoded.indices.to_numpy().astype(np.int64)
        self._size = len(encoded.dictionary)

    def distinct(self) -> tuple[Codes, Codes]:
        """Return the first row of each question, and the question of each row."""
        self._densify()
        first = np.zeros(self._size, dtype=np.int64)
        first[self._codes[::-1]] = np.arange(len(self._codes), dtype=np.int64)[::-1]
        return first, self._codes

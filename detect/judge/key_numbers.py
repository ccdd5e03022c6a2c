"""Maps 64-bit keys to small numbers that index arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detect.judge import group_kernels
from whowas.arrays import Words


class Numbering:
    """Numbers of keys in the order in which they came. Args: most: how many there may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.keys = np.zeros(0, np.int64)
        self._table_keys = self._table_numbers = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, keys: Words) -> Words:
        """Return the numbers of keys, new ones for new keys; -1 where there is no room."""
        known = len(self)
        if 2 * (known + len(keys)) > len(self._table_keys):
            self._enter(known + len(keys))
        found = np.empty(len(keys), np.int64)
        now = group_kernels.number(keys, self._table_keys, self._table_numbers, known, self._most, found)
        if now > known:
            fresh, first = np.unique(found, return_index=True)
            self.keys = np.concatenate((self.keys, keys[first[fresh >= known]]))
        return found

    def _enter(self, room: int) -> None:
        """Make the table anew, with room for so many keys and as many again."""
        size, known = power_of_two(4 * room), len(self)
        self._table_keys, self._table_numbers = np.zeros(size, np.int64), np.full(size, -1, np.int64)
        group_kernels.number(self.keys, self._table_keys, self._table_numbers, 0, known, np.empty(known, np.int64))

    def keep(self, stay: npt.NDArray[np.bool_]) -> None:
        """Forget the other keys; those that stay are numbered anew, in their order."""
        self.keys = self.keys[stay]
        self._enter(len(self))


def power_of_two(number: int) -> int:
    """Return the least that is not below `number`, and 16 at least."""
    return 1 << max(4, (number - 1).bit_length())

"""Interns values that repeat from batch to batch."""

from __future__ import annotations

import os

import numpy as np

from enrich.history.lookup import EMPTY, find_address, mixed
from whowas.arrays import Indices, Words
from whowas.kernels import kernel


class Interner:
    """Numbers keys of two 64-bit words in the order in which they come: 0, 1, 2, …"""

    def __init__(self) -> None:
        # Keys can be addresses that somebody chose: nobody may know which of them collide.
        self._secret = np.frombuffer(os.urandom(16), dtype=np.int64)
        self.clear()

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget all."""
        self._size = 0
        self._keys = np.empty((1 << 10, 2), dtype=np.int64)
        self._table = np.full(1 << 12, EMPTY, dtype=np.int32)

    def find(self, high: Words, low: Words) -> Indices:
        """Return the number of each key, -1 for those not known. Args: high, low: (n,) int64, its words."""
        found = np.empty(len(high), dtype=np.int32)
        # Where kernels run as plain Python the hash wraps around, as it is meant to.
        with np.errstate(over="ignore"):
            _find(high, low, self._secret, self._keys, self._table, found)
        return found

    def add(self, high: Words, low: Words) -> None:
        """Number keys that are not known, each given once. Args: high, low: (n,) int64."""
        keys = np.stack([high, low], axis=1)
        size = self._size + len(keys)
        if size > len(self._keys):
            self._keys = np.concatenate([self._keys, np.empty((size, 2), dtype=np.int64)])
        self._keys[self._size : size] = keys ^ self._secret
        begin = self._size
        if 2 * size > len(self._table):
            self._table = np.full(1 << (4 * size).bit_length(), EMPTY, dtype=np.int32)
            begin = 0
        with np.errstate(over="ignore"):
            _enter(self._keys, begin, size, self._table)
        self._size = size


@kernel
def _find(high: Words, low: Words, secret: Words, keys: Words, table: Indices, found: Indices) -> None:
    """Fill found."""
    for row in range(len(high)):
        found[row] = find_address(high[row] ^ secret[0], low[row] ^ secret[1], keys, table)


@kernel
def _enter(keys: Words, begin: int, end: int, table: Indices) -> None:
    """Enter keys from begin to end into the table."""
    mask = len(table) - 1
    for row in range(begin, end):
        at = mixed(keys[row, 0], keys[row, 1]) & mask
        while table[at] != EMPTY:
            at = (at + 1) & mask
        table[at] = row

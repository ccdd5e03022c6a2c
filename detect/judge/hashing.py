"""Hashes values to 64 bits, by which batches are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from whowas.arrays import Hashed

REMEMBERED = 1 << 20


NULL_HASH = np.uint64(0x5BD1E9955BD1E995)


_ODD = np.uint64(0x9E3779B97F4A7C15)


def spread(values: Hashed) -> Hashed:
    """Mix 64 bits so that each depends on all (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def joined(first: Hashed, second: Hashed) -> Hashed:
    """Make one hash of two, in this order."""
    return spread(first * _ODD + second)


class Hashes:
    """Texts and their hashes, remembered up to a bound: names come again in every batch."""

    def __init__(self) -> None:
        self._known: dict[str | None, int] = {None: int(NULL_HASH)}

    def of(self, texts: Sequence[str | None]) -> Hashed:
        """Return (n,) hashes."""
        known = self._known
        if len(known) > REMEMBERED:
            self._known = known = {None: int(NULL_HASH)}
        for text in texts:
            if text not in known:
                told = str(text).encode("utf-8", "surrogatepass")
                known[text] = int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big")
        return np.array([known[text] for text in texts], dtype=np.uint64)

"""Pauses that grow with each failure, with jitter."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double, with full jitter, until something goes well."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self._failures = 0

    def healthy(self) -> None:
        """Forget the failures so far."""
        self._failures = 0

    def pause(self) -> float:
        """Return how many seconds to wait after one more failure."""
        longest = min(self._most, self._first * 2 ** min(self._failures, 16))
        self._failures += 1
        return random.uniform(0.0, longest)

"""Pauses that grow with each failure, with jitter."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double until something goes well.

    Args: first, most: seconds, the first and the longest pause. steady: the share of a pause that is not left to
    chance: 0 where many may come back together (full jitter), 1 where nobody else waits.
    """

    def __init__(self, first: float, most: float, steady: float = 0.0) -> None:
        self._first, self._most, self._steady = first, most, steady
        self._failures = 0

    def healthy(self) -> None:
        """Forget the failures so far."""
        self._failures = 0

    def pause(self) -> float:
        """Return how many seconds to wait after one more failure."""
        longest = min(self._most, self._first * 2 ** min(self._failures, 20))
        self._failures += 1
        return random.uniform(self._steady * longest, longest)

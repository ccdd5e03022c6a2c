"""What something was told to be over time, with bounds for when each change came."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from whowas.timestamps import AFTER_ALL

T = TypeVar("T")


@dataclass(slots=True)
class Line(Generic[T]):
    """Values, oldest first, each from some time between `low` and `high` (us) on. A value None: it is not there.

    shown: when it was last seen to be so. version: the newest that was told.
    """

    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    values: list[T | None] = field(default_factory=list)
    shown: int = 0
    version: int = -1

    def add(self, value: T | None, low: int, high: int) -> None:
        """Take in what it was told to be. Times go forward: what comes later was later."""
        if self.high:
            low, high = max(low, self.low[-1]), max(high, self.high[-1])
        self.low.append(min(low, high))
        self.high.append(high)
        self.values.append(value)

    def last(self) -> T | None:
        """Return what it was told to be last, None for nothing."""
        return self.values[-1] if self.values else None

    def within(self, low: int, high: int) -> list[T | None]:
        """Return all it may have been at some time from low to high; [None] where it was never."""
        first = max(bisect_left(self.high, low) - 1, 0)
        last = bisect_right(self.low, high)
        found: list[T | None] = list(self.values[first:last])
        if not self.values or self.high[0] >= low:
            # It may not have been there yet.
            found.insert(0, None)
        return found

    def edges(self) -> Iterator[int]:
        """Yield the times at which what is known of it changes, but for ends of all time."""
        for one in (*self.low, *self.high):
            if 0 < one < AFTER_ALL:
                yield one

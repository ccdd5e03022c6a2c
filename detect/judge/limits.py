"""Bounds what the judge may hold and tell.

What goes beyond is counted under the reason that stands beside each bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MINUTE_US = 60_000_000
DAY_US = 24 * 60 * MINUTE_US


@dataclass(frozen=True)
class Limits:
    """Bounds, with the reasons of Judge.counts.

    alerts_per_minute: of one rule, by the wall clock; None: no limit. What is beyond waits (`rate_limited`).
    update_seconds: a finding that grew is told again after so long, by the wall clock, if it did not double before.
    keep_us: closed findings stay so long in the state, in event time, for what comes late.
    groups: open findings of one rule (`groups_full`). events: that one correlation holds (`events_full`).
    groups_correlated: groups of one correlation (`correlated_groups_full`). values: distinct values remembered for one
    finding (`values_full`). combinations: that one first_seen rule remembers (`first_seen_full`). held_rows: rows of
    batches held whole between two commits, before what is needed of them is packed.
    """

    alerts_per_minute: int | None = None
    update_seconds: float = 600.0
    keep_us: int = DAY_US
    groups: int = 20_000
    events: int = 5_000_000
    groups_correlated: int = 1_000_000
    values: int = 65_536
    combinations: int = 2_000_000
    held_rows: int = 250_000


class AlertRate:
    """How many alerts of each rule may go out: a bucket of a minute's alerts that fills again as time passes."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, rule: str) -> bool:
        """Return whether one more may go out now, and count it."""
        if self._per_minute is None:
            return True
        now = self._clock()
        left, since = self._left.get(rule, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        self._left[rule] = (max(left - 1, 0.0) if left >= 1 else left, now)
        return left >= 1

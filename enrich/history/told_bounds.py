"""The bounds of a hold as they are told: open ones are None, and no hold ends before it begins."""

from __future__ import annotations

from whowas.timestamps import AFTER_ALL, BEFORE_ALL

Told = tuple[int | None, int | None, int | None, int | None]


def told_bounds(low: int, sure: int, end: int, high: int) -> Told:
    """Return start_min, start_max, end_min, end_max in us, None where one is open.

    It began before it ended: no start is told later than the last moment of its end, and no end before its start.
    """
    if low < high:
        sure, end = min(sure, high), max(end, low)
    return (
        None if low <= BEFORE_ALL else low,
        None if sure >= AFTER_ALL - 1 else sure,
        None if end <= BEFORE_ALL else end,
        None if high >= AFTER_ALL - 1 else high,
    )

"""Reads from a store when somebody watched, and when not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from enrich.holds.clock_skew import proven
from enrich.store.encoding import SPANS
from whowas.observation import KubeObject, Observation


def spans_within(database: sqlite3.Connection, names: dict[int, str], low: int, high: int) -> Iterator[Observation]:
    """Yield when somebody was looking and when not, cut to low .. high (us), and how far clocks are off."""
    for cluster, kind, sort, first, last in database.execute(
        "SELECT cluster, kind, gap, low_us, high_us FROM span ORDER BY low_us"
    ):
        start, end = max(first, low), min(last, high)
        if start <= end:
            yield Observation(SPANS[sort], KubeObject(kind=kind), end, end, names[cluster], "", (start, end))
    for cluster, node, proof, *off in database.execute("SELECT * FROM clock"):
        yield proven(names[cluster], node, proof, off[0], off[1])

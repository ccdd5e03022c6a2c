"""Writes and reads when somebody watched, and when not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from enrich.holds.clock_skew import proven
from enrich.holds.time_bounds import long_silence
from enrich.store.encoding import SPANS
from enrich.store.writer_state import RECORDER, ClusterState
from whowas.observation import KubeObject, Observation


class WatchSpans:
    """Writes spans of one source. effects: takes what changed, in words that another store takes."""

    def __init__(self, database: sqlite3.Connection, source: int, effects: list[Observation]) -> None:
        self._database, self._source, self._effects = database, source, effects

    def add(self, known: ClusterState, kind: str, sort: int, span: tuple[int, int]) -> None:
        """Keep a span that somebody tells of. sort: its place in SPANS."""
        # The recorder's own span is source 0: what it says of others in so many words is no part of it.
        entry = (known.row, kind, sort, *span, self._source or -1)
        self._tell(known, kind, sort, span)
        if SPANS[sort] == "WATCHED":
            # A watch that goes on reports the same span again, longer each time.
            longer = self._database.execute(
                "UPDATE span SET high_us = max(high_us, ?5) WHERE (cluster, kind, gap, low_us, source) = "
                "(?1, ?2, ?3, ?4, ?6)",
                entry,
            )
            if longer.rowcount:
                return
        self._database.execute(
            "INSERT INTO span(cluster, kind, gap, low_us, high_us, source) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT "
            "EXISTS(SELECT 1 FROM span WHERE (cluster, kind, gap, low_us, high_us, source) = (?1, ?2, ?3, ?4, ?5, ?6))",
            entry,
        )

    def _tell(self, known: ClusterState, kind: str, sort: int, span: tuple[int, int]) -> None:
        self._effects.append(
            Observation(SPANS[sort], KubeObject(kind=kind), span[1], span[1], known.name, "", span=span)
        )

    def extend(self, known: ClusterState, kind: str, low: int, high: int) -> None:
        """A watch that is resumed goes on where it was: what it missed is told by a GAP, nothing else."""
        if kind not in known.watching:
            found = self._database.execute(
                "SELECT id FROM span WHERE cluster = ? AND kind = ? AND gap = 0 AND source = ?",
                (known.row, kind, RECORDER),
            ).fetchone()
            if found is None:
                made = self._database.execute(
                    "INSERT INTO span(cluster, kind, gap, low_us, high_us, source) VALUES(?, ?, 0, ?, ?, ?)",
                    (known.row, kind, low, high, RECORDER),
                )
                found = (made.lastrowid,)
            known.watching[kind] = int(found[0])
        first, before = self._database.execute(
            "SELECT low_us, high_us FROM span WHERE id = ?", (known.watching[kind],)
        ).fetchone()
        self._tell(known, kind, SPANS.index("WATCHED"), (first, max(before, high)))
        silence = long_silence(before, low)
        if silence is not None:
            self.add(known, kind, SPANS.index("LATE"), silence)
        self._database.execute("UPDATE span SET high_us = max(high_us, ?) WHERE id = ?", (high, known.watching[kind]))


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

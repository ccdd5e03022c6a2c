"""Describes a store: clusters, counts, spans, how far publishing has come."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass, field

from enrich.store.database import opened
from enrich.store.encoding import KINDS
from enrich.store.outbox import open_epoch
from enrich.store.replica import Position, position


@dataclass(frozen=True)
class ClusterFacts:
    """One cluster of a store. Times in us; spans and gaps as (kind, from, to)."""

    name: str
    objects: dict[str, int]
    living: int
    events: int
    watched: list[tuple[str, int, int]] = field(default_factory=list)
    gaps: list[tuple[str, int, int]] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What is in a store."""

    path: str
    version: int
    bytes: int
    events: int
    packed_events: int
    clusters: list[ClusterFacts]
    sources: list[str]
    telling: PublishState | None = None
    replica: Position | None = None


@dataclass(frozen=True)
class PublishState:
    """What of a store goes to a topic. store: its name there. begun_us: when all was told last; None: nothing goes on.

    snapshot: whether all of that is in the outbox, or was. messages: since then. waiting, bytes: what is in the outbox.
    """

    store: str
    begun_us: int | None
    snapshot: bool
    messages: int
    waiting: int
    bytes: int


def facts(path: str) -> Facts:
    """Say what is in a store. Raises: StoreError."""
    with opened(path) as database:
        one = database.execute(
            "SELECT (SELECT count(*) FROM event), (SELECT coalesce(sum(events), 0) FROM block)"
        ).fetchone()
        version = database.execute("PRAGMA user_version").fetchone()[0]
        clusters = [
            _cluster(database, row, name) for row, name in database.execute("SELECT id, name FROM cluster").fetchall()
        ]
        sources = [name for (name,) in database.execute("SELECT name FROM source WHERE digest IS NOT NULL")]
        telling = _telling(database)
    size = sum(os.path.getsize(path + tail) for tail in ("", "-wal") if os.path.exists(path + tail))
    return Facts(path, version, size, one[0] + one[1], one[1], clusters, sources, telling, position(path))


def _telling(database: sqlite3.Connection) -> PublishState | None:
    run = database.execute
    # A store of the version before has no such table.
    if not run("SELECT 1 FROM sqlite_master WHERE name = 'publishing'").fetchone():
        return None
    if not run("SELECT 1 FROM publishing").fetchone():
        return None
    now, store = open_epoch(database), run("SELECT store FROM identity").fetchone()[0]
    waiting = run("SELECT count(*), coalesce(sum(length(value)), 0) FROM outbox").fetchone()
    if now is None:
        return PublishState(store, None, False, 0, *waiting)
    return PublishState(store, now.epoch, now.whole, now.last, *waiting)


def _cluster(database: sqlite3.Connection, row: int, name: str) -> ClusterFacts:
    kinds = database.execute("SELECT kind, count(*) FROM object WHERE cluster = ? GROUP BY kind", (row,)).fetchall()
    living = database.execute(
        "SELECT count(*) FROM object WHERE cluster = ? AND block IS NULL AND gone_us IS NULL", (row,)
    ).fetchone()[0]
    events = database.execute(
        "SELECT (SELECT count(*) FROM event JOIN object ON object.id = event.object WHERE cluster = ?) + "
        "(SELECT coalesce(sum(events), 0) FROM block WHERE cluster = ?)",
        (row, row),
    ).fetchone()[0]
    spans = database.execute(
        "SELECT kind, low_us, high_us, gap FROM span WHERE cluster = ? ORDER BY low_us", (row,)
    ).fetchall()
    cursors = dict(database.execute("SELECT kind, version FROM cursor WHERE cluster = ?", (row,)))
    return ClusterFacts(
        name,
        {KINDS[kind]: count for kind, count in kinds},
        living,
        events,
        [(kind, low, high) for kind, low, high, sort in spans if sort == 0],
        [(kind, low, high) for kind, low, high, sort in spans if sort == 1],
        cursors,
    )

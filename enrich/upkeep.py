"""A store looked at from outside: what is in it, whether it is sound, what can leave it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from enrich.evidence import KINDS, EvidenceStore
from enrich.evidence_file import in_words
from enrich.packing import from_blob, pack
from enrich.stored import opened
from enrich.tables import Batch
from whowas.observation import KubeObject, Observation


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
    size = sum(os.path.getsize(path + tail) for tail in ("", "-wal") if os.path.exists(path + tail))
    return Facts(path, version, size, one[0] + one[1], one[1], clusters, sources)


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
        [(kind, low, high) for kind, low, high, gap in spans if not gap],
        [(kind, low, high) for kind, low, high, gap in spans if gap],
        cursors,
    )


def problems(path: str) -> Iterator[str]:
    """Yield what is not sound in a store: nothing when all is well. Raises: StoreError when it cannot be read."""
    with opened(path) as database:
        for (word,) in database.execute("PRAGMA integrity_check"):
            if word != "ok":
                yield f"the database: {word}"
        counted: dict[int, int] = dict(
            database.execute("SELECT block, count(*) FROM object WHERE block IS NOT NULL GROUP BY block")
        )
        dropped: dict[int, int] = dict(database.execute("SELECT block, count(*) FROM dropped GROUP BY block"))
        blocks = database.execute("SELECT id, objects, events, checksum, evidence, derived FROM block")
        for block, objects, events, check, evidence, derived in blocks:
            why = _block_problem(events, check, evidence, derived)
            if why:
                yield f"block {block}: {why}"
            if counted.pop(block, 0) + dropped.get(block, 0) != objects:
                yield f"block {block}: some of its {objects} objects are missing"
        for block in counted:
            yield f"block {block}: it is missing, and objects point to it"
        orphans = database.execute(
            "SELECT count(*) FROM event WHERE object NOT IN (SELECT id FROM object WHERE block IS NULL)"
        ).fetchone()[0]
        if orphans:
            yield f"{orphans} events belong to no object"


def _block_problem(events: int, check: bytes, evidence: bytes, derived: bytes) -> str:
    if hashlib.sha256(evidence + derived).digest() != check:
        return "its checksum does not fit"
    try:
        found = len(from_blob(evidence))
        Batch.from_bytes(derived)
    except Exception as error:  # noqa: BLE001 - whatever the decoders say, the block cannot be read
        return f"it cannot be read: {error}"
    return "" if found == events else f"it has {found} events instead of {events}"


def spans_within(database: sqlite3.Connection, names: dict[int, str], low: int, high: int) -> Iterator[Observation]:
    """Yield when somebody was looking and when not, cut to low .. high (us)."""
    for cluster, kind, gap, first, last in database.execute(
        "SELECT cluster, kind, gap, low_us, high_us FROM span ORDER BY low_us"
    ):
        start, end = max(first, low), min(last, high)
        if start <= end:
            verb = "GAP" if gap else "WATCHED"
            yield Observation(verb, KubeObject(kind=kind), end, end, names[cluster], "", (start, end))


def compact(path: str, progress: Callable[[int], None] | None = None) -> int:
    """Pack what is over and give room back. Returns: objects packed. Raises: StoreError."""
    packed = 0
    with EvidenceStore(path, write=True) as store, in_words(path, "compact"):
        while count := pack(store.database, budget_seconds=1.0):
            packed += count
            if progress is not None:
                progress(packed)
        store.database.execute("VACUUM")
        store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return packed


def prune(path: str, before_us: int) -> int:
    """Forget what was over before a time. What still lives keeps all its evidence. Returns: objects forgotten.

    Of the time before nothing is claimed any more: it counts as not watched. Raises: StoreError.
    """
    compact(path)
    with EvidenceStore(path, write=True) as store, in_words(path, "prune"):
        database = store.database
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(
                "CREATE TEMP TABLE leaving AS SELECT id FROM object WHERE "
                "block IN (SELECT id FROM block WHERE high_us < ?1) OR (gone_us < ?1 AND block IS NULL)",
                (before_us,),
            )
            count = database.execute("SELECT count(*) FROM leaving").fetchone()[0]
            database.execute("DELETE FROM address WHERE object IN (SELECT id FROM leaving)")
            database.execute("DELETE FROM event WHERE object IN (SELECT id FROM leaving)")
            database.execute("DELETE FROM object WHERE id IN (SELECT id FROM leaving)")
            database.execute("DROP TABLE leaving")
            database.execute(
                "DELETE FROM dropped WHERE block IN (SELECT id FROM block WHERE high_us < ?)", (before_us,)
            )
            database.execute("DELETE FROM block WHERE high_us < ?", (before_us,))
            database.execute("DELETE FROM span WHERE high_us < ?", (before_us,))
            database.execute("UPDATE OR REPLACE span SET low_us = ?1 WHERE low_us < ?1", (before_us,))
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("PRAGMA incremental_vacuum")
    return int(count)

"""Packing: what is said of objects that are gone leaves the rows and goes, compressed, into blocks.

A block holds the evidence of some hundred objects, as it was, and beside it what was derived of their pods, so
that a history of a million pods is loaded without deriving it again. More evidence of one takes it out again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import zstandard

from enrich.evidence_file import now_us

# Raise it when the derivation of pods' own bounds changes: older blocks are then derived anew when they are read.
RULES = 1
# Services and Nodes: few, and what is derived of them is not kept in blocks.
STAYING = (2, 3)
OBJECTS_MOST = 2048
HOUR = 3_600_000_000


class Stored(NamedTuple):
    """One event as the file has it. body None: as the event of the object before said."""

    id: int
    object: int
    verb: int
    received_us: int | None
    not_before_us: int
    version: int | None
    source: int | None
    body: bytes | None


COLUMNS = "id, object, verb, received_us, not_before_us, version, source, body"
OF_OBJECT = f"SELECT {COLUMNS} FROM event WHERE object = ? ORDER BY id"  # noqa: S608 - words of ours
ALL_EVENTS = f"SELECT {COLUMNS} FROM event ORDER BY object, id"  # noqa: S608
NEWER = f"SELECT {COLUMNS} FROM event WHERE id > ? ORDER BY object, id"  # noqa: S608
PUT_BACK = f"INSERT INTO event({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
DECODE = msgspec.msgpack.Decoder(list[Stored])


def to_blob(events: list[Stored]) -> bytes:
    """Return events as one compressed blob."""
    return zstandard.ZstdCompressor(level=9).compress(msgspec.msgpack.encode(events))


def from_blob(blob: bytes) -> list[Stored]:
    """Return the events of a blob."""
    return DECODE.decode(zstandard.ZstdDecompressor().decompress(blob))


def events_of(database: sqlite3.Connection, rows: Iterable[int]) -> Iterator[Stored]:
    """Yield the unpacked events of objects, object by object."""
    for row in rows:
        found = database.execute(OF_OBJECT, (row,))
        yield from map(Stored._make, found)


def pack(database: sqlite3.Connection, *, settled_us: int = HOUR, budget_seconds: float = 1.0) -> int:
    """Pack what has been gone for `settled_us`, for about so long. Returns: how many objects.

    One transaction a block: whoever reads beside sees every event either as row or in its block.
    """
    until = time.monotonic() + budget_seconds
    packed = 0
    clusters = database.execute("SELECT id FROM cluster").fetchall()
    for (cluster,) in clusters:
        newest = database.execute("SELECT max(high_us) FROM span WHERE cluster = ? AND gap = 0", (cluster,)).fetchone()[
            0
        ]
        horizon = (newest if newest is not None else now_us()) - settled_us
        while time.monotonic() < until:
            rows = database.execute(
                "SELECT id, gone_us FROM object WHERE block IS NULL AND gone_us <= ? AND cluster = ? "
                "AND kind NOT IN (?, ?) ORDER BY gone_us LIMIT ?",
                (horizon, cluster, *STAYING, OBJECTS_MOST),
            ).fetchall()
            if not rows:
                break
            _block(database, cluster, rows)
            packed += len(rows)
    return packed


def _block(database: sqlite3.Connection, cluster: int, rows: list[tuple[int, int]]) -> None:
    """Make one block of objects: (row, gone_us)."""
    from enrich.evidence_read import derive_rows

    rows.sort()
    numbers = [row for row, _ in rows]
    events = list(events_of(database, numbers))
    derived = derive_rows(database, cluster, numbers, events).to_bytes()
    evidence = to_blob(events)
    last = max(gone for _, gone in rows)
    moments = [one.received_us or one.not_before_us for one in events] or [rows[0][1]]
    check = hashlib.sha256(evidence + derived).digest()
    database.execute("BEGIN IMMEDIATE")
    try:
        made = database.execute(
            "INSERT INTO block(cluster, objects, events, low_us, high_us, rules, checksum, evidence, derived) "
            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                cluster,
                len(rows),
                len(events),
                min(moments),
                last,
                RULES,
                check,
                evidence,
                derived,
            ),
        )
        database.executemany("UPDATE object SET block = ? WHERE id = ?", [(made.lastrowid, row) for row in numbers])
        database.executemany("DELETE FROM event WHERE object = ?", [(row,) for row in numbers])
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def unpack(database: sqlite3.Connection, row: int, uid: str, block: int) -> None:
    """Put one object's events back into rows: more is said of it. Called within a transaction."""
    blob = database.execute("SELECT evidence FROM block WHERE id = ?", (block,)).fetchone()[0]
    mine = [one for one in from_blob(blob) if one.object == row]
    database.executemany(PUT_BACK, mine)
    database.execute("UPDATE object SET block = NULL WHERE id = ?", (row,))
    database.execute("INSERT OR IGNORE INTO dropped VALUES(?, ?)", (block, uid))

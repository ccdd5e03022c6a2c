"""Packing: what is said of objects that are gone leaves the rows and goes, compressed, into blocks.

A block holds the evidence of some hundred objects, as it was, and beside it what was derived of their pods, so
that a history of a million pods is loaded without deriving it again. More evidence of one takes it out again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec
import zstandard

from enrich.store.database import now_us, rewritten, transaction
from whowas.errors import StoreError

# Raise it when the derivation of pods' own bounds changes: older blocks are then derived anew when they are read.
RULES = 1
# Services and Nodes: few, and what is derived of them is not kept in blocks.
STAYING = (2, 3)
OBJECTS_MOST = 2048
BYTES_MOST = 32 << 20
HOUR = 3_600_000_000
T = TypeVar("T")


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
    for cluster, newest in database.execute(
        "SELECT id, (SELECT max(high_us) FROM span WHERE cluster = cluster.id AND gap = 0) FROM cluster"
    ).fetchall():
        horizon = (newest if newest is not None else now_us()) - settled_us
        while time.monotonic() < until:
            rows = database.execute(
                "SELECT id, gone_us FROM object WHERE block IS NULL AND gone_us <= ? AND cluster = ? "
                "AND kind NOT IN (?, ?) ORDER BY gone_us LIMIT ?",
                (horizon, cluster, *STAYING, OBJECTS_MOST),
            ).fetchall()
            if not rows:
                break
            packed += _block(database, cluster, rows)
    return packed


def _block(database: sqlite3.Connection, cluster: int, rows: list[tuple[int, int]]) -> int:
    """Make one block of objects: (row, gone_us); of as many as fit into memory. Returns: how many."""
    from enrich.store.reader import derive_rows

    events: list[Stored] = []
    weight, taken = 0, 0
    for row, _ in rows:
        mine = list(events_of(database, [row]))
        events += mine
        weight, taken = weight + sum(len(one.body or b"") for one in mine), taken + 1
        if weight > BYTES_MOST:
            break
    rows = rows[:taken]
    numbers = [row for row, _ in rows]
    derived = derive_rows(database, cluster, numbers, events).to_bytes()
    evidence = to_blob(events)
    moments = [one.received_us or one.not_before_us for one in events] or [rows[0][1]]
    check = check_of(evidence) + check_of(derived)
    told = (cluster, taken, len(events), min(moments), rows[-1][1], RULES, check, evidence, derived)
    with transaction(database):
        made = database.execute(
            "INSERT INTO block(cluster, objects, events, low_us, high_us, rules, checksum, evidence, derived) "
            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            told,
        )
        database.executemany("UPDATE object SET block = ? WHERE id = ?", [(made.lastrowid, row) for row in numbers])
        database.executemany("DELETE FROM event WHERE object = ?", [(row,) for row in numbers])
    return taken


def check_of(blob: bytes) -> bytes:
    """Return the checksum of a part of a block; a block has that of its evidence, then that of what was derived."""
    return hashlib.sha256(blob).digest()


def evidence_in(database: sqlite3.Connection, block: int) -> list[Stored]:
    """Return the events of a block. Raises: StoreError when it is damaged."""
    found = database.execute("SELECT checksum, evidence FROM block WHERE id = ?", (block,)).fetchone()
    return read_block(block, from_blob, found[1], found[0][:32]) if found else []


def read_block(block: int, read: Callable[[bytes], T], blob: bytes, check: bytes) -> T:
    """Read a part of a block. Raises: StoreError when it is damaged: half-true evidence makes false names."""
    if check_of(blob) != check:
        raise StoreError(
            f"cannot read block {block} of the history: it is damaged; see 'whowas history verify', restore a copy"
        )
    return read(blob)


def unpack(database: sqlite3.Connection, row: int, uid: str, block: int) -> None:
    """Put one object's events back into rows: more is said of it. Called within a transaction."""
    mine = [one for one in evidence_in(database, block) if one.object == row]
    database.executemany(PUT_BACK, mine)
    database.execute("UPDATE object SET block = NULL WHERE id = ?", (row,))
    database.execute("INSERT OR IGNORE INTO dropped VALUES(?, ?)", (block, uid))
    rewritten(database)

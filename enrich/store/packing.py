"""Packs events of objects that are gone into compressed blocks.

A block holds the evidence of some hundred objects, as it was, and beside it what was derived of their pods, so
that a history of a million pods is loaded without deriving it again. More evidence of one takes it out again.
"""

from __future__ import annotations

import sqlite3
import time

from enrich.store.blocks import RULES, Stored, check_of, events_of, to_blob
from enrich.store.database import now_us
from whowas.sqlite_file import transaction

# Services and Nodes: few, and what is derived of them is not kept in blocks.
STAYING = (2, 3)
OBJECTS_MOST = 2048
BYTES_MOST = 32 << 20
HOUR = 3_600_000_000


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


def renew(database: sqlite3.Connection) -> int:
    """Derive anew what older rules derived, so that it need not be whenever the store is read. Returns: blocks."""
    from enrich.store.reader import StoreReader

    reading = StoreReader(database)
    older = database.execute("SELECT id, cluster, checksum FROM block WHERE rules <> ?", (RULES,)).fetchall()
    for block, cluster, check in older:
        derived = reading.derived_anew(cluster, block).to_bytes()
        with transaction(database):
            database.execute(
                "UPDATE block SET rules = ?, checksum = ?, derived = ? WHERE id = ?",
                (RULES, check[:32] + check_of(derived), derived, block),
            )
    return len(older)


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

"""Checks a store: blocks, checksums, events that make no sense, and that all of it can be loaded."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from enrich.holds.pod_tables import Batch
from enrich.store.blocks import check_of, from_blob
from enrich.store.database import HISTORY, opened
from enrich.store.encoding import MEMBERS, VERBS
from enrich.store.reader import DECODE, StoreReader
from whowas.errors import StoreDamagedError
from whowas.timestamps import AFTER_ALL, BEFORE_ALL


def problems(path: str) -> Iterator[str]:
    """Yield what is not sound in a store: nothing when all is well. Raises: StoreError when it is no store."""
    try:
        with opened(path) as database:
            # What one check meets is no reason to leave the others out.
            found = [one for check in (_odd_pages, _odd_blocks, _odd_events) for one in _told(path, check, database)]
            yield from found or _told(path, _unreadable, database)
    except StoreDamagedError as error:
        yield f"the database: {error.__cause__ or error}"


def _told(path: str, check: Callable[[sqlite3.Connection], Iterator[str]], database: sqlite3.Connection) -> list[str]:
    """Return what a check says, and that it came to no end."""
    found: list[str] = []
    try:
        with HISTORY.make_sense(path, "read"):
            for one in check(database):
                found.append(one)
    except StoreDamagedError as error:
        found.append(f"the database: {error.__cause__ or error}".partition("\n")[0])
    return found


def _odd_pages(database: sqlite3.Connection) -> Iterator[str]:
    for (word,) in database.execute("PRAGMA integrity_check"):
        if word != "ok":
            yield f"the database: {word}"


def _unreadable(database: sqlite3.Connection) -> Iterator[str]:
    """Read all of it as those who name flows do, and as an export does: whatever they refuse is not sound."""
    reading = StoreReader(database)
    for row in reading.tracks():
        reading.batches(row)
    for _ in reading.observations(BEFORE_ALL, AFTER_ALL):
        pass
    times = database.execute("SELECT times FROM rewritten").fetchall()
    if [type(one) for (one,) in times] != [int]:
        yield "how often it was rewritten is not known"


def _odd_blocks(database: sqlite3.Connection) -> Iterator[str]:
    """Name each block that is not what was written, or not all of it."""
    counted: dict[int, int] = dict(
        database.execute("SELECT block, count(*) FROM object WHERE block IS NOT NULL GROUP BY block")
    )
    dropped: dict[int, int] = dict(database.execute("SELECT block, count(*) FROM dropped GROUP BY block"))
    for (block,) in database.execute("SELECT id FROM block").fetchall():
        objects, *told = database.execute(
            "SELECT objects, events, checksum, evidence, derived FROM block WHERE id = ?", (block,)
        ).fetchone()
        why = _block_problem(*told)
        if why:
            yield f"block {block}: {why}"
        if counted.pop(block, 0) + dropped.get(block, 0) != objects:
            yield f"block {block}: some of its {objects} objects are missing"
    for block in counted:
        yield f"block {block}: it is missing, and objects point to it"


def _block_problem(events: int, check: bytes, evidence: bytes, derived: bytes) -> str:
    try:
        if check_of(evidence) + check_of(derived) != check:
            return "its checksum does not fit"
        found = len(from_blob(evidence))
        Batch.from_bytes(derived)
    except Exception as error:  # noqa: BLE001 - whatever the decoders say, the block cannot be read
        return f"it cannot be read: {error}"
    return "" if found == events else f"it has {found} events instead of {events}"


def _odd_events(database: sqlite3.Connection) -> Iterator[str]:
    """Name each event that cannot be read, and count those that belong to nobody."""
    for number, verb, body in database.execute("SELECT id, verb, body FROM event"):
        if not isinstance(verb, int) or not 0 <= verb < len(VERBS):
            yield f"event {number}: it has the unknown verb {verb!r}"
        elif body is not None and VERBS[verb] not in MEMBERS:
            try:
                DECODE.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
                yield f"event {number}: it cannot be read: {error}"
    orphans = database.execute(
        "SELECT count(*) FROM event WHERE object NOT IN (SELECT id FROM object WHERE block IS NULL)"
    ).fetchone()[0]
    if orphans:
        yield f"events of no object: {orphans:,}"

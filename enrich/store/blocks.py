"""The format of a packed block of events: rows, checksum, compression."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec
import zstandard

from enrich.store.database import rewritten
from whowas.errors import StoreDamagedError

# Raise it when what is derived of pods by themselves, or its columns, change: older blocks are then derived anew.
RULES = 2


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


def check_of(blob: bytes) -> bytes:
    """Return the checksum of a part of a block; a block has that of its evidence, then that of what was derived."""
    return hashlib.sha256(blob).digest()


def evidence_in(database: sqlite3.Connection, block: int) -> list[Stored]:
    """Return the events of a block. Raises: StoreError when it is damaged."""
    found = database.execute("SELECT checksum, evidence FROM block WHERE id = ?", (block,)).fetchone()
    return read_block(block, from_blob, found[1], found[0][:32]) if found else []


def read_block(block: int, read: Callable[[bytes], T], blob: bytes, check: bytes) -> T:
    """Read a part of a block. Raises: StoreError when it is damaged: half-true evidence makes false names."""
    try:
        if check_of(blob) == check:
            return read(blob)
        why = "its checksum does not fit"
    except Exception as error:  # noqa: BLE001 - whatever the decoders say, the block is not what was written
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
    raise StoreDamagedError(
        f"cannot read block {block} of the history: it is damaged ({why}); 'whowas history export STORE OUT --salvage' "
        "saves what can be read"
    )


def unpack(database: sqlite3.Connection, row: int, uid: str, block: int) -> None:
    """Put one object's events back into rows: more is said of it. Called within a transaction."""
    mine = [one for one in evidence_in(database, block) if one.object == row]
    database.executemany(PUT_BACK, mine)
    database.execute("UPDATE object SET block = NULL WHERE id = ?", (row,))
    database.execute("INSERT OR IGNORE INTO dropped VALUES(?, ?)", (block, uid))
    rewritten(database)

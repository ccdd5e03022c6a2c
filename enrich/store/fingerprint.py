"""What a store holds, in some bytes that change whenever it does: for what is kept beside it and must not be stale."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from typing import NamedTuple

# Small tables that change without a number of theirs going up; all others are told by the last number given.
WHOLE = ("cluster", "span", "clock", "dropped", "rewritten", "sqlite_sequence", "source")
# What is written in the same tick of the file system's clock does not show in a file's time.
TICK_NS = 2_000_000_000


class FileState(NamedTuple):
    """A store's file and its log: device, file number, size and time of the one, size and time of the other."""

    facts: tuple[int, ...]
    newest_ns: int


def file_state(path: str) -> FileState:
    """Look at a store's files. Raises: OSError."""
    told = os.stat(path)
    try:
        log = os.stat(f"{path}-wal")
        # A reader may leave an empty log behind.
        beside = (log.st_size, log.st_mtime_ns) if log.st_size else (0, 0)
    except FileNotFoundError:
        beside = (0, 0)
    facts = (told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, *beside)
    return FileState(facts, max(told.st_mtime_ns, beside[1]))


def settled_for(state: FileState) -> int:
    """Return for how long (ns) nothing was written. Of less than TICK_NS nobody can be sure."""
    return time.time_ns() - state.newest_ns


def fingerprint(database: sqlite3.Connection, state: FileState) -> bytes:
    """Return what tells this content from any other of this file, as one look at it has it. Raises: sqlite3.Error."""
    seen = hashlib.sha256(repr(state.facts).encode())
    seen.update(repr(database.execute("PRAGMA user_version").fetchone()).encode())
    for table in WHOLE:
        rows = database.execute(f"SELECT * FROM {table}")  # noqa: S608 - words of ours
        seen.update(repr(sorted(map(repr, rows))).encode())
    return seen.digest()

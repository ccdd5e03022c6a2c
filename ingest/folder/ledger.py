"""Remembers how far the files of a folder were read.

This is kept over restarts, renames, rotation and compression.

A file is known again by how it begins, decompressed: a log that was renamed, or compressed when it was rotated, is the
same file. One whose beginning is too short to tell is known by its inode too.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whowas.errors import OutputError, StoreError
from whowas.lock_file import LockTaken, take_lock
from whowas.sqlite_file import FileKind

# With so much of the beginning, or two lines of it, no other file is taken for this one.
HEAD = 4096
COLUMNS = "number, path, head, next, ended, size, origin, device, inode"
SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    number INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    device INTEGER, inode INTEGER,
    head INTEGER NOT NULL, digest BLOB NOT NULL,
    next INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    origin TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS by_inode ON file(inode, device);
CREATE INDEX IF NOT EXISTS by_digest ON file(digest);
"""
LEDGER = FileKind(
    noun="ledger",
    # Ledgers without number and version are in use: the first migration takes them as they are.
    application=0,
    migrations={0: SCHEMA},
    synchronous="FULL",
    foreign="no ledger of files",
    damaged="remove it to read all files anew",
    taken="another stream reads these files; stop it first",
)


@dataclass
class FileEntry:
    """What is known of one file. number: its name for ever. next: everything before it is delivered.

    ended: it was read as a whole, when it had `size` bytes. origin: tells it from every other file, for ids; its
    name stands before the first NUL.
    key: device and inode where it stood last.
    """

    number: int
    path: str
    head: int
    next: int
    ended: bool
    size: int = 0
    origin: str = ""
    key: tuple[int, int] = (0, 0)


class Ledger:
    """The ledger of one folder: one process at a time. Raises: OutputError."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.path.with_suffix(".lock"))
        except LockTaken:
            raise OutputError(f"cannot use '{self.path}': {LEDGER.taken}") from None
        except OSError as error:
            raise self._refusal(error.strerror or str(error)) from error
        try:
            self._database = LEDGER.connect(str(self.path))
        except sqlite3.Error as error:
            os.close(self._lock)
            raise self._refusal(str(error)) from error
        except StoreError as error:
            os.close(self._lock)
            raise OutputError(str(error)) from error

    def _refusal(self, why: str) -> OutputError:
        return OutputError(f"cannot write '{self.path}': {why}; it keeps up to where files were read")

    def close(self) -> None:
        """Let go of the ledger."""
        self._database.close()
        os.close(self._lock)

    @property
    def empty(self) -> bool:
        """Whether no file was ever read."""
        return self._database.execute("SELECT 1 FROM file LIMIT 1").fetchone() is None

    def find(self, stat: os.stat_result, head: bytes, size: int | None) -> FileEntry | None:
        """Return what is known of a file. head: its first bytes, decompressed. size: None where it is compressed."""
        found = self._database.execute(
            f"SELECT {COLUMNS}, digest FROM file WHERE inode = ? AND device = ? ORDER BY number DESC",  # noqa: S608
            (stat.st_ino, stat.st_dev),
        ).fetchall()
        for *told, digest in found:
            place = _place(told)
            told_by = place.head <= len(head) and digest == _digest(head[: place.head])
            if told_by and (size is None or place.next <= size):
                return place
        return self._elsewhere(head)

    def _elsewhere(self, head: bytes) -> FileEntry | None:
        """A file of the same beginning that has another inode now, and stands where it stood no more."""
        lengths = [one for (one,) in self._database.execute("SELECT DISTINCT head FROM file ORDER BY head DESC")]
        for length in lengths:
            if length > len(head) or not telling(head[:length]):
                continue
            found = self._database.execute(
                f"SELECT {COLUMNS} FROM file WHERE digest = ? AND head = ? ORDER BY number DESC",  # noqa: S608
                (_digest(head[:length]), length),
            ).fetchone()
            if found is not None:
                return _place(found)
        return None

    def add(self, path: str, stat: os.stat_result, head: bytes, begin: int = 0) -> FileEntry:
        """Give a new file its number."""
        length = min(len(head), HEAD)
        origin = f"{os.path.basename(path)}\0{stat.st_mtime_ns}\0{_digest(head[:length]).hex()}"
        made = self._write(
            "INSERT INTO file(path, device, inode, head, digest, next, origin) VALUES(?, ?, ?, ?, ?, ?, ?)",
            (path, stat.st_dev, stat.st_ino, length, _digest(head[:length]), begin, origin),
        )
        return FileEntry(int(made.lastrowid or 0), path, length, begin, False, 0, origin, (stat.st_dev, stat.st_ino))

    def meet(self, place: FileEntry, path: str, stat: os.stat_result, head: bytes) -> None:
        """Keep where a known file stands now, and as much of its beginning as there is."""
        length = min(len(head), HEAD)
        if length > place.head:
            place.head = length
        place.path = path
        self._write(
            "UPDATE file SET path = ?, device = ?, inode = ?, head = ?, digest = ? WHERE number = ?",
            (path, stat.st_dev, stat.st_ino, place.head, _digest(head[: place.head]), place.number),
        )

    def move(self, place: FileEntry, path: str) -> None:
        """Keep that a file was renamed."""
        place.path = path
        self._write("UPDATE file SET path = ? WHERE number = ?", (path, place.number))

    def keep(self, number: int, following: int) -> None:
        """Keep that everything before `following` is delivered."""
        self._write("UPDATE file SET next = max(next, ?) WHERE number = ?", (following, number))

    def end(self, number: int, size: int) -> None:
        """Keep that a file was read as a whole, when it had so many bytes."""
        self._write("UPDATE file SET ended = 1, size = ? WHERE number = ?", (size, number))

    def next(self, number: int) -> int:
        """Return up to where a file is delivered."""
        found = self._database.execute("SELECT next FROM file WHERE number = ?", (number,)).fetchone()
        return int(found[0]) if found else 0

    def _write(self, sql: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._database.execute(sql, values)
        except sqlite3.Error as error:
            raise self._refusal(str(error)) from error


def telling(head: bytes) -> bool:
    """Say whether a beginning tells a file from every other: a header alone does not."""
    return len(head) >= HEAD or head.count(b"\n") >= 2


def _place(row: Sequence[Any]) -> FileEntry:
    """A row of COLUMNS."""
    number, path, head, following, ended, size, origin, *key = row
    return FileEntry(number, path, head, following, bool(ended), size, origin, (key[0], key[1]))


def _digest(head: bytes) -> bytes:
    return hashlib.sha256(head).digest()

"""Reads every row of a table that can be read, past pages that cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

Row = tuple[Any, ...]
LAST = (1 << 62) - 1
# What SQLite says of a broken page; of a length that no memory holds; what its own words hold that is no text.
BROKEN = (sqlite3.DatabaseError, MemoryError, OverflowError, UnicodeDecodeError)


class Hole(NamedTuple):
    """Rows that cannot be read: numbers behind `after` and before `next`; None: to the end."""

    after: int
    next: int | None

    @property
    def rows(self) -> int:
        """How many at most; 1 where nobody knows."""
        return 1 if self.next is None or self.after < -1 else self.next - self.after - 1

    def __str__(self) -> str:
        begin = "the beginning" if self.after < 0 else f"row {self.after + 1}"
        return f"nothing can be read from {begin} to {'the end' if self.next is None else f'row {self.next - 1}'}"


def scan(database: sqlite3.Connection, table: str, columns: str) -> Iterator[Row | Hole]:
    """Yield (row number, *columns) in the order of numbers, and a Hole where something cannot be read."""
    words = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - words of ours
    last = -1
    while True:
        try:
            for row in database.execute(words, (last,)):
                if row[0] <= last:
                    raise sqlite3.DatabaseError("rows out of order")
                last = row[0]
                yield row
            return
        except BROKEN:
            # No index is asked: it may be what is broken.
            beyond = _readable(database, words, last)
            yield Hole(last, beyond)
            if beyond is None:
                return
            last = beyond - 1


def _readable(database: sqlite3.Connection, words: str, last: int) -> int | None:
    """Return the number of the next row that can be read, None where there is none.

    The first step that gets past the break is doubled until it does, then halved to what it takes.
    """
    low, step = last, 1
    while not _reads(database, words, last + step):
        low, step = last + step, step * 2
        if last + step > LAST:
            return None
    high = last + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _reads(database, words, middle) else (middle, high)
    row = database.execute(f"{words} LIMIT 1", (high,)).fetchone()
    return None if row is None or row[0] <= high else int(row[0])


def _reads(database: sqlite3.Connection, words: str, behind: int) -> bool:
    """Say whether the row behind a number can be read, or there is none."""
    try:
        row = database.execute(f"{words} LIMIT 1", (behind,)).fetchone()
    except BROKEN:
        return False
    return row is None or row[0] > behind

"""DuckDB for the page: one connection that reads the flows and the cache and nothing else, a cursor a question.

No text of the browser ever becomes SQL. The rest is a second wall: no other file, no network, no settings, bounded
memory, nothing spilled to disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from whowas.query.database import CLOSED, FAST
from whowas.query.parquet_files import sql_text
from whowas.workbench.kept import attach
from whowas.workbench.problems import BusyError, CancelledError

MEMORY = "1GB"
HEAVY, EXPORTS = 2, 2
EXTENSIONS = ("parquet", "icu", "json")


class Call:
    """One question on its way: it can be ended from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursor: Any = None
        self.ended = False

    def end(self) -> None:
        """Stop the statement that runs, and let none begin."""
        with self._lock:
            self.ended = True
            if self._cursor is not None:
                self._cursor.interrupt()

    def check(self) -> None:
        """Raises: CancelledError when the question was ended."""
        if self.ended:
            raise CancelledError("the question was cancelled")

    @contextlib.contextmanager
    def using(self, cursor: Any) -> Iterator[Any]:
        """Lend the cursor of this question."""
        with self._lock:
            self._cursor = cursor
        try:
            self.check()
            yield cursor
        finally:
            with self._lock:
                self._cursor = None


class Database:
    """One hardened connection. Args: folders: what may be read, resolved. memory: as DuckDB writes it."""

    def __init__(self, folders: list[str], memory: str = MEMORY, waiting: int = 32) -> None:
        self.link = connect(memory)
        allowed = ", ".join(sql_text(os.path.realpath(one).rstrip("/") + "/") for one in folders)
        attach(self.link)
        for setting in (f"allowed_directories = [{allowed}]", "enable_external_access = false"):
            self.link.execute(f"SET {setting}")
        self.link.execute("SET lock_configuration = true")
        self._heavy = threading.Semaphore(HEAVY)
        self._exports = threading.Semaphore(EXPORTS)
        self._waiting = threading.Semaphore(waiting)

    @contextlib.contextmanager
    def export_cursor(self, call: Call) -> Iterator[Any]:
        """Lend a cursor for as long as somebody takes to read a file. Raises: BusyError, CancelledError."""
        if not self._exports.acquire(blocking=False):
            raise BusyError(f"{EXPORTS} exports are under way; wait for one to end")
        try:
            yield from self._lent(call)
        finally:
            self._exports.release()

    @contextlib.contextmanager
    def cursor(self, call: Call) -> Iterator[Any]:
        """Lend a cursor for one question; two run at a time. Raises: BusyError, CancelledError."""
        if not self._waiting.acquire(blocking=False):
            raise BusyError("too many questions wait; ask again in a moment")
        try:
            while not self._heavy.acquire(timeout=0.05):
                call.check()
            try:
                yield from self._lent(call)
            finally:
                self._heavy.release()
        finally:
            self._waiting.release()

    def _lent(self, call: Call) -> Iterator[Any]:
        import duckdb

        cursor = self.link.cursor()
        try:
            with call.using(cursor):
                yield cursor
        except duckdb.InterruptException as error:
            raise CancelledError("the question was cancelled") from error
        finally:
            cursor.close()

    def close(self) -> None:
        """Let go of all files."""
        self.link.close()


def connect(memory: str, threads: int | None = None) -> Any:
    """Open DuckDB in memory, with nothing downloaded, nothing spilled, times in UTC."""
    import duckdb

    link = duckdb.connect(config=CLOSED)
    for name in EXTENSIONS:
        link.execute(f"LOAD {name}")
    for setting in FAST:
        # Older ones have not all of them.
        with contextlib.suppress(duckdb.CatalogException):
            link.execute(setting)
    for setting in ("TimeZone = 'UTC'", "temp_directory = ''", f"memory_limit = {sql_text(memory)}"):
        link.execute(f"SET {setting}")
    if threads is not None:
        link.execute(f"SET threads = {int(threads)}")
    return link

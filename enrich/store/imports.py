"""Begins, ends and drops an import of files into a store."""

from __future__ import annotations

import sqlite3

from enrich.store.database import HISTORY, now_us, rewritten
from enrich.store.writer_state import WriterState
from whowas.sqlite_file import transaction

# When an object left by its own events, NULL where the last of them shows it standing.
LEFT = (
    "(SELECT CASE WHEN verb IN (2, 4) THEN coalesce(received_us, not_before_us) END "
    "FROM event WHERE event.object = object.id AND verb < 5 "
    "ORDER BY coalesce(received_us, not_before_us) DESC, id DESC LIMIT 1)"
)


class Imports:
    """Imports of one store, which nobody else writes. A source without a digest is one that came to no end."""

    def __init__(self, path: str, database: sqlite3.Connection, memory: WriterState) -> None:
        self._path, self._database, self._memory = path, database, memory
        self._files: dict[str, str] = {}

    @property
    def running(self) -> bool:
        """Whether one has begun and not ended."""
        return bool(self._files)

    def was_imported(self, digest: str) -> bool:
        """Say whether a file of this content was imported before."""
        with HISTORY.translate_errors(self._path, "read"):
            return self._database.execute("SELECT 1 FROM source WHERE digest = ?", (digest,)).fetchone() is not None

    def begin(self, files: dict[str, str]) -> int:
        """Return a row for files that are imported together. files: digests by name.

        What an import that was cut off has left is removed first.
        """
        with HISTORY.translate_errors(self._path, "write"):
            self.drop_unfinished()
            name = ", ".join(files)
            made = self._database.execute("INSERT INTO source(name, added_us) VALUES(?, ?)", (name, now_us()))
        self._files = dict(files)
        return int(made.lastrowid or 0)

    def end(self, row: int) -> None:
        """Say that the files were imported to their ends."""
        with HISTORY.translate_errors(self._path, "write"), transaction(self._database):
            (_, digest), *others = self._files.items()
            self._database.execute("UPDATE source SET digest = ? WHERE id = ?", (digest, row))
            self._database.executemany(
                "INSERT OR IGNORE INTO source(name, digest, added_us) VALUES(?, ?, ?)",
                [(name, mark, now_us()) for name, mark in others],
            )
            self._database.execute("DELETE FROM slice WHERE source = ?", (row,))
        self._files = {}
        self._memory.forget()

    def drop_unfinished(self) -> None:
        """Remove what an import has left that came to no end: nobody else writes, so it never will.

        Before anything else is written: that could rest on what goes here.
        """
        self._files = {}
        with HISTORY.translate_errors(self._path, "write"):
            run = self._database.execute
            if not run("SELECT 1 FROM source WHERE digest IS NULL").fetchone():
                return
            with transaction(self._database):
                run("CREATE TEMP TABLE leaving AS SELECT id, object FROM event "
                    "WHERE source IN (SELECT id FROM source WHERE digest IS NULL)")  # fmt: skip
                run("DELETE FROM event WHERE id IN (SELECT id FROM leaving)")
                # What it alone spoke of was never there; what it said to be gone may stand.
                run("CREATE TEMP TABLE alone AS SELECT DISTINCT object FROM leaving WHERE object NOT IN "
                    "(SELECT object FROM event)")  # fmt: skip
                run("DELETE FROM address WHERE object IN (SELECT object FROM alone)")
                run("DELETE FROM object WHERE id IN (SELECT object FROM alone)")
                run(f"UPDATE object SET gone_us = {LEFT} WHERE id IN (SELECT object FROM leaving)")  # noqa: S608
                for table in ("slice", "span"):
                    run(f"DELETE FROM {table} WHERE source IN "  # noqa: S608 - words of ours
                        "(SELECT id FROM source WHERE digest IS NULL)")  # fmt: skip
                run("DELETE FROM source WHERE digest IS NULL")
                run("DELETE FROM cluster WHERE id NOT IN (SELECT cluster FROM object UNION SELECT cluster FROM span "
                    "UNION SELECT cluster FROM cursor UNION SELECT cluster FROM block)")  # fmt: skip
                run("DELETE FROM clock WHERE cluster NOT IN (SELECT id FROM cluster)")
                run("DROP TABLE leaving")
                run("DROP TABLE alone")
                rewritten(self._database)
            self._memory.forget()

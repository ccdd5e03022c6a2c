"""A SQLite file of ours: one writer, one owner, whole migrations."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from whowas.errors import StoreBusyError, StoreError, StoreTakenError
from whowas.lock_file import LockTaken, take_lock
from whowas.sqlite_file import FileKind, is_database, snapshot, transaction, version_of

FIRST = FileKind(
    noun="notebook",
    application=0x12345678,
    migrations={0: "CREATE TABLE note(text TEXT);"},
    synchronous="FULL",
    foreign="no notebook",
    damaged="take '{path}' from a copy",
    taken="process {who} has it; wait",
)
SECOND = replace(FIRST, migrations={**FIRST.migrations, 1: "ALTER TABLE note ADD at INTEGER;"})


def test_a_lock_is_held_once_and_says_by_whom(tmp_path: Path) -> None:
    path = str(tmp_path / "notes.db")
    handle = FIRST.lock(path, "write")
    os.symlink(path, tmp_path / "other.db")
    with pytest.raises(StoreTakenError, match=rf"cannot write notebook '.*other\.db': process {os.getpid()} has it"):
        FIRST.lock(str(tmp_path / "other.db"), "write")
    with pytest.raises(LockTaken, match=str(os.getpid())):
        take_lock(f"{path}.lock")
    os.close(handle)
    os.close(FIRST.lock(path, "write"))


def test_no_lock_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"cannot open notebook '.*': No such file or directory; give a file in a folder"
    ):
        FIRST.lock(str(tmp_path / "none" / "notes.db"), "open")


def test_an_older_file_is_led_on_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "notes.db")
    with transaction(database := FIRST.connect(path)):
        database.execute("INSERT INTO note VALUES('kept')")
    database.close()
    assert is_database(path)
    database = SECOND.connect(path)
    assert version_of(database) == 2
    assert database.execute("SELECT * FROM note").fetchall() == [("kept", None)]
    database.close()
    with pytest.raises(StoreError, match="it has version 2, this whowas knows up to 1; update whowas"):
        FIRST.connect(path)


def test_a_foreign_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t(a)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"cannot open notebook '.*foreign\.db': it is a database, but no notebook"):
        FIRST.connect(str(path))
    assert path.read_bytes() == before


def test_a_transaction_is_whole_or_nothing() -> None:
    database = FIRST.connect(None)
    with pytest.raises(sqlite3.ProgrammingError), transaction(database):
        database.executemany("INSERT INTO note VALUES(?)", [("half",), ("more", "than a row")])
    assert database.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_a_snapshot_does_not_see_what_is_written_meanwhile(tmp_path: Path) -> None:
    writer, reader = (FIRST.connect(str(tmp_path / "notes.db")) for _ in range(2))
    with snapshot(reader):
        assert reader.execute("SELECT count(*) FROM note").fetchone() == (0,)
        writer.execute("INSERT INTO note VALUES('new')")
        assert reader.execute("SELECT count(*) FROM note").fetchone() == (0,)
    assert reader.execute("SELECT count(*) FROM note").fetchone() == (1,)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    holder, other = (FIRST.connect(str(path)) for _ in range(2))
    other.execute("PRAGMA busy_timeout = 0")
    busy = "cannot write notebook 'p': another program holds it locked; it is tried again"
    with transaction(holder), pytest.raises(StoreBusyError, match=busy), FIRST.translate_errors("p", "write"):
        other.execute("BEGIN IMMEDIATE")
    (tmp_path / "text.db").write_text("no database at all\n" * 200)
    with (
        pytest.raises(StoreError, match=r"cannot open notebook 'p': the file is damaged \(.*\); take 'p' from a copy"),
        FIRST.translate_errors("p", "open"),
    ):
        FIRST.connect(str(tmp_path / "text.db"))


def test_a_file_that_lost_a_table_is_damaged() -> None:
    database = FIRST.connect(None)
    database.execute("DROP TABLE note")
    with (
        pytest.raises(
            StoreError, match=r"cannot read notebook 'p': the file is damaged \(no such table: note\); take 'p'"
        ),
        FIRST.translate_errors("p", "read"),
    ):
        database.execute("SELECT * FROM note")

"""The ledger of a folder: files of before it had a version go on, files of others are refused in words."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from ingest.folder.ledger import SCHEMA, Ledger
from whowas.errors import OutputError


def test_a_ledger_without_a_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "files.db"
    old = sqlite3.connect(path)
    old.executescript(SCHEMA + "INSERT INTO file(number, path, head, digest, next) VALUES(7, 'a.log', 4, x'00', 90);")
    old.close()
    for kept, further in ((90, 100), (100, 95), (100, 100)):
        ledger = Ledger(path)
        assert ledger.next(7) == kept
        ledger.keep(7, further)
        ledger.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("PRAGMA application_id = 7; CREATE TABLE t(a);", "it is a database, but no ledger of files"),
        ("PRAGMA user_version = 9;", "it has version 9, this whowas knows up to 1"),
        (None, "file is not a database; it keeps up to where files were read"),
    ],
)
def test_what_is_no_ledger_is_refused_and_let_go(tmp_path: Path, sql: str | None, words: str) -> None:
    path = tmp_path / "files.db"
    if sql is None:
        path.write_text("no database at all\n" * 200)
    else:
        foreign = sqlite3.connect(path)
        foreign.executescript(sql)
        foreign.close()
    with pytest.raises(OutputError, match=words):
        Ledger(path)
    os.remove(path)
    Ledger(path).close()

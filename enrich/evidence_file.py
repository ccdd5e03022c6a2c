"""The file of a history: one SQLite database, its tables, its versions, its lock, and its errors in words."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from whowas.errors import StoreBusyError, StoreError

MAGIC = b"SQLite format 3\0"
# "wwhs" in the header of the file, so that any tool can tell what it is.
APPLICATION = 0x77776873
NEWEST = 1
# Each entry leads from its number to the next. Nothing in it is ever edited.
MIGRATIONS: dict[int, str] = {
    0: """
CREATE TABLE cluster(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE source(id INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT UNIQUE, added_us INTEGER NOT NULL);
CREATE TABLE cursor(cluster INTEGER, kind TEXT, version TEXT NOT NULL, received_us INTEGER NOT NULL,
  PRIMARY KEY(cluster, kind)) WITHOUT ROWID;
CREATE TABLE span(id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, kind TEXT NOT NULL, gap INTEGER NOT NULL,
  low_us INTEGER NOT NULL, high_us INTEGER NOT NULL, source INTEGER);
CREATE UNIQUE INDEX span_once ON span(cluster, kind, gap, low_us, source);
CREATE TABLE object(id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, kind INTEGER NOT NULL, uid TEXT NOT NULL,
  namespace TEXT NOT NULL, name TEXT NOT NULL, owner TEXT, gone_us INTEGER, block INTEGER, UNIQUE(uid, cluster));
CREATE INDEX object_open ON object(kind) WHERE block IS NULL;
CREATE INDEX object_name ON object(name, namespace);
CREATE TABLE event(id INTEGER PRIMARY KEY, object INTEGER NOT NULL, verb INTEGER NOT NULL, received_us INTEGER,
  not_before_us INTEGER, version INTEGER, source INTEGER, body BLOB);
CREATE INDEX event_object ON event(object);
CREATE TABLE address(ip BLOB, object INTEGER, PRIMARY KEY(ip, object)) WITHOUT ROWID;
CREATE TABLE slice(uid TEXT, cluster INTEGER, service TEXT NOT NULL, pods TEXT NOT NULL,
  PRIMARY KEY(uid, cluster)) WITHOUT ROWID;
CREATE TABLE clock(cluster INTEGER, node TEXT, ahead_us INTEGER NOT NULL, behind_us INTEGER NOT NULL,
  PRIMARY KEY(cluster, node)) WITHOUT ROWID;
CREATE TABLE block(id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, objects INTEGER NOT NULL, events INTEGER NOT NULL,
  low_us INTEGER NOT NULL, high_us INTEGER NOT NULL, rules INTEGER NOT NULL, checksum BLOB NOT NULL,
  evidence BLOB NOT NULL, derived BLOB NOT NULL);
CREATE TABLE dropped(block INTEGER, uid TEXT, PRIMARY KEY(block, uid)) WITHOUT ROWID;
""",
}


def is_store(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a database (of whowas or not)."""
    try:
        with open(path, "rb") as handle:
            return handle.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class Lock:
    """The right to write to a store: one process has it, and loses it when it ends, however it ends."""

    def __init__(self, path: str) -> None:
        self._path = f"{path}.lock"
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"cannot write history '{path}': {error.strerror}; give a file in a folder you can write to"
            ) from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = os.pread(self._handle, 20, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StoreError(
                f"cannot write history '{path}': process {who or 'unknown'} is writing to it; stop that one, "
                "or give this one a file of its own"
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others write. The lock's file stays: removing it would let two hold it."""
        os.close(self._handle)


def open_database(path: str, *, write: bool) -> sqlite3.Connection:
    """Open a store; with `write` make it when it is not there, and lead it to the newest version.

    Raises: StoreError.
    """
    there = Path(path).exists()
    if not there and not write:
        raise StoreError(f"cannot read history '{path}': no such file; record one with 'whowas watch --history {path}'")
    if there and os.path.getsize(path) and not is_store(path):
        raise StoreError(f"cannot open history '{path}': it is no store; import it with 'whowas history import'")
    with in_words(path, "open"):
        mode = "rwc" if write else "ro"
        database = sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        database.execute("PRAGMA busy_timeout = 5000")
        if write:
            # What the last moments before a power cut wrote may be lost, but never half of it: the cursor goes back
            # with the events, and the watch delivers them again.
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -16384")
        _check_version(database, path, write)
    return database


def _check_version(database: sqlite3.Connection, path: str, write: bool) -> None:
    """Refuse what is not ours or newer than we are; lead what is older forward."""
    application = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    empty = not database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    if application != APPLICATION and not (empty and write):
        raise StoreError(f"cannot open history '{path}': it is a database, but no history of whowas; give another file")
    if version > NEWEST:
        raise StoreError(
            f"cannot open history '{path}': it has version {version}, this whowas knows up to {NEWEST}; update whowas"
        )
    if version < NEWEST and not write:
        raise StoreError(
            f"cannot read history '{path}': it has the older version {version}; lead it to version {NEWEST} with "
            f"'whowas history compact {path}'"
        )
    for number in range(version, NEWEST):
        script = f"BEGIN IMMEDIATE; {MIGRATIONS[number]}"
        database.executescript(
            f"{script} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {number + 1}; COMMIT;"
        )


@contextlib.contextmanager
def in_words(path: str, what: str) -> Iterator[None]:
    """Turn what SQLite says into errors that tell what to do."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        name = getattr(error, "sqlite_errorname", "")
        say = f"cannot {what} history '{path}': "
        if name.startswith("SQLITE_FULL") or "full" in text:
            raise StoreBusyError(f"{say}the disk is full; make room, nothing is lost meanwhile") from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StoreBusyError(f"{say}another program holds it locked; it is tried again") from error
        if name.startswith("SQLITE_IOERR"):
            raise StoreBusyError(f"{say}the disk does not do what it should ({text}); it is tried again") from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise StoreError(
                f"{say}the file is damaged ({text}); see 'whowas history verify {path}', restore a copy"
            ) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            raise StoreError(f"{say}{text}; check the rights on the file and its folder") from error
        raise


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000

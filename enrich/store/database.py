"""The file of a history: one SQLite database, its tables and its versions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from whowas.errors import StoreError
from whowas.sqlite_file import CHECK_RIGHTS, FileKind, is_database, is_empty, snapshot, version_of

# What readers need of the tables is in this version already.
READABLE = 1
CANNOT_SHARE = ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT", "SQLITE_READONLY_RECOVERY")
# Numbers of events, objects and blocks are never given twice: readers remember how far they have read, and blocks
# name objects. `source` 0 is the recorder; its slices and its span go on, those of files stand. `rewritten` counts
# what took something away or changed it, so that readers who only look at what is new know to look at all.
MIGRATIONS: dict[int, str] = {
    0: """
CREATE TABLE cluster(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE source(id INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT UNIQUE, added_us INTEGER NOT NULL);
CREATE TABLE cursor(cluster INTEGER, kind TEXT, version TEXT NOT NULL, received_us INTEGER NOT NULL,
  PRIMARY KEY(cluster, kind)) WITHOUT ROWID;
CREATE TABLE span(id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, kind TEXT NOT NULL, gap INTEGER NOT NULL,
  low_us INTEGER NOT NULL, high_us INTEGER NOT NULL, source INTEGER NOT NULL);
CREATE INDEX span_once ON span(cluster, kind, low_us);
CREATE TABLE object(id INTEGER PRIMARY KEY AUTOINCREMENT, cluster INTEGER NOT NULL, kind INTEGER NOT NULL,
  uid TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, owner TEXT,
  gone_us INTEGER, block INTEGER, UNIQUE(uid, cluster));
CREATE INDEX object_open ON object(kind) WHERE block IS NULL;
CREATE INDEX object_name ON object(name, namespace);
CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, object INTEGER NOT NULL, verb INTEGER NOT NULL,
  received_us INTEGER, not_before_us INTEGER, version INTEGER, source INTEGER, body BLOB);
CREATE INDEX event_object ON event(object);
CREATE TABLE address(ip BLOB, object INTEGER, PRIMARY KEY(ip, object)) WITHOUT ROWID;
CREATE TABLE slice(uid TEXT, cluster INTEGER, source INTEGER, service TEXT NOT NULL, pods TEXT NOT NULL,
  PRIMARY KEY(uid, cluster, source)) WITHOUT ROWID;
CREATE TABLE clock(cluster INTEGER, node TEXT, proof INTEGER, ahead_us INTEGER NOT NULL, behind_us INTEGER NOT NULL,
  PRIMARY KEY(cluster, node, proof)) WITHOUT ROWID;
CREATE TABLE block(id INTEGER PRIMARY KEY AUTOINCREMENT, cluster INTEGER NOT NULL, objects INTEGER NOT NULL,
  events INTEGER NOT NULL, low_us INTEGER NOT NULL, high_us INTEGER NOT NULL, rules INTEGER NOT NULL,
  checksum BLOB NOT NULL, evidence BLOB NOT NULL, derived BLOB NOT NULL);
CREATE TABLE dropped(block INTEGER, uid TEXT, PRIMARY KEY(block, uid)) WITHOUT ROWID;
CREATE TABLE rewritten(times INTEGER NOT NULL);
INSERT INTO rewritten VALUES(0);
""",
    # What goes to a topic, and what came from one. `identity` names this store there. A row of `publishing` for every
    # time that all of the store was sent (enrich/store/outbox.py); `replica` and `origin`: enrich/store/replica.py.
    1: """
CREATE TABLE identity(store TEXT NOT NULL);
INSERT INTO identity VALUES(lower(hex(randomblob(8))));
CREATE TABLE publishing(epoch INTEGER PRIMARY KEY, event INTEGER NOT NULL, object INTEGER NOT NULL,
  done INTEGER NOT NULL, snapshot INTEGER NOT NULL, live INTEGER NOT NULL, ended INTEGER NOT NULL);
CREATE TABLE outbox(id INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE replica(topic TEXT NOT NULL, next INTEGER NOT NULL, key BLOB NOT NULL);
CREATE TABLE origin(store TEXT PRIMARY KEY, source INTEGER NOT NULL, epoch INTEGER NOT NULL, number INTEGER NOT NULL,
  live INTEGER NOT NULL, lost TEXT NOT NULL);
""",
}


HISTORY = FileKind(
    noun="history",
    application=0x77776873,  # "wwhs"
    migrations=MIGRATIONS,
    # After a power cut the cursor goes back with the events, and the watch delivers them again.
    synchronous="NORMAL",
    foreign="no history of whowas",
    damaged="'whowas history export {path} OUT --salvage' saves what can be read, "
    "'whowas history verify {path}' says what cannot",
    taken="process {who} is writing to it; stop that one, or give this one a file of its own",
)


class Lock:
    """The right to write to a store: one process has it, and loses it when it ends, however it ends.

    Raises: StoreError, before anything is made where no store can be. make: a store may be made.
    """

    def __init__(self, path: str, *, make: bool = True) -> None:
        _refuse(path, there=not make)
        self._handle = HISTORY.lock(path, "write")

    def release(self) -> None:
        """Let others write."""
        os.close(self._handle)


def _refuse(path: str, *, there: bool) -> None:
    """Refuse what cannot be a store, by its name and its first bytes. there: it must be there."""
    if os.path.isdir(path):
        raise StoreError(f"cannot open history '{path}': it is a folder; give the file in it")
    if not os.path.exists(path):
        if there:
            raise StoreError(
                f"cannot open history '{path}': no such file; record one with 'whowas watch --history {path}' or "
                f"make one with 'whowas history import {path} FILE'"
            )
    elif os.path.getsize(path) and not is_database(path):
        _check_readable(path)
        raise StoreError(
            f"cannot open history '{path}': it is no store; import it with 'whowas history import STORE {path}'"
        )


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise StoreError(f"cannot open history '{path}': {error.strerror}; {CHECK_RIGHTS}") from None


def open_database(path: str, *, write: bool) -> sqlite3.Connection:
    """Open a store; with `write` make it when it is not there, and lead it to the newest version.

    Raises: StoreError.
    """
    _refuse(path, there=not write)
    with HISTORY.make_sense(path, "open"):
        if write:
            return HISTORY.connect(path)
        try:
            return _connect_to_read(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # Where nothing may be written SQLite cannot keep an index of the log. Without a log it needs none.
            if error.sqlite_errorname not in CANNOT_SHARE or _has_log(path):
                raise
            return _connect_to_read(path, "mode=ro&immutable=1")


def connect_to_salvage(path: str) -> sqlite3.Connection:
    """Open what is left of a store, to read whatever can be read, as of one moment."""
    for how in ("mode=ro", "mode=ro&immutable=1"):
        database = sqlite3.connect(f"{Path(path).absolute().as_uri()}?{how}", uri=True, isolation_level=None)
        try:
            database.execute("BEGIN")
            database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if getattr(error, "sqlite_errorname", "") in CANNOT_SHARE and not _has_log(path):
                database.close()
                continue
        break
    return database


def _has_log(path: str) -> bool:
    log = f"{path}-wal"
    return os.path.exists(log) and os.path.getsize(log) > 0


def _connect_to_read(path: str, how: str) -> sqlite3.Connection:
    database = HISTORY.connect(path, how)
    try:
        if is_empty(database):
            raise StoreError(f"cannot read history '{path}': nothing was written to it yet; see 'whowas watch'")
        version = version_of(database)
        if version < READABLE:
            raise StoreError(
                f"cannot read history '{path}': it has the older version {version}; lead it to version "
                f"{HISTORY.newest} with 'whowas history compact {path}'"
            )
    except BaseException:
        database.close()
        raise
    return database


def rewritten(database: sqlite3.Connection) -> None:
    """Tell readers that what they have read is not what stands there now. Called within a transaction."""
    database.execute("UPDATE rewritten SET times = times + 1")


def now_us() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


@contextlib.contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """One look at a store. Raises: StoreError."""
    database = open_database(path, write=False)
    try:
        with HISTORY.make_sense(path, "read"), snapshot(database):
            yield database
    finally:
        database.close()

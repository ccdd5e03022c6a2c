"""The file of a history: one SQLite database, its tables, its versions, its lock, and its errors in words."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from whowas.errors import StoreBusyError, StoreError, StoreTakenError

MAGIC = b"SQLite format 3\0"
# "wwhs" in the header of the file, so that any tool can tell what it is.
APPLICATION = 0x77776873
NEWEST = 2
# What readers need of the tables is in this version already.
READABLE = 1
FULL = "the disk is full; make room, nothing is lost meanwhile"
CANNOT_SHARE = ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT", "SQLITE_READONLY_RECOVERY")
# Each entry leads from its number to the next. Nothing in it is ever edited.
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


def is_store(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a database (of whowas or not). A pipe is none, and is not looked into: it is read once."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as handle:
            return handle.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class Lock:
    """The right to write to a store: one process has it, and loses it when it ends, however it ends.

    Raises: StoreError, before anything is made where no store can be. make: a store may be made.
    """

    def __init__(self, path: str, *, make: bool = True) -> None:
        _refuse(path, there=not make)
        # By whatever name a store is called, it has one lock.
        self._path = f"{os.path.realpath(path)}.lock"
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StoreBusyError(f"cannot write history '{path}': {FULL}") from None
            raise StoreError(
                f"cannot write history '{path}': {error.strerror}; give a file in a folder you can write to"
            ) from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = os.pread(self._handle, 20, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StoreTakenError(
                f"cannot write history '{path}': process {who or 'unknown'} is writing to it; stop that one, "
                "or give this one a file of its own"
            ) from None
        # On a full disk the lock is held without a name.
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others write. The lock's file stays: removing it would let two hold it."""
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
    elif os.path.getsize(path) and not is_store(path):
        _check_readable(path)
        raise StoreError(
            f"cannot open history '{path}': it is no store; import it with 'whowas history import STORE {path}'"
        )


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise StoreError(
            f"cannot open history '{path}': {error.strerror}; check the rights on the file and its folder"
        ) from None


def open_database(path: str, *, write: bool) -> sqlite3.Connection:
    """Open a store; with `write` make it when it is not there, and lead it to the newest version.

    Raises: StoreError.
    """
    _refuse(path, there=not write)
    with in_words(path, "open"):
        if write:
            return _connect(path, "mode=rwc", write=True)
        try:
            return _connect(path, "mode=ro", write=False)
        except sqlite3.OperationalError as error:
            # Where nothing may be written SQLite cannot keep an index of the log. Without a log it needs none.
            if error.sqlite_errorname not in CANNOT_SHARE or _has_log(path):
                raise
            return _connect(path, "mode=ro&immutable=1", write=False)


def _has_log(path: str) -> bool:
    log = f"{path}-wal"
    return os.path.exists(log) and os.path.getsize(log) > 0


def _connect(path: str, how: str, *, write: bool) -> sqlite3.Connection:
    where = f"{Path(path).absolute().as_uri()}?{how}"
    database = sqlite3.connect(where, uri=True, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA busy_timeout = 5000")
        # A foreign database is left as it is: its journal is changed only when it is known to be ours.
        _check_owner(database, path, write)
        if write:
            # What the last moments before a power cut wrote may be lost, but never half of it: the cursor goes back
            # with the events, and the watch delivers them again.
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -16384")
        _lead(database, path, write)
    except BaseException:
        database.close()
        raise
    return database


def _check_owner(database: sqlite3.Connection, path: str, write: bool) -> None:
    """Refuse what is not ours, or newer than we are."""
    application = database.execute("PRAGMA application_id").fetchone()[0]
    empty = not database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    if empty and not write:
        raise StoreError(f"cannot read history '{path}': nothing was written to it yet; see 'whowas watch'")
    if application != APPLICATION and not empty:
        raise StoreError(f"cannot open history '{path}': it is a database, but no history of whowas; give another file")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > NEWEST:
        raise StoreError(
            f"cannot open history '{path}': it has version {version}, this whowas knows up to {NEWEST}; update whowas"
        )


def _lead(database: sqlite3.Connection, path: str, write: bool) -> None:
    """Lead what is older forward."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version < READABLE and not write:
        raise StoreError(
            f"cannot read history '{path}': it has the older version {version}; lead it to version {NEWEST} with "
            f"'whowas history compact {path}'"
        )
    for number in range(version, NEWEST if write else version):
        database.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA application_id = {APPLICATION}; "
            f"PRAGMA user_version = {number + 1}; COMMIT;"
        )


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All that is written within, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        # SQLite may have taken it back itself, and a disk that does not answer says so in the first error.
        if database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def one_look(database: sqlite3.Connection) -> Iterator[None]:
    """Everything read within is as of one moment, however much is written meanwhile."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        # There is nothing to keep, and what went wrong has been said.
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")


def rewritten(database: sqlite3.Connection) -> None:
    """Tell readers that what they have read is not what stands there now. Called within a transaction."""
    database.execute("UPDATE rewritten SET times = times + 1")


@contextlib.contextmanager
def in_words(path: str, what: str) -> Iterator[None]:
    """Turn what SQLite says into errors that tell what to do."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        name = getattr(error, "sqlite_errorname", "")
        say = f"cannot {what} history '{path}': "
        if name.startswith("SQLITE_FULL"):
            raise StoreBusyError(f"{say}{FULL}") from error
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


@contextlib.contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """One look at a store. Raises: StoreError."""
    database = open_database(path, write=False)
    try:
        with in_words(path, "read"), one_look(database):
            yield database
    finally:
        database.close()

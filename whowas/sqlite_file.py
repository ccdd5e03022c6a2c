"""A SQLite file of ours: its lock, its owner, its migrations, its transactions, and its errors in words."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from whowas.errors import StoreBusyError, StoreDamagedError, StoreError, StoreTakenError, WhowasError
from whowas.lock_file import LockTaken, NoLockFile, take_lock

MAGIC = b"SQLite format 3\0"
FULL = "the disk is full; make room, nothing is lost meanwhile"
CHECK_RIGHTS = "check the rights on the file and its folder"


@dataclass(frozen=True)
class FileKind:
    """One kind of file.

    Args: noun: what messages call it. application: stands in the header of the file, so that any tool can tell what it
    is; 0 where no such number is kept. migrations: each leads from its number to the next; nothing in one is ever
    edited. synchronous: NORMAL where the last moments before a power cut may be lost, but never half of them.
    foreign: what another database is not. damaged: what to do with a broken file, given its path as {path}.
    taken: what to do when another process, {who}, holds the lock.
    """

    noun: str
    application: int
    migrations: Mapping[int, str]
    synchronous: str
    foreign: str
    damaged: str
    taken: str

    @property
    def newest(self) -> int:
        """The version that the migrations lead to."""
        return len(self.migrations)

    def lock(self, path: str, what: str) -> int:
        """Take the right to write to a file, by whatever name the file is called. what: the verb of messages.

        Returns: a handle; closing it lets go.
        Raises: StoreTakenError where another process has it, StoreBusyError on a full disk, StoreError.
        """
        try:
            return take_lock(f"{os.path.realpath(path)}.lock")
        except LockTaken as taken:
            raise StoreTakenError(f"cannot {what} {self.noun} '{path}': {self.taken.format(who=taken)}") from None
        except NoLockFile as error:
            raise StoreError(f"cannot {what} {self.noun} '{path}': {error.strerror}") from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StoreBusyError(f"cannot {what} {self.noun} '{path}': {FULL}") from None
            raise StoreError(
                f"cannot {what} {self.noun} '{path}': {error.strerror}; give a file in a folder you can write to"
            ) from None

    def connect(self, path: str | None, how: str = "mode=rwc") -> sqlite3.Connection:
        """Open a file; one that may be written is led to the newest version.

        Args: path: None: in memory. how: the query of SQLite's URI. Raises: StoreError for a file of others or of a
        newer version; sqlite3.Error.
        """
        where = ":memory:" if path is None else f"{Path(path).absolute().as_uri()}?{how}"
        database = sqlite3.connect(where, uri=path is not None, isolation_level=None, check_same_thread=False)
        try:
            # A foreign database is left as it is: its journal is changed only when it is known to be ours.
            self._check_owner(database, path)
            if how == "mode=rwc":
                database.execute("PRAGMA auto_vacuum = INCREMENTAL")
                database.execute("PRAGMA journal_mode = WAL")
                database.execute(f"PRAGMA synchronous = {self.synchronous}")
                self._migrate(database)
            database.execute("PRAGMA cache_size = -16384")
        except BaseException:
            database.close()
            raise
        return database

    def _check_owner(self, database: sqlite3.Connection, path: str | None) -> None:
        """Refuse what is not ours, or newer than we are."""
        application = database.execute("PRAGMA application_id").fetchone()[0]
        if application != self.application and not is_empty(database):
            raise StoreError(
                f"cannot open {self.noun} '{path}': it is a database, but {self.foreign}; give another file"
            )
        version = version_of(database)
        if not 0 <= version <= self.newest:
            raise StoreError(
                f"cannot open {self.noun} '{path}': it has version {version}, this whowas knows up to {self.newest}; "
                "update whowas"
            )

    def _migrate(self, database: sqlite3.Connection) -> None:
        for number in range(version_of(database), self.newest):
            database.executescript(
                f"BEGIN IMMEDIATE; {self.migrations[number]} PRAGMA application_id = {self.application}; "
                f"PRAGMA user_version = {number + 1}; COMMIT;"
            )

    @contextlib.contextmanager
    def translate_errors(self, path: str, what: str) -> Iterator[None]:
        """Turn what SQLite says into errors that tell what to do. what: the verb of the message."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            name = getattr(error, "sqlite_errorname", "")
            say = f"cannot {what} {self.noun} '{path}': "
            if name.startswith("SQLITE_FULL"):
                raise StoreBusyError(f"{say}{FULL}") from error
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise StoreBusyError(f"{say}another program holds it locked; it is tried again") from error
            if name.startswith("SQLITE_IOERR"):
                raise StoreBusyError(f"{say}the disk does not do what it should ({text}); it is tried again") from error
            if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
                raise StoreError(f"{say}{text}; {CHECK_RIGHTS}") from error
            ours = isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError))
            if ours or not (name or text.startswith("Could not decode")):
                raise
            # Our own words to it are right: what it cannot do with them is because of what is in the file.
            raise self.damage(path, what, text) from error

    @contextlib.contextmanager
    def make_sense(self, path: str, what: str) -> Iterator[None]:
        """As translate_errors, where nothing but what the file holds is read: what no decoder takes is damage too."""
        with self.translate_errors(path, what):
            try:
                yield
            except (WhowasError, OSError, sqlite3.Error):
                raise
            except Exception as error:
                raise self.damage(path, what, f"{type(error).__name__}: {error}") from error

    def damage(self, path: str, what: str, why: str) -> StoreDamagedError:
        """Return the error that tells of a broken file, on one line."""
        told = why.partition("\n")[0][:200]
        return StoreDamagedError(
            f"cannot {what} {self.noun} '{path}': the file is damaged ({told}); {self.damaged.format(path=path)}"
        )


def is_database(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is a database (of whowas or not). A pipe is none, and is not looked into: it is read once."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as handle:
            return handle.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def is_empty(database: sqlite3.Connection) -> bool:
    """Say whether a database has no table."""
    return not database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()


def version_of(database: sqlite3.Connection) -> int:
    """Return the version that the migrations have led a database to."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


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
def snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Everything read within is as of one moment, however much is written meanwhile."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        # There is nothing to keep, and what went wrong has been said.
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
